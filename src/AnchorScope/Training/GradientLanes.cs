using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Training;

/// <summary>
/// The derivatives of a batch's loss on several threads, with the same bits whatever their number: the batch is cut into passes, pass i belongs to lane i modulo the number of lanes, a lane is
/// one thread's work at a time and adds its passes in order, and lanes are added in order.
/// </summary>
public sealed class GradientLanes : IDisposable
{
    private readonly Lane[] _lanes;
    private readonly CancellationToken _cancel;

    // Memory of activations: one for each thread, as there may be many more lanes.
    private readonly List<Worker> _workers = [];

    /// <param name="tensors">What the derivatives are taken by.</param>
    /// <param name="lanes">How many; part of what decides the bits, and the most threads that find work.</param>
    /// <param name="cancel">Ends a pass in its middle.</param>
    public GradientLanes(IReadOnlyCollection<TensorEntry> tensors, int lanes, CancellationToken cancel = default) =>
        (_lanes, _cancel) = ([.. Enumerable.Range(0, lanes).Select(_ => new Lane(tensors))], cancel);

    /// <summary>The derivatives of the last <see cref="Of(int, int, Func{int, Compute, Gradients, double})"/>.</summary>
    public Gradients Sum => _lanes[0].Gradients;

    /// <summary>The loss of <paramref name="batch"/>, whose derivatives are then in <see cref="Sum"/>.</summary>
    /// <param name="model">Opened over parameters, so that it sees their changes.</param>
    /// <param name="together">Sequences that share a pass.</param>
    /// <param name="threads">Threads.</param>
    public double Of(VisionLanguageModel model, IReadOnlyList<TrainingSequence> batch, int together, TapeKind kind, int threads)
    {
        var passes = batch.Chunk(together).ToArray();
        return Of(passes.Length, threads, (pass, compute, gradients) => TrainingSequence.Add(model, passes[pass], kind, compute, gradients));
    }

    /// <summary>The same of anything: <paramref name="add"/> adds the derivatives of a pass and returns its loss.</summary>
    public double Of(int passes, int threads, Func<int, Compute, Gradients, double> add)
    {
        var next = -1;
        void Work(Worker worker)
        {
            for (var l = Interlocked.Increment(ref next); l < _lanes.Length; l = Interlocked.Increment(ref next))
            {
                var lane = _lanes[l];
                lane.Gradients.Clear();
                lane.Loss = 0;
                for (var pass = l; pass < passes; pass += _lanes.Length) lane.Loss += add(pass, worker.Compute, lane.Gradients);
            }
        }
        var count = Math.Min(threads, _lanes.Length);
        while (_workers.Count < count) _workers.Add(new Worker(_cancel));
        var others = _workers.Take(count).Skip(1).Select(worker => Task.Factory.StartNew(() => Work(worker), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        try
        {
            Work(_workers[0]);
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
        foreach (var worker in _workers) worker.Dispose();
    }

    private sealed class Lane(IReadOnlyCollection<TensorEntry> tensors)
    {
        public Gradients Gradients { get; } = new(tensors);

        public double Loss { get; set; }
    }

    private sealed class Worker(CancellationToken cancel) : IDisposable
    {
        private readonly Arena _arena = new();
        private readonly Team _team = new(1, cancel);

        public Compute Compute => new(_arena, _team);

        public void Dispose()
        {
            _team.Dispose();
            _arena.Dispose();
        }
    }
}
