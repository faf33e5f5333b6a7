using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>A variant of a sweep: one prompt under one intervention.</summary>
/// <param name="Recorded">The prompt and its recorded run.</param>
/// <param name="Intervention">The edits of the variant.</param>
public sealed record SweepItem(IRecordedRun Recorded, Intervention Intervention);

/// <summary>
/// Runs many variants and computes only the part of each that can differ and is read. A variant starts at its corner (the first layer,
/// after attention if that is unchanged, and the first position it can change), shares the frozen key/value prefix of its prompt, and ends
/// at the last layer and position that are read. Variants are packed as rows of one pass, so that each weight is read once for all of them.
/// </summary>
/// <remarks>Exact: every variant has the bits of a separate full run (tests: LawTests, SweepTests).</remarks>
public static class Sweep
{
    /// <summary>Rows per pass: enough to amortise packing weights, few enough for activations to stay in cache.</summary>
    public const int DefaultRows = 512;

    /// <summary>Logits at the last position of every variant of one recorded run, in their order [variant][vocabulary].</summary>
    /// <param name="rowsPerPass">Maximum number of rows per pass. A larger variant gets its own pass.</param>
    /// <exception cref="InputException">An intervention does not fit the model or the prompt, or has no effect: then
    /// nothing was computed. Or a logit is infinite or NaN.</exception>
    public static IReadOnlyList<float[]> Run(
        ISession session, IRecordedRun recorded, IEnumerable<Intervention> interventions, int rowsPerPass = DefaultRows,
        CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(interventions);
        SweepItem[] items = [.. interventions.Select(i => new SweepItem(recorded, i))];
        var logits = new float[items.Length][];
        LastLogits(session, items, (i, read) =>
        {
            LogitRange.Check(read, items[i].Intervention.Name);
            logits[i] = read.ToArray();
        }, rowsPerPass, cancel);
        return logits;
    }

    /// <summary>Logits at the last position of every variant.</summary>
    /// <param name="session">The session that computes them.</param>
    /// <param name="items">Any mixture of prompts and interventions. All are validated before anything runs.</param>
    /// <param name="take">Called with the index of the variant and its logits [vocabulary], in the order of the passes. The logits are
    /// valid only during the call, and not checked: they may be infinite or NaN.</param>
    /// <param name="rowsPerPass">Maximum number of rows per pass. A larger variant gets its own pass.</param>
    public static void LastLogits(
        ISession session, IReadOnlyList<SweepItem> items, Action<int, ReadOnlySpan<float>> take, int rowsPerPass = DefaultRows,
        CancellationToken cancel = default) =>
        Run(session, items, [Readout.Output], (item, _, logits) => take(item, logits), rowsPerPass, cancel);

    /// <summary>Reads all <paramref name="readouts"/> of every variant.</summary>
    /// <inheritdoc cref="LastLogits"/>
    public static void Run(
        ISession session, IReadOnlyList<SweepItem> items, IReadOnlyList<Readout> readouts, TakeLogits take, int rowsPerPass = DefaultRows,
        CancellationToken cancel = default)
    {
        foreach (var recorded in items.Select(item => item.Recorded).Distinct()) session.Check(recorded);
        foreach (var pass in Plan(session.Engine, items, readouts, rowsPerPass))
        {
            cancel.ThrowIfCancellationRequested();
            pass.Run(session, take);
        }
    }

    /// <summary>
    /// The passes of <see cref="Run(ISession, IReadOnlyList{SweepItem}, IReadOnlyList{Readout}, TakeLogits, int, CancellationToken)"/>.
    /// They may be run in any order, each by any session of the engine.
    /// </summary>
    /// <exception cref="InputException">An intervention or a readout does not fit the model or the prompt.</exception>
    internal static IReadOnlyList<SweepPass> Plan(IEngine engine, IReadOnlyList<SweepItem> items, IReadOnlyList<Readout> readouts,
        int rowsPerPass = DefaultRows)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rowsPerPass, 1);
        if (readouts.Count == 0) throw new ArgumentException("expected at least one readout, found none", nameof(readouts));
        var shape = engine.Shape;
        foreach (var recorded in items.Select(v => v.Recorded).Distinct())
        {
            foreach (var readout in readouts) readout.Validate(engine, recorded.Prompt);
        }
        foreach (var (recorded, intervention) in items) recorded.Prompt.Steered(intervention).Validate(shape, recorded.Prompt.Length);
        foreach (var (recorded, intervention) in items)
        {
            if (intervention.FirstPosition < recorded.From)
                throw new InputException(
                    $"{intervention.Name}: changes position {intervention.FirstPosition}, but the run was recorded for "
                        + $"changes from position {recorded.From} on (RecordOptions.From)");
        }
        var changes = Change.Of(shape, items.Select(v => v.Intervention), i => items[i].Recorded.Prompt, readouts);
        var groups = Change.GroupByTrunk(changes, readouts.Min(r => r.LayerIn(shape)), rowsPerPass);
        return [.. Passes([.. groups.Select(g => g.Sum(c => c.Corner.Rows))], rowsPerPass).Select(p => new SweepPass(
            [.. groups.GetRange(p.First, p.Count).SelectMany(g => g)
                .OrderBy(c => c.Corner.Layer).ThenBy(c => c.Corner.AfterAttention).Select(c => new PlannedVariant(
                    items[c.Variants[0]].Recorded, c))], readouts))];
    }

    /// <summary>Divides variants into passes: in their order, as many per pass as fit, but at least one.</summary>
    /// <param name="rows">Number of rows of every variant.</param>
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

    /// <summary>
    /// The reference for the sweep: one full pass from the embeddings for one intervention. Returns the logits of the last position.
    /// </summary>
    public static float[] FullPass(ISession session, Prompt prompt, Intervention intervention)
    {
        prompt.Steered(intervention).Validate(session.Engine.Shape, prompt.Length);
        return session.Unembed(session.Forward(prompt, intervention).AsSpan(^session.Engine.Shape.ModelSize..));
    }
}
