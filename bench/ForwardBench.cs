using System.Globalization;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>A full forward pass compared with torch in eager mode, on the same weights.</summary>
internal static class ForwardBench
{
    /// <summary>More rounds than usual: the speed of a shared machine varies between measurements.</summary>
    private const int Rounds = 11;

    public static Results Run()
    {
        using var subject = new Subject();
        using var torch = Torch.Start();
        torch.Say($"load {subject.Folder} {subject.Embeddings}");
        var lines = new List<Line>();
        var largest = 0.0;
        foreach (var threads in new[] { 1, 2 }.Where(t => t <= Environment.ProcessorCount))
        {
            using var arena = new Arena();
            using var team = new Team(threads);
            var compute = new Compute(arena, team);
            var ours = Sweep.FullPass(subject.Model.Engine.On(compute), subject.Prompt, Intervention.None);
            largest = Math.Max(largest, Apart(ours, torch.Say("logits")));
            torch.Say($"threads {threads}");
            var peak = new ArithmeticPeak(team);
            var times = Contest.Run(Rounds,
                Contest.Ours(() => Sweep.FullPass(subject.Model.Engine.On(compute), subject.Prompt, Intervention.None)),
                torch.Contender("forward"),
                Contest.Ours(() => Generation.Run(subject.Model.Engine.On(compute), subject.Prompt, new SequenceOptions(1))),
                peak.Contender);
            Line Line(string what, double[] ours) => new($"{what}, {threads} thread(s)", $"{Contest.Median(ours):0.000}",
                $"{Contest.Median(times[1]):0.000}", Contest.Ratio(ours, times[1]), 1.3);
            lines.Add(Line($"576 + {Subject.TextTokens} positions through every layer", times[0]));
            lines.Add(Line("prefill as generation runs it: in the last layer the last position only", times[2]));
            var least = peak.Least(Operations(subject), times[3]);
            lines.Add(new Line($"through every layer, against the least time of any kernel, {threads} thread(s)",
                $"{Contest.Median(times[0]):0.000}", $"{Contest.Median(least):0.000} (least)", Contest.Ratio(times[0], least), null));
            lines.Add(new Line($"what the least time of any kernel would be against torch, {threads} thread(s)",
                $"{Contest.Median(least):0.000} (least)", $"{Contest.Median(times[1]):0.000}", Contest.Ratio(least, times[1]), null));
        }
        return new Results("forward", "A full forward pass against torch eager",
            "A LLaVA-shaped decoder (12 layers, d 768, 12 heads, d_mlp 2048, float32) of random weights (`ascope synth`), "
                + "from the embeddings to the logits of the last position; torch runs the same weights and embeddings in "
                + "`bench/torch_peer.py`, written as the reference library's eager Llama. Before timing, the logits of both were "
                + $"compared: {largest:0.0e+0} of the largest at most. {torch.Version}. The least time: the operations of all products and "
                + "of causal attention, exponentials not counted, at the rate of fused multiply-adds on registers alone in the same "
                + $"rounds. Medians of {Rounds} interleaved rounds.",
            ["ours, s", "torch"], lines, []);
    }

    private static double Operations(Subject subject)
    {
        var (shape, rows) = (subject.Model.Decoder.Shape, (double)subject.Prompt.Length);
        double width = shape.ModelSize;
        var layer = 2 * rows * (4 * width * width + 3 * width * shape.MlpSize) + 2 * width * rows * (rows + 1);
        return shape.Layers * layer + 2 * width * subject.Model.Decoder.VocabularySize;
    }

    /// <summary>Refuses to compare the speed of two computations with different results.</summary>
    public static double Apart(float[] ours, string theirs)
    {
        var other = theirs.Split(' ').Select(t => float.Parse(t, CultureInfo.InvariantCulture)).ToArray();
        var apart = ours.Zip(other, (a, b) => Math.Abs((double)a - b)).Max() / other.Max(Math.Abs);
        return ours.Length == other.Length && apart < 1e-3
            ? apart : throw new InvalidOperationException($"torch's logits are {apart:0.0e+0} apart from ours: not the same computation");
    }
}
