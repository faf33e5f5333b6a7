using System.Diagnostics;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Studies;

/// <summary>How a sweep is run; nothing of it changes a number.</summary>
/// <param name="Memory">Bytes of the recorded run and of activations; null: <see cref="SweepCost.DefaultMemory"/>, or what is needed.</param>
/// <param name="Threads">Threads.</param>
/// <param name="Naive">One full pass a variant, from the embeddings: the slow way that the fast one is checked against.</param>
internal sealed record SweepOptions(long? Memory, int Threads, bool Naive);

/// <summary>Every variant of one prompt, into a file of rows.</summary>
internal sealed class SweepStudy
{
    private readonly VisionLanguageModel _model;
    private readonly Prompt _prompt;
    private readonly IReadOnlyList<Intervention> _interventions;
    private readonly SweepOptions _options;

    /// <summary>Checks everything and counts what it costs; nothing is computed yet.</summary>
    /// <exception cref="InputException">An intervention does not fit, or the memory is too small.</exception>
    public SweepStudy(VisionLanguageModel model, Prompt prompt, IReadOnlyList<Intervention> interventions, SweepOptions options)
    {
        (_model, _prompt, _interventions, _options) = (model, prompt, interventions, options);
        foreach (var intervention in interventions) intervention.Validate(model.Decoder.Shape, prompt.Length);
        Cost = SweepCost.Of(model.Engine, prompt, interventions, options.Memory, options.Threads);
    }

    /// <summary>What the plan computes, and what it saves.</summary>
    public SweepCost Cost { get; }

    /// <summary>Seconds that the recorded run took: what the rest is predicted from. 0 before it is done.</summary>
    public double BaselineSeconds { get; private set; }

    /// <summary>Seconds that all variants take at the rate of the recorded run, on as many threads.</summary>
    public double PredictedSeconds => BaselineSeconds * Cost.Operations / Cost.BaselineOperations;

    /// <summary>Runs the variants that <paramref name="file"/> has no row of; a pass is on disk when it is done.</summary>
    /// <param name="progress">Called with the number of variants that are done.</param>
    /// <param name="recorded">Called once <see cref="PredictedSeconds"/> is known, before the first variant; never when naive.</param>
    public void Run(SweepFile file, Action<int>? progress = null, Action? recorded = null, CancellationToken cancel = default)
    {
        if (file.Missing.Count == 0) return;
        if (_model.Checkpoint.IsSmall) _model.Decoder.Pack();
        if (_options.Naive) Naive(file, progress, cancel);
        else Planned(file, progress, recorded, cancel);
    }

    private void Planned(SweepFile file, Action<int>? progress, Action? recorded, CancellationToken cancel)
    {
        var missing = file.Missing;
        var from = SweepCost.FirstOf(missing.Select(i => _interventions[i]), _prompt);
        using var baseline = Record(from, cancel);
        recorded?.Invoke();
        var passes = Sweep.Plan(_model.Engine, [.. missing.Select(i => new SweepItem(baseline, _interventions[i]))], [Readout.Output], Cost.RowsPerPass);
        Each(passes.Count, (pass, session) =>
        {
            var rows = new List<(int, byte[])>();
            passes[pass].Run(session, (variant, _, logits) => rows.Add((missing[variant], file.Row(missing[variant], logits))));
            lock (file)
            {
                file.Add(rows);
                progress?.Invoke(_interventions.Count - file.Missing.Count);
            }
        }, cancel);
    }

    private IRecordedRun Record(int from, CancellationToken cancel)
    {
        using var session = _model.OpenSession(new SessionOptions { Threads = _options.Threads, Cancel = cancel, ReservedRows = Room(_prompt.Length) });
        var started = Stopwatch.GetTimestamp();
        var recorded = session.Record(_prompt, new RecordOptions { From = from });
        BaselineSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return recorded;
    }

    // In one piece, as many small ones leave gaps; what is too much of it is never touched.
    private static int Room(int rows) => 2 * rows;

    private void Naive(SweepFile file, Action<int>? progress, CancellationToken cancel)
    {
        var missing = file.Missing;
        Each(missing.Count, (i, session) =>
        {
            var row = file.Row(missing[i], Sweep.Alone(session, _prompt, _interventions[missing[i]]));
            lock (file)
            {
                file.Add([(missing[i], row)]);
                progress?.Invoke(_interventions.Count - file.Missing.Count);
            }
        }, cancel);
    }

    private void Each(int count, Action<int, ISession> body, CancellationToken cancel) => Workers.Each(
        _model.Engine, count, _options.Threads, (session, _) => i => body(i, session), cancel, reservedRows: Room(Cost.RowsPerPass));
}
