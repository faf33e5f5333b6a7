using System.Runtime.InteropServices;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Products of activations and weights compared with OpenBLAS on one thread.</summary>
internal static unsafe class GemmBench
{
    /// <summary>More rounds than usual: each measurement is short, and the speed of a shared machine varies between measurements.</summary>
    private const int Rounds = 11;

    private static readonly Random Random = new(1);

    public static Results Run()
    {
        OpenBlas.Start();
        using var folder = new Scratch();
        var lines = new List<Line>();
        foreach (var (n, k) in new[] { (768, 768), (4096, 4096) })
        {
            using var matrix = new Matrices(folder.File($"{n}"), n, k, 1);
            foreach (var rows in new[] { 1, 8, 32, 128, 512 }) lines.AddRange(Float(matrix, rows));
            foreach (var rows in new[] { 128, 512 }) lines.Add(Brain(matrix, rows));
        }
        // Sixteen matrices of 4096 x 4096: half a gigabyte as stored in bf16, so that no matrix is in a cache when it is used again.
        using var cold = new Matrices(folder.File("cold"), 4096, 4096, 16);
        foreach (var rows in new[] { 1, 2, 4, 8 }) lines.Add(Cold(cold, rows));
        return new Results("gemm", "Matrix products against OpenBLAS, one thread",
            "x [rows, K] times W [N, K] transposed, K and N as given. Ours is the product as the model runs it: `Linear.Forward`, "
                + "output memory taken from the arena. `kept` has its weights as float32 panels (small models), `stored` turns them from "
                + "the mapped file in every call (large models), `direct` is the kernel family for few rows. OpenBLAS: "
                + $"cblas_sgemm of {OpenBlas.Core} kernels. Medians of {Rounds} interleaved rounds; the ratio is the median of the rounds' "
                + "ratios. The share of the peak is that of fused multiply-adds on registers alone, a contender in the same rounds.",
            ["ours, GFLOP/s", "OpenBLAS"], lines, []);
    }

    private static List<Line> Float(Matrices m, int rows)
    {
        using var set = new Setting(m, rows);
        var peak = new ArithmeticPeak(set.Team);
        var times = Contest.Run(Rounds,
            Contest.Ours(() => OpenBlas.Multiply(set.X.Data, m.Floats[0], set.Y, rows, m.N, m.K)), set.Of(m.Kept, KernelFamily.Panel),
            set.Of(m.Float[0], KernelFamily.Panel), set.Of(m.Float[0], KernelFamily.Direct), peak.Contender);
        double? bar = rows >= 128 ? 0.95 : rows >= 8 ? 1.3 : 1.0;
        var shape = $"{rows} x {m.N} x {m.K}";
        // A product of one row does not depend on packing: the bar applies to the faster of its two kernels.
        var lines = new List<Line>
        {
            Line($"{shape}, float32, kept", set, times[1], times[0], bar),
            Line($"{shape}, float32, stored", set, times[2], times[0], rows >= 8 && m.N > 768 ? bar : null),
            Line($"{shape}, float32, direct", set, times[3], times[0], null),
        };
        if (rows == 512)
        {
            var ours = times[m.N > 768 ? 2 : 1];
            lines.Add(new Line($"{shape}, float32, {(m.N > 768 ? "stored" : "kept")}, share of the peak",
                $"{set.Flops / Contest.Median(ours) / 1e9:0.0}", $"{peak.Operations / Contest.Median(times[4]) / 1e9:0.0} (peak)",
                Contest.Share(set.Flops, ours, peak.Operations, times[4]), m.N > 768 ? 0.70 : 0.80));
        }
        return lines;
    }

    private static Line Brain(Matrices m, int rows)
    {
        using var set = new Setting(m, rows);
        var times = Contest.Run(Rounds, Contest.Ours(() => OpenBlas.Multiply(set.X.Data, m.Floats[0], set.Y, rows, m.N, m.K)),
            set.Of(m.Brain[0], KernelFamily.Panel));
        return Line($"{rows} x {m.N} x {m.K}, bf16, stored", set, times[1], times[0], 0.9);
    }

