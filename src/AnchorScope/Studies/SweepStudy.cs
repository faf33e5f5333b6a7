using System.Diagnostics;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Studies;

/// <summary>How a sweep is run. These options do not change any number.</summary>
/// <param name="Memory">Bytes for the recorded run and activations; null: <see cref="SweepCost.DefaultMemory"/>, or more if needed.</param>
/// <param name="Threads">Number of threads.</param>
/// <param name="Naive">Whether each variant is a full pass from the embeddings: the reference that the sweep is checked against.</param>
internal sealed record SweepOptions(long? Memory, int Threads, bool Naive);

/// <summary>Runs every variant of one prompt and writes the rows to a file.</summary>
internal sealed class SweepStudy
{
    private readonly VisionLanguageModel _model;
    private readonly Prompt _prompt;
    private readonly IReadOnlyList<Intervention> _interventions;
    private readonly SweepOptions _options;

    /// <summary>Validates everything and computes the cost; no pass is run yet.</summary>
    /// <exception cref="InputException">An intervention does not fit, or the memory is too small.</exception>
    public SweepStudy(VisionLanguageModel model, Prompt prompt, IReadOnlyList<Intervention> interventions, SweepOptions options)
    {
        (_model, _prompt, _interventions, _options) = (model, prompt, interventions, options);
        foreach (var intervention in interventions) intervention.Validate(model.Engine.Shape, prompt.Length);
        Cost = SweepCost.Of(model.Engine, prompt, interventions, options.Memory, options.Threads);
    }

    /// <summary>The cost of the sweep and its saving.</summary>
    public SweepCost Cost { get; }

    /// <summary>Duration of the recorded run in seconds, from which the rest is predicted; 0 before it is done.</summary>
    public double BaselineSeconds { get; private set; }

    /// <summary>Predicted duration of all variants in seconds, at the rate of the recorded run with the same number of threads.</summary>
    public double PredictedSeconds => BaselineSeconds * Cost.Operations / Cost.BaselineOperations;

    /// <summary>Runs the variants without a row in <paramref name="file"/>. Each pass is on disk when it is done.</summary>
    /// <param name="progress">Called with the number of finished variants.</param>
    /// <param name="recorded">Called when <see cref="PredictedSeconds"/> is known, before the first variant; not called if naive.</param>
    public void Run(SweepFile file, Action<int>? progress = null, Action? recorded = null, CancellationToken cancel = default)
    {
        if (file.Missing.Count == 0) return;
        if (_model.Checkpoint.IsSmall) _model.Pack();
        if (_options.Naive) Naive(file, progress, cancel);
        else Planned(file, progress, recorded, cancel);
    }

    private void Planned(SweepFile file, Action<int>? progress, Action? recorded, CancellationToken cancel)
    {
        var missing = file.Missing;
        var from = SweepCost.FirstOf(missing.Select(i => _interventions[i]), _prompt);
        using var baseline = Record(from, cancel);
        recorded?.Invoke();
        var passes = Sweep.Plan(_model.Engine, [.. missing.Select(i => new SweepItem(baseline, _interventions[i]))],
            [Readout.Output], Cost.RowsPerPass);
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
        using var session = _model.OpenSession(
            new SessionOptions { Threads = _options.Threads, Cancel = cancel, ReservedBytes = Room(_prompt.Length) });
        var started = Stopwatch.GetTimestamp();
        var recorded = session.Record(_prompt, new RecordOptions { From = from });
        BaselineSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return recorded;
    }

    // Reserved as one chunk, because many small chunks leave gaps. Pages that are not needed are never touched.
    private long Room(int rows) => 2 * rows * Cost.BytesPerRow;

    private void Naive(SweepFile file, Action<int>? progress, CancellationToken cancel)
    {
        var missing = file.Missing;
        Each(missing.Count, (i, session) =>
        {
            var row = file.Row(missing[i], Sweep.FullPass(session, _prompt, _interventions[missing[i]]));
            lock (file)
            {
                file.Add([(missing[i], row)]);
                progress?.Invoke(_interventions.Count - file.Missing.Count);
            }
        }, cancel);
    }

    private void Each(int count, Action<int, ISession> body, CancellationToken cancel) => Workers.Each(
        _model.Engine, count, _options.Threads, (session, _) => i => body(i, session), cancel, reservedBytes: Room(Cost.RowsPerPass));
}
