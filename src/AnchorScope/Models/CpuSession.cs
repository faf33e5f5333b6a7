using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>A session on the CPU: an arena for activations and a team of threads.</summary>
internal sealed class CpuSession : ISession
{
    private readonly CpuEngine _engine;
    private readonly Compute _compute;
    private readonly bool _owned;
    // Memory of finished sequences, which later generations reuse.
    private readonly SpareArenas _spare = new();
    private bool _disposed;

    public CpuSession(CpuEngine engine, SessionOptions options, KernelFamily family = KernelFamily.Panel)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Threads, 1);
        _engine = engine;
        _owned = true;
        var arena = new Arena();
        if (options.ReservedBytes > 0) arena.Reserve(options.ReservedBytes);
        _compute = new Compute(arena, new Team(options.Threads, options.Cancel), family);
    }

    /// <summary>A session that uses memory and threads owned by the caller.</summary>
    public CpuSession(CpuEngine engine, Compute compute) => (_engine, _compute) = (engine, compute);

    /// <inheritdoc/>
    public IEngine Engine => _engine;

    /// <summary>Memory, threads and kernel, for what runs only on the CPU: training, tuning and the proofs of baking.</summary>
    public Compute Compute
    {
        get
        {
            ThrowIfDisposed();
            return _compute;
        }
    }

    /// <summary>Memory and threads of a CPU session.</summary>
    /// <exception cref="NotSupportedException">The session is of another engine.</exception>
    public static Compute ComputeOf(ISession session) =>
        (session as CpuSession)?.Compute ?? throw new NotSupportedException(
            $"training, tuning and proofs of baking run only on the CPU, not on {session.Engine.Numerics}");

    private Decoder Decoder => _engine.Decoder;

    private DecoderShape Shape => _engine.Shape;

    /// <inheritdoc/>
    public float[] Features(PixelValues pixels, VisionTrace? trace = null) =>
        Kept(compute => _engine.Model.Features(pixels, compute, trace).ToArray());

    /// <inheritdoc/>
    public void Embed(ReadOnlySpan<int> tokens, Span<float> rows)
    {
        ThrowIfDisposed();
        Decoder.Embed(tokens, rows);
    }

    /// <inheritdoc/>
    public IRecordedRun Record(Prompt prompt, RecordOptions? options = null) =>
        Kept(compute => RecordedRun.Record(Decoder, prompt, compute, options));

    /// <inheritdoc/>
    public float[] Forward(Prompt prompt, Intervention intervention, Trace? trace = null, int generated = 0)
    {
        var edits = EditIndex.Of(prompt.Steered(intervention), Shape, prompt.Length, generated);
        return Kept(compute =>
        {
            var entry = Tensor.From(compute.Arena, prompt.Embeddings, prompt.Length, Shape.ModelSize);
            var run = new RowBlock(entry, prompt.Coordinates, 0, edits) { Traces = trace is null ? [] : [trace] };
            return Decoder.Forward(new Pass(Shape, [run], compute)).ToArray();
        });
    }

    /// <inheritdoc/>
    public void Run(IReadOnlyList<RunPlan> runs, IReadOnlyList<Readout> readouts, TakeLogits take) => Kept(compute =>
    {
        PlanCheck.Check(_engine, runs, readouts);
        CpuPass.Run(Decoder, runs, readouts, take, compute);
        return 0;
    });

    /// <inheritdoc/>
    public void Differentiate(IReadOnlyList<GradientPlan> runs, LossGradient loss, int lowestLayer = 0) => Kept(compute =>
    {
        CpuGradient.Of(Decoder, runs, loss, lowestLayer, compute);
        return 0;
    });

    /// <inheritdoc/>
    public ISequenceState Begin(Prompt prompt, Intervention intervention, int tokens, IRecordedRun? past = null)
    {
        ThrowIfDisposed();
        return new CpuSequence(Decoder, prompt, intervention, tokens, past, _spare);
    }

    /// <inheritdoc/>
    public void Step(IReadOnlyList<SequenceRows> rows, TakeLogits take) => Kept(compute =>
    {
        CpuPass.Step(Decoder, rows, take, compute);
        return 0;
    });

    /// <inheritdoc/>
    public float[] Unembed(ReadOnlySpan<float> rows, bool finalNorm = true, IReadOnlyList<int>? tokens = null)
    {
        foreach (var token in tokens ?? [])
        {
            if (token < 0 || token >= Decoder.VocabularySize)
                throw new InputException($"token: expected 0 to {Decoder.VocabularySize - 1}, found {token}");
        }
        var (compute, mark) = (Compute, Compute.Arena.Here());
        try
        {
            return Decoder.Unembed(Rows(rows), compute, finalNorm, tokens).ToArray();
        }
        finally
        {
            compute.Arena.Release(mark);
        }
    }

    /// <inheritdoc/>
    public float[] FinalNorm(ReadOnlySpan<float> rows)
    {
        var (compute, mark) = (Compute, Compute.Arena.Here());
        try
        {
            return Decoder.FinalNorm(Rows(rows), compute).ToArray();
        }
        finally
        {
            compute.Arena.Release(mark);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_owned && !_disposed)
        {
            _compute.Team.Dispose();
            _compute.Arena.Dispose();
        }
        _spare.Dispose();
        _disposed = true;
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(ISession));
        _engine.ThrowIfDisposed();
    }

    private Tensor Rows(ReadOnlySpan<float> rows) => Tensor.From(Compute.Arena, rows, rows.Length / Shape.ModelSize, Shape.ModelSize);

    /// <summary>Calls <paramref name="body"/>, then releases the arena memory it allocated.</summary>
    private T Kept<T>(Func<Compute, T> body)
    {
        var (compute, mark) = (Compute, Compute.Arena.Here());
        try
        {
            return body(compute);
        }
        finally
        {
            // After an error, too: a session outlives it.
            compute.Arena.Release(mark);
        }
    }
}
