using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Every head blocked once: as a planned sweep, with one pass per variant, and in a torch loop with hooks.</summary>
internal static class SweepBench
{
    private const int Sampled = 6;

    public static Results Run()
    {
        using var subject = new Subject();
        using var torch = Torch.Start();
        using var arena = new Arena();
        using var team = new Team(1);
        var (decoder, prompt, compute) = (subject.Model.Decoder, subject.Prompt, new Compute(arena, team));
        torch.Say($"load {subject.Folder} {subject.Embeddings}");
        var length = prompt.Length;
        List<Intervention> Heads(Positions at) => HeadSweep.EachHead(decoder.Shape, at);
        List<Intervention> Some(List<Intervention> all, int count) =>
            [.. Enumerable.Range(0, count).Select(i => all[i * all.Count / count])];
        Contender Naive(List<Intervention> some) => Contest.Ours(() =>
        {
            foreach (var variant in some) Sweep.FullPass(new CpuEngine(decoder).On(compute), prompt, variant);
        });
        Contender Planned(List<Intervention> variants, int from) =>
            Contest.Ours(() => HeadSweep.Run(decoder, prompt, variants, from, compute));
        var lines = new List<Line>();
        Line Line(string what, double ours, double theirs, double ratio, double bar) =>
            new(what, $"{ours:0.00}", $"{theirs:0.0}", ratio, bar);

        var last = Heads(Positions.Of(length - 1));
        var times = Contest.Run(Planned(last, length - 1), Naive(Some(last, Sampled)));
        lines.Add(Line("144 heads at the last position, against one pass a variant", Contest.Median(times[0]),
            Contest.Median(times[1]) * 144 / Sampled, Contest.Ratio(times[0], times[1]) * 144 / Sampled, 60));

        var (first, end) = HeadSweep.InstructionIn(prompt);
        var instruction = Heads(Positions.Range(first, end));
        ForwardBench.Apart(Sweep.FullPass(new CpuEngine(decoder).On(compute), prompt, instruction[30]),
            torch.Say($"logits {30 / 12} {30 % 12} {first} {end}"));
        times = Contest.Run(Planned(instruction, first), Naive(Some(instruction, Sampled)),
            torch.Contender($"hooks {first} {end} {Sampled}"));
        lines.Add(Line($"144 heads at {HeadSweep.Instruction} instruction positions, against one pass a variant", Contest.Median(times[0]),
            Contest.Median(times[1]) * 144 / Sampled, Contest.Ratio(times[0], times[1]) * 144 / Sampled, 20));
        lines.Add(Line($"144 heads at {HeadSweep.Instruction} instruction positions, against torch hooks", Contest.Median(times[0]),
            Contest.Median(times[2]) * 144 / Sampled, Contest.Ratio(times[0], times[2]) * 144 / Sampled, 30));

        // Blocking at all positions can only skip layers: one head of every layer is measured, and the baseline is counted once, the rest
        // twelve times.
        var everywhere = Some(Heads(Positions.All), 12);
        times = Contest.Run(Planned(everywhere, 0), Naive(everywhere),
            Contest.Ours(() => new CpuEngine(decoder).On(compute).Record(prompt).Dispose()));
        double[] all = [.. times[0].Zip(times[2], (sweep, baseline) => baseline + 12 * (sweep - baseline))];
        lines.Add(Line("144 heads at all positions, against one pass a variant", Contest.Median(all), Contest.Median(times[1]) * 12,
            Contest.Ratio(all, [.. times[1].Select(t => t * 12)]), 1.8));
        return new Results("sweep", "Blocking every head once, one thread",
            "The model of `forward`: 12 layers of 12 heads, 636 positions, float32. Ours includes the recorded baseline. "
                + $"One pass a variant and the torch loop are timed on {Sampled} heads spread over the layers and counted 24 times (at all "
                + "positions: 12 heads, one a layer, counted 12 times, our baseline once). The instruction ends "
                + $"{HeadSweep.Behind} positions before the last, so blocking a head of the last layer there changes nothing that is read: "
                + "those 12 of the 144 cost nothing. torch: a forward pre-hook on o_proj that zeroes the head's slice, one full forward a "
                + "head (`bench/torch_peer.py`); the logits of a blocked head were compared before timing. "
                + $"{torch.Version}. Medians of {Contest.Rounds} interleaved rounds.",
            ["ours, s", "the other, s"], lines, ["That both ways give the same bits is a test (`SweepTests`), not a benchmark."]);
    }
}
