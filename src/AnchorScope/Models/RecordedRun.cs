using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// A recorded run on the CPU: the residual stream before each layer and the head outputs, both from one position on, and all keys and
/// values. A variant may start from it at the first layer and position that it can change.
/// </summary>
internal sealed class RecordedRun : IRecordedRun
{
    private readonly Decoder _decoder;
    private readonly DecoderShape _shape;
    private readonly Trace _start;
    private readonly Lifetime _lifetime;
    private volatile bool _disposed;

    private RecordedRun(Prompt prompt, Decoder decoder, int from)
    {
        var shape = decoder.Shape;
        (Prompt, From, _decoder, _shape) = (prompt, from, decoder, shape);
        Own = new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, 0, prompt.Length);
        _lifetime = new Lifetime(typeof(IRecordedRun), Own.Dispose);
        _start = new Trace([Site.ResidPre, Site.HeadOut], Enumerable.Range(from, prompt.Length - from));
    }

    /// <summary>Bytes of a recorded run of <paramref name="length"/> positions, including keys and values.</summary>
    public static long BytesOf(DecoderShape shape, int length, int from) => shape.Layers * (
        KeyValues.BytesOf(shape.KeyHeads, shape.HeadSize, length)
            + sizeof(float) * (long)(length - from) * (shape.ModelSize + shape.Width(Site.HeadOut)));

    /// <inheritdoc/>
    public Prompt Prompt { get; }

    /// <inheritdoc/>
    public int From { get; }

    /// <inheritdoc/>
    public Trace? Trace { get; private init; }

    /// <inheritdoc/>
    public float[] LastLogits { get; private set; } = [];

    /// <summary>Keys and values of all positions in all layers.</summary>
    public KeyValues KeyValues
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(IRecordedRun));
            return Own;
        }
    }

    private KeyValues Own { get; }

    /// <summary>Residual stream before <paramref name="layer"/> from <paramref name="position"/> on [pos, d_model].</summary>
    public Tensor ResidPre(int layer, int position) => Rest(Site.ResidPre, layer, _shape.ModelSize, position);

    /// <summary>Head outputs of <paramref name="layer"/> from <paramref name="position"/> on [pos, head x d_head].</summary>
    public Tensor HeadOut(int layer, int position) => Rest(Site.HeadOut, layer, _shape.Width(Site.HeadOut), position);

    /// <summary>The recorded run behind a handle.</summary>
    /// <exception cref="ArgumentException">The handle is of another engine or another model.</exception>
    public static RecordedRun Of(IRecordedRun handle, Decoder decoder) =>
        handle is RecordedRun own && ReferenceEquals(own._decoder, decoder)
            ? own
            : throw new ArgumentException("this recorded run belongs to another model or engine", nameof(handle));

    /// <summary>Runs <paramref name="prompt"/> once, with its steering, and keeps what variants start from.</summary>
    public static RecordedRun Record(Decoder decoder, Prompt prompt, Compute compute, RecordOptions? options = null)
    {
        options ??= new RecordOptions();
        if (options.From < 0 || options.From >= prompt.Length)
            throw new ArgumentOutOfRangeException(nameof(options), options.From, $"RecordOptions.From: expected 0 to {prompt.Last}");
        foreach (var site in options.Sites)
        {
            if (!Enum.IsDefined(site)) throw new ArgumentOutOfRangeException(nameof(options), site, "RecordOptions.Sites: no such site");
        }
        if (options.Positions is { Count: 0 })
            throw new ArgumentException("RecordOptions.Positions: expected at least one, or null for all, found none", nameof(options));
        foreach (var position in options.Positions ?? [])
        {
            if (position < 0 || position >= prompt.Length)
                throw new ArgumentOutOfRangeException(nameof(options), position, $"RecordOptions.Positions: expected 0 to {prompt.Last}");
        }
        var edits = EditIndex.Of(prompt.Steering, decoder.Shape, prompt.Length);
        var trace = options.Sites.Count == 0 ? null : new Trace(options.Sites, options.Positions);
        var recorded = new RecordedRun(prompt, decoder, options.From) { Trace = trace };
        try
        {
            var mark = compute.Arena.Here();
            var run = new RowBlock(Tensor.From(compute.Arena, prompt.Embeddings, prompt.Length, decoder.Shape.ModelSize),
                prompt.Coordinates, 0, edits)
            {
                Own = recorded.Own,
                Traces = trace is null ? [recorded._start] : [recorded._start, trace],
            };
            var resid = decoder.Forward(new Pass(decoder.Shape, [run], compute));
            recorded.LastLogits = decoder.Unembed(resid.RowRange(prompt.Length - 1, 1), compute).ToArray();
            compute.Arena.Release(mark);
            return recorded;
        }
        catch
        {
            recorded.Dispose();
            throw;
        }
    }

    /// <summary>Keeps the memory of recorded runs while a call uses it. Each of them may be named more than once.</summary>
    public static Use Enter(IEnumerable<RecordedRun?> runs) => new(runs);

    /// <summary>Frees the memory. If a call uses it on another thread, it is freed when that call ends.</summary>
    public void Dispose()
    {
        _disposed = true;
        _lifetime.Close();
    }

    /// <summary>Recorded runs whose memory is in use.</summary>
    public sealed class Use : IDisposable
    {
        private readonly List<RecordedRun> _entered = [];

        public Use(IEnumerable<RecordedRun?> runs)
        {
            try
            {
                foreach (var run in runs)
                {
                    if (run is null) continue;
                    run._lifetime.Enter();
                    _entered.Add(run);
                }
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public void Dispose()
        {
            foreach (var run in _entered) run._lifetime.Leave();
            _entered.Clear();
        }
    }

    private Tensor Rest(Site site, int layer, int columns, int position)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(IRecordedRun));
        if (position < From)
            throw new ArgumentOutOfRangeException(nameof(position), position, $"the run was recorded from position {From} on");
        var rows = TraceRows.Matrix(_start, site, layer, columns);
        return rows.RowRange(position - From, rows.Rows - (position - From));
    }
}