    private static Line Cold(Matrices m, int rows)
    {
        using var set = new Setting(m, rows);
        var (ours, theirs) = (0, 0);
        var compute = new Compute(set.Arena, set.Team, KernelFamily.Direct);
        var times = Contest.Run(Rounds,
            Contest.Ours(() => OpenBlas.Multiply(set.X.Data, m.Floats[theirs++ % m.Floats.Length], set.Y, rows, m.N, m.K)),
            Contest.Ours(() => set.Forward(m.Brain[ours++ % m.Brain.Length], compute)));
        return Line($"{rows} x {m.N} x {m.K}, bf16, direct, mapped and cold", set, times[1], times[0], 2.5);
    }

    private static Line Line(string what, Setting set, double[] ours, double[] theirs, double? bar) =>
        new(what, $"{set.Flops / Contest.Median(ours) / 1e9:0.0}", $"{set.Flops / Contest.Median(theirs) / 1e9:0.0}",
            Contest.Ratio(ours, theirs), bar);

    /// <summary>The same random matrices as float32 and bf16 in a mapped file, and as plain float32 for the peer.</summary>
    private sealed class Matrices : IDisposable
    {
        private readonly SafetensorsFile _file;

        public Matrices(string path, int n, int k, int count)
        {
            (N, K) = (n, k);
            var tensors = new List<TensorData>();
            Floats = new float*[count];
            for (var i = 0; i < count; i++)
            {
                var brain = new ushort[n * k];
                for (var j = 0; j < brain.Length; j++)
                    brain[j] = (ushort)(BitConverter.SingleToUInt32Bits(Random.NextSingle() - 0.5f) >> 16);
                Floats[i] = (float*)NativeMemory.AlignedAlloc((nuint)brain.Length * 4, 64);
                var floats = new float[brain.Length];
                for (var j = 0; j < brain.Length; j++) floats[j] = Floats[i][j] = BitConverter.UInt32BitsToSingle((uint)brain[j] << 16);
                tensors.Add(new TensorData($"b{i}", StoredType.BF16, [n, k], MemoryMarshal.AsBytes<ushort>(brain).ToArray()));
                if (i == 0) tensors.Add(TensorData.Of("f0", floats, n, k));
            }
            SafetensorsWriter.Write(path, tensors);
            _file = SafetensorsFile.Open(path);
            var weights = new Weights(path, [_file]);
            Brain = [.. Enumerable.Range(0, count).Select(i => new Linear(weights.Get($"b{i}", n, k)))];
            Float = [new Linear(weights.Get("f0", n, k))];
            Kept = new Linear(weights.Get("f0", n, k));
            Kept.Pack();
        }

        public int N { get; }

        public int K { get; }

        public float*[] Floats { get; }

        public Linear[] Brain { get; }

        public Linear[] Float { get; }

        public Linear Kept { get; }

        public void Dispose()
        {
            _file.Dispose();
            foreach (var floats in Floats) NativeMemory.AlignedFree(floats);
        }
    }

    private sealed class Setting : IDisposable
    {
        public Setting(Matrices m, int rows)
        {
            X = Arena.Take(rows, m.K);
            for (var r = 0; r < rows; r++)
            {
                foreach (ref var v in X[r]) v = Random.NextSingle() - 0.5f;
            }
            Y = Arena.TakeFloats((long)rows * m.N);
            Flops = 2.0 * rows * m.N * m.K;
        }

        public Arena Arena { get; } = new();

        public Team Team { get; } = new(1);

        public Tensor X { get; }

        public float* Y { get; }

        public double Flops { get; }

        public Contender Of(Linear linear, KernelFamily family)
        {
            var compute = new Compute(Arena, Team, family);
            return Contest.Ours(() => Forward(linear, compute));
        }

        public void Forward(Linear linear, Compute compute)
        {
            var mark = Arena.Here();
            linear.Forward(X, compute);
            Arena.Release(mark);
        }

        public void Dispose()
        {
            Arena.Dispose();
            Team.Dispose();
        }
    }
}
