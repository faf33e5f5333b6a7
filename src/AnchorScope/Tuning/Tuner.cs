using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Optimization;

namespace AnchorScope.Tuning;

/// <summary>Result of a training.</summary>
/// <param name="Steps">Number of steps done.</param>
/// <param name="Best">The point whose state was kept: the smallest total on the validation set, the first of equal ones. Step 0 is the
/// original.</param>
/// <param name="Curve">All points.</param>
internal sealed record TuningRun(int Steps, TuningPoint Best, IReadOnlyList<TuningPoint> Curve);

/// <summary>
/// The training loop: batches, gradients, steps, and regular measurements on the validation set, which end it when there is no improvement.
/// The result depends only on data and options.
/// </summary>
internal sealed class Tuner(VisionLanguageModel original, TuningData train, TuningData validate, TuningOptions options, int threads)
{
    // They determine the order of sums.
    private const int ItemsPerPass = 8, Lanes = 4;
    private const int WarmUp = 10;
    private const double LongestGradient = 1;
    private const ulong KeptSeed = 0x6B656570;
    private const long StoredAtMost = 512L << 20;

    private static readonly AdamWOptions Adam = new(0.9f, 0.98f, 1e-8f, 0);

    private readonly IReadOnlyList<TuningItem> _validation = options.Keep > 0 ? validate.Items : validate.Conflicts;
    private readonly TuningOrder _conflicts = new(train.Conflicts, options.Seed);
    private readonly TuningOrder _kept = new(train.Kept, options.Seed ^ KeptSeed);

    /// <summary>The loss on the validation set; smaller is better.</summary>
    public TuningLoss Measure(VisionLanguageModel model, CancellationToken cancel) =>
        TuningObjective.Of(_validation, TuningData.Measure(model, _validation, threads, cancel), options.Keep);

    /// <summary>
    /// Trains, or resumes from the state in <paramref name="folder"/>. Afterwards <paramref name="tunable"/> has the best state.
    /// </summary>
    /// <param name="progress">Called with the number of steps and the last point.</param>
    public TuningRun Run(Tunable tunable, double rate, string folder, Action<int, TuningPoint>? progress = null,
        CancellationToken cancel = default)
    {
        Directory.CreateDirectory(folder);
        using var model = VisionLanguageModel.Of(Checkpoint.Over(original.Checkpoint, tunable.Weights));
        using var best = Parameters.Zeros("best", tunable.Learnt.Entries.Select(e => (e.Name, e.Shape)));
        var trained = new Trained { Model = model, Tunable = tunable, Rate = rate, Best = best, Folder = folder };
        var state = TuningState.Find(folder);
        var curve = state?.Curve.ToList() ?? [];
        if (state is { Finished: false } or null) Train(trained, state, curve, progress, cancel);
        else state.ReadBest(folder, best);
        Copy(best, tunable.Learnt);
        tunable.Apply();
        progress?.Invoke(options.Steps, curve[^1]);
        return new TuningRun(curve[^1].Step, curve.MinBy(p => p.Validation.Total)!, curve);
    }

    /// <summary>What is trained, and how.</summary>
    private sealed record Trained
    {
        /// <summary>The original with the weights of <see cref="Tunable"/>.</summary>
        public required VisionLanguageModel Model { get; init; }

        public required Tunable Tunable { get; init; }

        /// <summary>Learning rate.</summary>
        public required double Rate { get; init; }

        /// <summary>Receives the best state.</summary>
        public required Parameters Best { get; init; }

        /// <summary>Folder of the state that a later run resumes from.</summary>
        public required string Folder { get; init; }
    }

    private void Train(
        Trained trained, TuningState? state, List<TuningPoint> curve, Action<int, TuningPoint>? progress, CancellationToken cancel)
    {
        var (model, tunable, best, folder) = (trained.Model, trained.Tunable, trained.Best, trained.Folder);
        using var lanes = new GradientLanes(model.Engine, tunable.Weights.Entries, Lanes, cancel);
        using var optimiser = new AdamW(tunable.Learnt, tunable.Learnt.Entries, Adam);
        if (state is null)
        {
            curve.Add(new TuningPoint(0, null, Measure(model, cancel)));
            Copy(tunable.Learnt, best);
        }
        else
        {
            state.Read(folder, tunable.Learnt, optimiser);
            state.ReadBest(folder, best);
            tunable.Apply();
        }
        var (loss, since) = (0.0, curve[^1].Step);
        for (var step = since; step < options.Steps; step++)
        {
            cancel.ThrowIfCancellationRequested();
            loss += Step(trained, lanes, optimiser, step);
            var done = step + 1;
            progress?.Invoke(done, curve[^1]);
            if (done % options.MeasureEvery != 0 && done != options.Steps) continue;
            var lowest = curve.Min(p => p.Validation.Total);
            curve.Add(new TuningPoint(done, loss / (done - since), Measure(model, cancel)));
            (loss, since) = (0, done);
            if (curve[^1].Validation.Total < lowest) Copy(tunable.Learnt, best);
            var ended = done == options.Steps || curve.Count - 1 - curve.IndexOf(curve.MinBy(p => p.Validation.Total)!) >= options.Patience;
            TuningState.Keep(folder, done, ended, tunable.Learnt, best, optimiser, curve);
            if (ended) return;
        }
    }

    private double Step(Trained trained, GradientLanes lanes, AdamW optimiser, int step)
    {
        var (model, tunable) = (trained.Model, trained.Tunable);
        var kept = options.Keep > 0 ? (options.Batch + 1) / 2 : 0;
        var shares = _conflicts.From((long)step * options.Batch, options.Batch)
            .Select(i => new TuningObjective.Share(i, 1.0 / options.Batch))
            .Concat(_kept.From((long)step * kept, kept).Select(i => new TuningObjective.Share(i, options.Keep / kept)));
        var passes = shares.Chunk(ItemsPerPass).ToArray();
        var kind = original.Checkpoint.WeightBytes < StoredAtMost ? TapeKind.Store : TapeKind.Recompute;
        var loss = lanes.Of(passes.Length, threads,
            (pass, session, gradients) => TuningObjective.Add(model.Decoder, passes[pass], kind, CpuSession.ComputeOf(session), gradients));
        var gradients = tunable.Backward(lanes.Sum);
        var length = gradients.Norm;
        if (!double.IsFinite(length)) throw new InputException($"the gradient of step {step} is not finite; a lower --rate may help");
        optimiser.Step(
            gradients, trained.Rate * Math.Min(1, (step + 1.0) / WarmUp), length > LongestGradient ? LongestGradient / length : 1);
        tunable.Apply();
        return loss;
    }

    private static void Copy(Parameters from, Parameters to)
    {
        foreach (var entry in from.Entries) from[entry.Name].CopyTo(to[entry.Name]);
    }
}
