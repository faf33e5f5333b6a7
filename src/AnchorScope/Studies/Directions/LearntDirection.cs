using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>A run on which a direction is trained.</summary>
internal sealed record LearningRun(SteeredRun Run, AnswerEntities Entities);

/// <summary>
/// A trained direction: AdamW on the mean of -log p of the picture's answer with strength 1 and of the text's answer with strength -1, over
/// runs of both instructions. It is initialised with the mean difference. The bits are the same for any number of threads.
/// </summary>
internal static class LearntDirection
{
    /// <summary>Number of steps, and number of runs per step. Each run is used with both signs.</summary>
    public const int Steps = 60, Batch = 16;

    /// <summary>Maximum number of training samples.</summary>
    public const int Samples = 64;

    private const int Lanes = 4, RunsPerPass = 8;

    /// <summary>Learning rate, relative to the root mean square of the initial values.</summary>
    private const double Rate = 0.05;

    private static readonly AdamWOptions Adam = new(0.9f, 0.98f, 1e-8f, 0);

    /// <summary>Trains a direction with as many rows in each part as <paramref name="start"/> has.</summary>
    /// <param name="order">Seed of the order of the batches.</param>
    public static Direction Of(VisionLanguageModel model, Direction start, IReadOnlyList<LearningRun> runs, ulong order, int threads,
        Action<int>? progress, CancellationToken cancel)
    {
        using var learnt = Parameters.Zeros("direction",
            start.Parts.Select((p, i) => (NameOf(i), new long[] { p.Rows.Count * p.Rows.Width })));
        for (var i = 0; i < start.Parts.Count; i++) Values(start.Parts[i].Rows).CopyTo(learnt[NameOf(i)]);
        using var optimiser = new AdamW(learnt, learnt.Entries, Adam);
        using var lanes = new GradientLanes(model.Engine, learnt.Entries, Lanes, cancel);
        var rate = Rate * Math.Sqrt(start.Parts.SelectMany(p => Values(p.Rows)).Average(v => (double)v * v));
        var random = new SplitMix(order);
        for (var step = 0; step < Steps; step++)
        {
            cancel.ThrowIfCancellationRequested();
            var direction = Current(start, learnt);
            (LearningRun Run, int Sign)[] batch = [.. Enumerable.Range(0, Math.Min(Batch, runs.Count))
                .Select(_ => runs[random.Below(runs.Count)]).SelectMany(run => new[] { (run, 1), (run, -1) })];
            var passes = batch.Chunk(RunsPerPass).ToArray();
            lanes.Of(
                passes.Length, threads, (pass, session, gradients) => Add(session, direction, passes[pass], 1f / batch.Length, gradients));
            optimiser.Step(lanes.Sum, rate, 1);
            progress?.Invoke(step + 1);
        }
        return Current(start, learnt);
    }

    /// <summary>Adds the gradient of the loss with respect to the direction's parts to <paramref name="gradients"/>.</summary>
    /// <returns>The loss.</returns>
    internal static double Add(ISession session, Direction direction, IReadOnlyList<(LearningRun Run, int Sign)> batch,
        float weight, Gradients gradients)
    {
        var sites = direction.Parts.Select(p => p.Site).Distinct().ToList();
        var derivatives = batch.Select(_ => Trace.ForGradients(sites)).ToList();
        var loss = 0.0;
        session.Differentiate(
            [
                .. batch.Select(
                    (b, i) => new GradientPlan(b.Run.Run.Prompt, direction.At("learning", b.Sign, b.Run.Run.Prompt.Span), derivatives[i])),
            ],
            new LossGradient(ReadsLogits: true, (i, logits) =>
            {
                var (run, sign) = batch[i];
                loss += CrossEntropy.Row(logits, sign == run.Run.Sense ? run.Entities.Following : run.Entities.Competing, weight);
            }),
            direction.Parts.Min(p => p.Layer));
        for (var i = 0; i < batch.Count; i++)
            Collect(session.Engine.Shape, direction, batch[i].Run.Run.Prompt, batch[i].Sign, derivatives[i], gradients);
        return loss;
    }

    private static void Collect(DecoderShape shape, Direction direction, Prompt prompt, int sign, Trace derivatives, Gradients gradients)
    {
        for (var i = 0; i < direction.Parts.Count; i++)
        {
            var part = direction.Parts[i];
            var (values, columns) = (derivatives[part.Site, part.Layer], shape.Width(part.Site));
            var into = gradients[NameOf(i)];
            var positions = prompt.Span(part.Span!.Value);
            for (var p = 0; p < positions.Count; p++)
            {
                if (part.RowAt(positions.Count - 1 - p) is not { } row) continue;
                var block = values.AsSpan(positions[p] * columns + (part.Head ?? 0) * part.Rows.Width, part.Rows.Width);
                for (var k = 0; k < block.Length; k++) into[row * part.Rows.Width + k] += sign * block[k];
            }
        }
    }

    private static Direction Current(Direction start, Parameters learnt) =>
        new(start.Name, [.. start.Parts.Select((p, i) => p with { Rows = new DonorRows(learnt[NameOf(i)].ToArray(), p.Rows.Count) })]);

    internal static string NameOf(int part) => $"part{part}";

    /// <summary>All values, row-major.</summary>
    internal static float[] Values(DonorRows rows) => [.. Enumerable.Range(0, rows.Count).SelectMany(i => rows[i].ToArray())];
}
