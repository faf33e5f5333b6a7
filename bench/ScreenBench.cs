using System.Diagnostics;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Estimates from gradients compared with the exact sweep: accuracy and speed.</summary>
internal static class ScreenBench
{
    private const int Steps = 5, Samples = 12, TinySamples = 4, NeuronsSwept = 192;

    private static readonly string[] Families = ["llava15", "qwen2vl", "qwen25vl", "internvl3", "llava-onevision", "smolvlm"];

    /// <summary>A prompt, the answers to compare, the positions to change, and the edges.</summary>
    private sealed record Question(Prompt Prompt, int A, int B, int[] At, IReadOnlyList<EdgeGroup> Edges);

    public static Results Run()
    {
        var lines = new List<Line>();
        var organism = Path.Combine(Repository.Root, "models", "relay");
        lines.AddRange(OnConflicts("organism", organism, Samples));
        using (var subject = new Subject())
        {
            var (first, end) = HeadSweep.InstructionIn(subject.Prompt);
            int[] at = [.. Enumerable.Range(first, end - first)];
            lines.AddRange(Lines("random, LLaVA shape", subject.Model.Decoder, [new Question(subject.Prompt, 5, 9, at, [])]));
        }
        foreach (var family in Families)
            lines.AddRange(OnConflicts($"random, tiny {family}", Path.Combine(Repository.Root, "tests", "fixtures", family), TinySamples));
        return new Results("screen", "Estimates from derivatives against the exact sweep, one thread",
            "Attribution patching (`diagnose --screen`) beside the sweep. Rank: Spearman's correlation of estimated and exact loss of "
                + "margin, means over the runs, over all heads, neurons, or pairs of edge and head. Top 5 %: share of the 5 % with the "
                + $"highest estimates that are among the 5 % with the highest exact losses. Organism: {Samples} of its ranking conflicts "
                + $"(two runs each), positions behind the context; tiny checkpoints of random weights: {TinySamples} of the same; random, "
                + $"LLaVA shape: the model and the prompt of `sweep`, {HeadSweep.Instruction} instruction positions, one run. Heads slope: "
                + $"one forward and one backward pass a run; integrated: {Steps}. Neurons come with the same passes, edges with some that "
                + $"record attention too. Where a model has more than {NeuronsSwept} neurons, {NeuronsSwept} spread over its layers are "
                + "swept exactly and the time is counted for all. The recorded run that both start from is in neither time. "
                + "Totals over the runs, one after the other.",
            ["rank, top 5 %", "estimate, sweep, s"], lines,
            ["The ratio is the sweep's time over the estimate's; what a sweep costs grows with the number of variants, an estimate does "
                + "not. Random weights have no circuit: their heads' effects lie close together, and a rank is lost or kept for small "
                + "reasons; 5 % of 16 heads is one head.",
            "A slope does not see a head whose softmax is saturated; an integrated estimate does. `diagnose --screen gradient` ranks heads "
                + "by the integrated one; estimates of neurons and edges are slopes."]);
    }

