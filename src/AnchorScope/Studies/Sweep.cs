using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>One prompt under one intervention: what a sweep runs.</summary>
/// <param name="Recorded">The prompt and its recorded run.</param>
/// <param name="Intervention">What is changed.</param>
public sealed record SweepItem(IRecordedRun Recorded, Intervention Intervention);

/// <summary>
/// Runs many variants, computing only what each can change and what is read: a variant starts at its corner (first layer, after attention
/// where that stays as it was; first position), shares the frozen past of its prompt, ends at the last layer and position that are read, and is
/// packed with others as rows of one pass, so a weight is read once for all of them.
/// </summary>
/// <remarks>Exact: every variant has the bits of a full run of its own (tests: LawTests, SweepTests).</remarks>
public static class Sweep
{
    /// <summary>Rows over which the cost of packing weights is spread while activations still fit in cache.</summary>
    public const int DefaultRows = 512;

    /// <summary>Logits at the last position of every variant of one recorded run, in their order [variant][vocabulary].</summary>
    /// <exception cref="InputException">An intervention does not fit the model or the prompt, or does nothing; nothing was computed.</exception>
    public static IReadOnlyList<float[]> Run(
        ISession session, IRecordedRun recorded, IEnumerable<Intervention> interventions, int rowsPerPass = DefaultRows, CancellationToken cancel = default)
    {
        SweepItem[] items = [.. interventions.Select(i => new SweepItem(recorded, i))];
        var logits = new float[items.Length][];
        LastLogits(session, items, (i, read) => logits[i] = read.ToArray(), rowsPerPass, cancel);
        return logits;
    }

    /// <summary>Logits at the last position of every variant.</summary>
    /// <param name="session">Where they are computed.</param>
    /// <param name="items">Any mixture of prompts and interventions, each checked before anything runs.</param>
    /// <param name="take">Called with the index of the variant and its logits [vocabulary], in the order of the passes; valid during the call.</param>
    /// <param name="rowsPerPass">How many rows a pass may carry; a larger variant gets a pass of its own.</param>
    public static void LastLogits(
        ISession session, IReadOnlyList<SweepItem> items, Action<int, ReadOnlySpan<float>> take, int rowsPerPass = DefaultRows, CancellationToken cancel = default) =>
        Run(session, items, [Readout.Output], (item, _, logits) => take(item, logits), rowsPerPass, cancel);

    /// <summary>Reads every one of <paramref name="readouts"/> from every variant.</summary>
    /// <inheritdoc cref="LastLogits"/>
    public static void Run(
        ISession session, IReadOnlyList<SweepItem> items, IReadOnlyList<Readout> readouts, TakeLogits take, int rowsPerPass = DefaultRows, CancellationToken cancel = default)
    {
        foreach (var pass in Plan(session.Engine, items, readouts, rowsPerPass))
        {
            cancel.ThrowIfCancellationRequested();
            pass.Run(session, take);
        }
    }

    /// <summary>The passes of <see cref="Run(ISession, IReadOnlyList{SweepItem}, IReadOnlyList{Readout}, TakeLogits, int, CancellationToken)"/>, which may be run in any order, each by any session of the engine.</summary>
    /// <exception cref="InputException">An intervention or a readout does not fit the model or the prompt.</exception>
    public static IReadOnlyList<SweepPass> Plan(IEngine engine, IReadOnlyList<SweepItem> items, IReadOnlyList<Readout> readouts, int rowsPerPass = DefaultRows)
    {
        if (readouts.Count == 0) throw new ArgumentException("a sweep that reads nothing", nameof(readouts));
        var shape = engine.Shape;
        foreach (var recorded in items.Select(v => v.Recorded).Distinct())
        {
            foreach (var readout in readouts) readout.Validate(engine, recorded.Prompt);
        }
        foreach (var (recorded, intervention) in items) recorded.Prompt.Steered(intervention).Validate(shape, recorded.Prompt.Length);
        var changes = Change.Of(shape, items.Select(v => v.Intervention), i => items[i].Recorded.Prompt, readouts);
        var together = Change.Together(changes, readouts.Min(r => r.LayerIn(shape)), rowsPerPass);
        return [.. Passes([.. together.Select(g => g.Sum(c => c.Corner.Rows))], rowsPerPass).Select(p => new SweepPass(
            [.. together.GetRange(p.First, p.Count).SelectMany(g => g).OrderBy(c => c.Corner.Layer).ThenBy(c => c.Corner.AfterAttention).Select(c => new PlannedVariant(items[c.Variants[0]].Recorded, c))], readouts))];
    }

    /// <summary>Which variants go together: as many as fit, in their order, one at least.</summary>
    /// <param name="rows">Of every variant.</param>
    internal static List<(int First, int Count)> Passes(IReadOnlyList<int> rows, int rowsPerPass)
    {
        var passes = new List<(int First, int Count)>();
        for (int first = 0, next = 0; first < rows.Count; first = next)
        {
            for (var sum = 0; next < rows.Count; next++)
            {
                sum += rows[next];
                if (next > first && sum > rowsPerPass) break;
            }
            passes.Add((first, next - first));
        }
        return passes;
    }

    /// <summary>The slow way, and the oracle of the fast one: a full pass from the embeddings for one intervention, logits of the last position.</summary>
    public static float[] Alone(ISession session, Prompt prompt, Intervention intervention)
    {
        prompt.Steered(intervention).Validate(session.Engine.Shape, prompt.Length);
        return session.Unembed(session.Forward(prompt, intervention).AsSpan(^session.Engine.Shape.ModelSize..));
    }
}
