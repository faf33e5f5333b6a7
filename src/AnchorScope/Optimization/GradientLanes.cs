using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Tensors;

namespace AnchorScope.Optimization;

/// <summary>
/// The derivatives of a batch's loss on several threads, with the same bits whatever their number: the batch is cut into passes, pass i belongs to lane i modulo the number of lanes, a lane is
/// one thread's work at a time and adds its passes in order, and lanes are added in order.
/// </summary>
internal sealed class GradientLanes : IDisposable
{
    private readonly Lane[] _lanes;
    private readonly IEngine _engine;
    private readonly CancellationToken _cancel;

    // Memory of activations: one for each thread, as there may be many more lanes.
    private readonly List<ISession> _sessions = [];

    /// <param name="engine">What computes.</param>
    /// <param name="tensors">What the derivatives are taken by.</param>
    /// <param name="lanes">How many; part of what decides the bits, and the most threads that find work.</param>
    /// <param name="cancel">Ends a pass in its middle.</param>
    public GradientLanes(IEngine engine, IReadOnlyCollection<TensorEntry> tensors, int lanes, CancellationToken cancel = default) =>
        (_engine, _lanes, _cancel) = (engine, [.. Enumerable.Range(0, lanes).Select(_ => new Lane(tensors))], cancel);

    /// <summary>The derivatives of the last <see cref="Of"/>.</summary>
    public Gradients Sum => _lanes[0].Gradients;

    /// <summary>The loss, whose derivatives are then in <see cref="Sum"/>: <paramref name="add"/> adds the derivatives of a pass and returns its loss.</summary>
    public double Of(int passes, int threads, Func<int, ISession, Gradients, double> add)
    {
        var next = -1;
        void Work(ISession session)
        {
            for (var l = Interlocked.Increment(ref next); l < _lanes.Length; l = Interlocked.Increment(ref next))
            {
                var lane = _lanes[l];
                lane.Gradients.Clear();
                lane.Loss = 0;
                for (var pass = l; pass < passes; pass += _lanes.Length) lane.Loss += add(pass, session, lane.Gradients);
            }
        }
        var count = Math.Min(threads, _lanes.Length);
        while (_sessions.Count < count) _sessions.Add(_engine.Open(new SessionOptions { Cancel = _cancel }));
        var others = _sessions.Take(count).Skip(1).Select(session => Task.Factory.StartNew(() => Work(session), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        try
        {
            Work(_sessions[0]);
        }
        finally
        {
            Task.WaitAll(others);
        }
        foreach (var lane in _lanes.AsSpan(1)) Sum.Add(lane.Gradients);
        return _lanes.Sum(lane => lane.Loss);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var lane in _lanes) lane.Gradients.Dispose();
        foreach (var session in _sessions) session.Dispose();
    }

    private sealed class Lane(IReadOnlyCollection<TensorEntry> tensors)
    {
        public Gradients Gradients { get; } = new(tensors);

        public double Loss { get; set; }
    }
}
