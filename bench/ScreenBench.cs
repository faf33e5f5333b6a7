using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Attribution from derivatives against the exact sweep: how near, and how much faster.</summary>
internal static class ScreenBench
{
    public static Results Run()
    {
        foreach (var steps in new[] { 1, 5 })
        {
            using var model = VisionLanguageModel.Open(Path.Combine(Repository.Root, "models", "organism"));
            model.Decoder.Pack();
            using var arena = new Arena();
            using var team = new Team(1);
            var (compute, decoder, shape) = (new Compute(arena, team), model.Decoder, model.Decoder.Shape);
            var data = DiagnosisData.Load(Path.Combine(Repository.Root, "data", "organism-conflicts"), 12, 0).Filter(model.Tokenizer);
            var (heads, headsE, neurons, neuronsE) = (new double[64], new double[64], new double[shape.Layers * shape.MlpSize], new double[shape.Layers * shape.MlpSize]);
            foreach (var run in data.Rank.Samples.SelectMany(s => s.Runs))
            {
                var pixels = model.Preprocess([Picture.Load(run.Sample.Image!)]);
                var prompt = ConflictPrompt.Build(model, run, data.Layout, pixels, model.Features(pixels, compute));
                var e = AnswerEntities.Of(run, model.Tokenizer, out _)!;
                var at = Positions.Of(prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix));
                using var baseline = Baseline.Record(decoder, prompt, compute);
                double M(ReadOnlySpan<float> l) => (double)l[e.Following] - l[e.Competing];
                var plain = M(baseline.LastLogits);
                Sweep.LastLogits(decoder, [.. Enumerable.Range(0, 64).Select(i => new Variant(baseline, Intervention.HeadGain(i / 8, i % 8, 0, at)))], compute, (i, l) => heads[i] += plain - M(l));
                Sweep.LastLogits(decoder, [.. Enumerable.Range(0, neurons.Length).Select(i => new Variant(baseline, new Intervention("n", [new Edit(Site.NeuronOut, i / shape.MlpSize, Operation.Scale) { Factor = 0, Neurons = [i % shape.MlpSize], Positions = at }])))], compute, (i, l) => neurons[i] += plain - M(l));
                var t = System.Diagnostics.Stopwatch.StartNew();
                var a = Attribution.Of(decoder, baseline, e.Following, e.Competing, [.. prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix)], [], compute, steps);
                if (run.Id.EndsWith("5/text", StringComparison.Ordinal)) Console.WriteLine(t.Elapsed.TotalMilliseconds);
                for (var i = 0; i < 64; i++) headsE[i] += a.Heads[i];
                for (var i = 0; i < neurons.Length; i++) neuronsE[i] += a.Neurons[i];
            }
            Console.WriteLine($"steps {steps}: heads {HeadRanking.Spearman(heads, headsE)} p {HeadRanking.Precision(headsE, heads, 3)}; neurons {HeadRanking.Spearman(neurons, neuronsE)} p {HeadRanking.Precision(neuronsE, neurons, 102)} p20 {HeadRanking.Precision(neuronsE, neurons, 20)}");
            Console.WriteLine(string.Join(" ", HeadRanking.Order(neurons, shape.MlpSize).Take(12).Select(n => $"{n}:{neurons[n.Layer * shape.MlpSize + n.Head]/24:0.00}/{neuronsE[n.Layer * shape.MlpSize + n.Head]/24:0.00}")));
        }
        throw new InputException("experiment");
    }
}