    private static IEnumerable<Line> OnConflicts(string name, string folder, int samples)
    {
        using var model = VisionLanguageModel.Open(folder);
        model.Decoder.Pack();
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var data = DiagnosisData.Load(Path.Combine(Repository.Root, "data", "organism-conflicts"), samples,
            0).Filter(model, answerTokens: 1);
        var questions = new List<Question>();
        foreach (var run in data.Rank.Samples.SelectMany(s => s.Runs))
        {
            var pixels = model.Preprocess([Picture.Load(run.Sample.Image!)]);
            var prompt = ConflictPrompt.Build(model, run, data.Layout, pixels, model.Engine.On(compute).Features(pixels));
            var answers = AnswerEntities.Of(run, model.Tokenizer, out _)!;
            questions.Add(new Question(
                prompt, answers.Following, answers.Competing,
                prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix),
                [.. Edge.Standard([SpanKind.Instruction]).Where(e => !e.To.Contains(SpanKind.TextContext) && e.Exists(prompt))
                    .Select(e => new EdgeGroup(e.Name, prompt.Union(e.To), prompt.Union(e.From)))]));
        }
        return Lines(name, model.Decoder, questions);
    }

    private static List<Line> Lines(string name, Decoder decoder, IReadOnlyList<Question> questions)
    {
        using var arena = new Arena();
        using var team = new Team(1);
        var (compute, shape) = (new Compute(arena, team), decoder.Shape);
        var total = shape.Layers * shape.MlpSize;
        int[] neurons = [.. Enumerable.Range(0, Math.Min(total, NeuronsSwept))
            .Select(i => (int)((long)i * total / Math.Min(total, NeuronsSwept)))];
        var edges = questions[0].Edges.Select(e => e.Name).ToList();
        var (heads, some, pairs) = (new Tally(shape.Layers * shape.Heads), new Tally(neurons.Length),
            new Tally(edges.Count * shape.Layers * shape.Heads));
        foreach (var (q, number) in questions.Prepend(questions[0]).Select((q, i) => (q, i)))
        {
            // The first one is run twice and counted once, so that code is compiled and caches are filled.
            var counts = number > 0;
            using var baseline = new CpuEngine(decoder).On(compute).Record(q.Prompt);
            foreach (var steps in new[] { 1, Steps })
            {
                var from = Stopwatch.GetTimestamp();
                var options = new AttributionOptions { TokenA = q.A, TokenB = q.B, Positions = q.At, Steps = steps };
                var found = Attribution.Of(new CpuEngine(decoder).On(compute), baseline, options);
                var seconds = Stopwatch.GetElapsedTime(from).TotalSeconds;
                if (!counts) continue;
                heads.Estimate(steps, found.Heads, seconds);
                some.Estimate(steps, [.. neurons.Select(n => found.Neurons[n])], seconds);
                if (edges.Count == 0) continue;
                from = Stopwatch.GetTimestamp();
                var routes = Attribution.Of(new CpuEngine(decoder).On(compute), baseline, options with { Edges = q.Edges });
                pairs.Estimate(steps, [.. edges.SelectMany(e => routes.Edges[e])], Stopwatch.GetElapsedTime(from).TotalSeconds);
            }
            var at = Positions.Of(q.At);
            void Exact(Tally tally, IEnumerable<Intervention> variants)
            {
                var losses = Sweep(decoder, baseline, q, [.. variants], compute, out var seconds);
                if (counts) tally.Exact(losses, seconds);
            }
            Exact(heads, HeadSweep.EachHead(shape, at));
            Exact(some,
                neurons.Select(
                    n => new Intervention($"{n}", new Edit(Site.NeuronOut, n / shape.MlpSize,
                        Operation.Scale) { Factor = 0, Components = [n % shape.MlpSize], Positions = at })));
            if (edges.Count > 0)
                Exact(pairs,
                    q.Edges.SelectMany(
                        e => HeadSweep.EachHead(shape, at).Select(
                            h => Intervention.Knockout(e.Name, [h.FirstLayer], Positions.Of(e.Queries),
                                Positions.Of(e.Keys), h.Edits[0].Heads))));
        }
        List<Line> lines = [heads.Line($"{name}: {shape.Layers * shape.Heads} heads, slope", 1),
            heads.Line($"{name}: {shape.Layers * shape.Heads} heads, integrated", Steps),
            some.Line($"{name}: {total} neurons, slope", 1, (double)total / neurons.Length),
            some.Line($"{name}: {total} neurons, integrated", Steps, (double)total / neurons.Length)];
        if (edges.Count > 0)
            lines.AddRange(pairs.Line($"{name}: {edges.Count} edges in each head, slope", 1),
                pairs.Line($"{name}: {edges.Count} edges in each head, integrated", Steps));
        return lines;
    }

    private static double[] Sweep(Decoder decoder, IRecordedRun baseline, Question q, List<Intervention> variants,
        Compute compute, out double seconds)
    {
        double Margin(ReadOnlySpan<float> logits) => (double)logits[q.A] - logits[q.B];
        var (plain, losses) = (Margin(baseline.LastLogits), new double[variants.Count]);
        var from = Stopwatch.GetTimestamp();
        Studies.Sweep.LastLogits(new CpuEngine(decoder).On(compute), [.. variants.Select(v => new SweepItem(baseline, v))],
            (i, logits) => losses[i] = plain - Margin(logits), SweepCost.MostRows);
        seconds = Stopwatch.GetElapsedTime(from).TotalSeconds;
        return losses;
    }

    /// <summary>Effects of parts (heads or edges) summed over runs, exact and estimated, with the time of both.</summary>
    private sealed class Tally(int parts)
    {
        private readonly double[] _exact = new double[parts];
        private readonly Dictionary<int, (double[] Sums, double Seconds)> _estimates = [];
        private double _seconds;

        public void Exact(double[] losses, double seconds)
        {
            for (var i = 0; i < parts; i++) _exact[i] += losses[i];
            _seconds += seconds;
        }

        public void Estimate(int steps, float[] values, double seconds)
        {
            var (sums, before) = _estimates.GetValueOrDefault(steps, (new double[parts], 0));
            for (var i = 0; i < parts; i++) sums[i] += values[i];
            _estimates[steps] = (sums, before + seconds);
        }

        /// <param name="times">Total number of parts divided by the number of parts that were swept.</param>
        public Line Line(string what, int steps, double times = 1)
        {
            var (sums, seconds) = _estimates[steps];
            var count = HeadRanking.Count(0.05, parts, TopRounding.Round);
            return new Line(what, $"{HeadRanking.Spearman(sums, _exact):0.00}, {HeadRanking.Precision(sums, _exact, count):0.00}",
                $"{seconds:0.000}, {_seconds * times:0.000}", _seconds * times / seconds, null);
        }
    }
}
