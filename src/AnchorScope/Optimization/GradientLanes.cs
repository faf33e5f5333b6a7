using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Tensors;

namespace AnchorScope.Optimization;

/// <summary>
/// Computes the gradient of a batch's loss on several threads, with the same bits whatever the number of threads. The batch is split into
/// passes; pass i belongs to lane i modulo the number of lanes. Only one thread at a time works on a lane and adds its passes in order. The
/// lanes are then summed in order.
/// </summary>
internal sealed class GradientLanes : IDisposable
{
    private readonly Lane[] _lanes;
    private readonly IEngine _engine;
    private readonly CancellationToken _cancel;

    // One session, with memory for activations, per thread, because there may be many more lanes than threads.
    private readonly List<ISession> _sessions = [];

    /// <param name="engine">The engine that computes.</param>
    /// <param name="tensors">The tensors whose gradients are computed.</param>
    /// <param name="lanes">Number of lanes. It affects the bits and is the maximum number of threads that are used.</param>
    /// <param name="cancel">Cancels in the middle of a pass.</param>
    public GradientLanes(IEngine engine, IReadOnlyCollection<TensorEntry> tensors, int lanes, CancellationToken cancel = default) =>
        (_engine, _lanes, _cancel) = (engine, [.. Enumerable.Range(0, lanes).Select(_ => new Lane(tensors))], cancel);

    /// <summary>The gradients of the last <see cref="Of"/>.</summary>
    public Gradients Sum => _lanes[0].Gradients;

    /// <summary>
    /// Computes the loss and leaves its gradients in <see cref="Sum"/>. <paramref name="add"/> adds the gradients of a pass and returns its
    /// loss.
    /// </summary>
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
        var others = _sessions.Take(count).Skip(1).Select(
            session => Task.Factory.StartNew(() => Work(session), CancellationToken.None, TaskCreationOptions.LongRunning,
                TaskScheduler.Default)).ToArray();
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
