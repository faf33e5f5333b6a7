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
    private readonly Lifetime _lifetime;
    // The thread in a call, 0 for none, and the number of its nested calls.
    private int _thread;
    private int _depth;

    public CpuSession(CpuEngine engine, SessionOptions options, KernelFamily family = KernelFamily.Panel)
    {
        options.Validate();
        (_engine, _owned, _lifetime) = (engine, true, new Lifetime(typeof(ISession), Free));
        var arena = new Arena();
        if (options.ReservedBytes > 0) arena.Reserve(options.ReservedBytes);
        _compute = new Compute(arena, new Team(options.Threads, options.Cancel), family);
    }

    /// <summary>A session that uses memory and threads owned by the caller.</summary>
    public CpuSession(CpuEngine engine, Compute compute) =>
        (_engine, _compute, _lifetime) = (engine, compute, new Lifetime(typeof(ISession), Free));

    /// <inheritdoc/>
    public IEngine Engine => _engine;

    /// <summary>Memory, threads and kernel, for what runs only on the CPU: training, tuning and the proofs of baking.</summary>
    public Compute Compute
    {
        get
        {
            using var call = new Call(this);
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
        using var call = new Call(this);
        Decoder.Embed(tokens, rows);
    }

    /// <inheritdoc/>
    public IRecordedRun Record(Prompt prompt, RecordOptions? options = null) =>
        Kept(compute =>
        {
            Check(prompt);
            prompt.Steering.Validate(Shape, prompt.Length);
            return RecordedRun.Record(Decoder, prompt, compute, options);
        });

    /// <inheritdoc/>
    public float[] Forward(Prompt prompt, Intervention intervention, Trace? trace = null, int generated = 0)
    {
        return Kept(compute =>
        {
            Check(prompt, generated);
            if (trace?.Positions is [.., var highest] && highest >= prompt.Length)
                throw new ArgumentException($"trace: expected positions up to {prompt.Last}, found {highest}", nameof(trace));
            intervention.Validate(Shape, prompt.Length, generated);
            var edits = EditIndex.Of(prompt.Steered(intervention), Shape, prompt.Length, generated);
            var entry = Tensor.From(compute.Arena, prompt.Embeddings, prompt.Length, Shape.ModelSize);
            var run = new RowBlock(entry, prompt.Coordinates, 0, edits) { Traces = trace is null ? [] : [trace] };
            return Decoder.Forward(new Pass(Shape, [run], compute)).ToArray();
        });
    }

    /// <inheritdoc/>
    public void Check(IRecordedRun recorded)
    {
        using var call = new Call(this);
        _ = RecordedRun.Of(recorded, Decoder).KeyValues;
    }

    /// <inheritdoc/>
    public void Run(IReadOnlyList<RunPlan> runs, IReadOnlyList<Readout> readouts, TakeLogits take) => Kept(compute =>
    {
        using var used = RecordedRun.Enter(runs.Select(run => run.Recorded).Distinct().Select(run => RecordedRun.Of(run, Decoder)));
        PlanCheck.Check(_engine, runs, readouts);
        CpuPass.Run(Decoder, runs, readouts, take, compute);
        return 0;
    });

    /// <inheritdoc/>
    public void Differentiate(IReadOnlyList<GradientPlan> runs, LossGradient loss, int lowestLayer = 0) => Kept(compute =>
    {
        if (runs.Count == 0) throw new ArgumentException("expected at least one run, found none", nameof(runs));
        if (lowestLayer < 0 || lowestLayer >= Shape.Layers)
            throw new InputException($"lowest layer: expected 0 to {Shape.Layers - 1}, found {lowestLayer}");
        foreach (var run in runs) Check(run.Prompt);
        using var used = RecordedRun.Enter(
            runs.Select(run => run.Past).Distinct().Select(past => past is null ? null : RecordedRun.Of(past, Decoder)));
        CpuGradient.Of(Decoder, runs, loss, lowestLayer, compute);
        return 0;
    });

    /// <inheritdoc/>
    public ISequenceState Begin(Prompt prompt, Intervention intervention, int tokens, IRecordedRun? past = null)
    {
        using var call = new Call(this);
        Check(prompt, tokens - 1);
        using var used = RecordedRun.Enter([past is null ? null : RecordedRun.Of(past, Decoder)]);
        return CpuSequence.Of(Decoder, prompt, intervention, tokens, past, _spare);
    }

    /// <inheritdoc/>
    public ISequenceState Begin(Prompt prompt, Intervention intervention, int tokens, ISequencePrefix prefix, int count)
    {
        using var call = new Call(this);
        Check(prompt, tokens - 1);
        return CpuSequence.Of(Decoder, prompt, intervention, tokens, KeptPrefix.Of(prefix, Decoder), count, _spare);
    }

    /// <inheritdoc/>
    public ISequencePrefix Keep(ISequenceState sequence, int count)
    {
        using var call = new Call(this);
        return CpuSequence.Of(sequence, Decoder).Keep(count);
    }

    /// <inheritdoc/>
    public void Step(IReadOnlyList<SequenceRows> rows, TakeLogits take) => Kept(compute =>
    {
        CpuSequence[] sequences = [.. rows.Select(r => CpuSequence.Of(r.State, Decoder))];
        using var used = RecordedRun.Enter(sequences.Select(sequence => sequence.Recorded).Distinct());
        using var stepping = CpuSequence.Enter(sequences);
        CpuPass.Step(Decoder, sequences, rows, take, compute);
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
        using var call = new Call(this);
        return Decoder.Unembed(Rows(rows), _compute, finalNorm, tokens).ToArray();
    }

    /// <inheritdoc/>
    public float[] FinalNorm(ReadOnlySpan<float> rows)
    {
        using var call = new Call(this);
        return Decoder.FinalNorm(Rows(rows), _compute).ToArray();
    }

    /// <summary>Frees the memory. If another thread is in a call, that call frees it when it ends.</summary>
    public void Dispose() => _lifetime.Close();

    private void Free()
    {
        if (_owned)
        {
            _compute.Team.Dispose();
            _compute.Arena.Dispose();
        }
        _spare.Dispose();
    }

    private void Check(Prompt prompt, int generated = 0)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        if (generated < 0) throw new InputException($"generated positions: expected 0 or more, found {generated}");
        if (prompt.Embeddings.Length != (long)prompt.Length * Shape.ModelSize)
            throw new ArgumentException($"expected a prompt with embeddings of {Shape.ModelSize} values, as the model has, found "
                + $"{prompt.Embeddings.Length} values for {prompt.Length} positions", nameof(prompt));
        if (Decoder.TooLong(prompt, generated) is { } reason) throw new InputException(reason);
    }

    private Tensor Rows(ReadOnlySpan<float> rows)
    {
        if (rows.Length % Shape.ModelSize != 0)
            throw new ArgumentException($"expected rows of {Shape.ModelSize} values, found {rows.Length} values in all", nameof(rows));
        return Tensor.From(_compute.Arena, rows, rows.Length / Shape.ModelSize, Shape.ModelSize);
    }

    /// <summary>Calls <paramref name="body"/>, then releases the arena memory it allocated.</summary>
    private T Kept<T>(Func<Compute, T> body)
    {
        using var call = new Call(this);
        return body(_compute);
    }

    /// <summary>Begins a call. A callback may call the session again, on the same thread.</summary>
    private Arena.Mark Enter()
    {
        var thread = Environment.CurrentManagedThreadId;
        if (Interlocked.CompareExchange(ref _thread, thread, 0) is var user && user != 0 && user != thread)
            throw new InvalidOperationException("another thread is in a call of this session: open one session per thread");
        try
        {
            _lifetime.Enter();
            try
            {
                _engine.Enter();
            }
            catch
            {
                _lifetime.Leave();
                throw;
            }
        }
        catch
        {
            if (_depth == 0) Volatile.Write(ref _thread, 0);
            throw;
        }
        _depth++;
        return _compute.Arena.Here();
    }

    private void Leave(Arena.Mark mark)
    {
        _compute.Arena.Release(mark);
        _engine.Leave();
        if (--_depth == 0) Volatile.Write(ref _thread, 0);
        _lifetime.Leave();
    }

    /// <summary>
    /// A call of the session: keeps its memory and the model's alive, detects a second thread, and releases what it allocated, also after
    /// an error, because the session outlives it.
    /// </summary>
    private readonly ref struct Call(CpuSession session)
    {
        private readonly Arena.Mark _mark = session.Enter();

        public void Dispose() => session.Leave(_mark);
    }
}
