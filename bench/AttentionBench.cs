using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Attention over a shared key/value prefix compared with torch, and the cost of cut edges.</summary>
internal static class AttentionBench
{
    /// <summary>More rounds than usual: each measurement is short, and the speed of a shared machine varies between measurements.</summary>
    private const int Rounds = 11;

    public static Results Run()
    {
        using var torch = Torch.Start();
        using var team = new Team(1);
        var peak = new ArithmeticPeak(team);
        var lines = new List<Line>();
        foreach (var (heads, size, keys) in new[] { (12, 64, 636), (32, 128, 1024) })
        {
            foreach (var rows in new[] { 32, 128, keys })
            {
                using var plain = new Setting(heads, size, keys, rows, cut: false);
                var (what, setUp) = ($"{rows} rows, {keys} keys, {heads} heads of {size}", $"attention {heads} {size} {keys} {rows}");
                var times = Contest.Run(Rounds, Contest.Ours(plain.Run), torch.Contender(setUp),
                    torch.Contender($"{setUp} masked"), peak.Contender);
                lines.Add(Line($"{what}, against torch without a mask", times[0], times[1], 1.3));
                lines.Add(Line($"{what}, against torch with the causal mask", times[0], times[2], 1.3));
                var operations = Operations(heads, size, keys, rows);
                var least = peak.Least(operations, times[3]);
                lines.Add(new Line($"{what}, against the least time of any kernel", Milliseconds(times[0]),
                    $"{Milliseconds(least)} (least)", Contest.Ratio(times[0], least), null));
            }
            using var whole = new Setting(heads, size, keys, keys, cut: false);
            using var cut = new Setting(heads, size, keys, keys, cut: true);
            var both = Contest.Run(Rounds, Contest.Ours(cut.Run), Contest.Ours(whole.Run));
            lines.Add(new Line($"{keys} rows, edges from the last 60 to the first {keys - 60} cut, against none cut", Milliseconds(both[0]),
                Milliseconds(both[1]), 1 / Contest.Ratio(both[0], both[1]), 1.1, AtMost: true));
        }
        return new Results("attention", "Attention, one thread",
            "Ours: causal, with keys and values put into the cache first, as in a layer; rows behind a frozen past of keys - rows "
                + "positions. torch: matmul, softmax, matmul on ready queries, keys and values; without any mask, which is less work than "
                + "a decoder's attention and not the same result, and with the causal mask added to the scores, as an eager decoder must. "
                + "The least time of any kernel: the operations of the causal product, two for every query, visible key and dimension in "
                + "the scores and as many in the values, exponentials not counted, at the rate of fused multiply-adds on registers alone "
                + $"in the same rounds. {torch.Version}. Medians of {Rounds} interleaved rounds.",
            ["ours, ms", "the other, ms"], lines, []);
    }

    /// <summary>Causal attention: the first row has keys - rows + 1 visible keys, the last one has all.</summary>
    private static double Operations(int heads, int size, int keys, int rows) => 4.0 * heads * size * rows * (2.0 * keys - rows + 1) / 2;

    private static Line Line(string what, double[] ours, double[] theirs, double bar) =>
        new(what, Milliseconds(ours), Milliseconds(theirs), Contest.Ratio(ours, theirs), bar);

    private static string Milliseconds(double[] times) => $"{Contest.Median(times) * 1e3:0.000}";

    private sealed class Setting : IDisposable
    {
        private readonly Arena _arena = new();
        private readonly Team _team = new(1);
        private readonly KeyValues? _past;
        private readonly DecoderShape _shape;
        private readonly Tensor _q, _k, _v;
        private readonly Pass _pass;

        public Setting(int heads, int size, int keys, int rows, bool cut)
        {
            _shape = new DecoderShape(1, heads, heads, size, heads * size, 1);
            (_q, _k, _v) = (Fill(rows), Fill(rows), Fill(rows));
            if (keys > rows)
            {
                _past = new KeyValues(1, heads, size, 0, keys - rows);
                _past.Append(0, Fill(keys - rows), Fill(keys - rows));
                _past.Advance(keys - rows);
            }
            var intervention = cut
                ? Intervention.Knockout("cut", [0], Positions.Range(keys - 60, keys), Positions.Range(0, keys - 60)) : Intervention.None;
            var run = new RowBlock(_q, Enumerable.Range(keys - rows, rows).Select(Coordinate.At).ToArray(), keys - rows,
                intervention) { Past = _past };
            _pass = new Pass(_shape, [run], new Compute(_arena, _team));
        }

        public void Run()
        {
            var mark = _arena.Here();
            RunAttention.Forward(0, _shape, _q, _k, _v, _pass);
            _arena.Release(mark);
        }

        public void Dispose()
        {
            _past?.Dispose();
            _team.Dispose();
            _arena.Dispose();
        }

        private Tensor Fill(int rows)
        {
            var random = new Random(rows);
            var tensor = _arena.Take(rows, _shape.ModelSize);
            for (var r = 0; r < rows; r++)
            {
                foreach (ref var v in tensor[r]) v = random.NextSingle() - 0.5f;
            }
            return tensor;
        }
    }
}
