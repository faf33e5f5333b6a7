using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>The built-in engine: float32 on the CPU. Results have the same bits for any packing and any number of threads.</summary>
public sealed class CpuEngine : IEngine
{
    private readonly VisionLanguageModel? _model;

    internal CpuEngine(VisionLanguageModel model) => (_model, Decoder) = (model, model.Decoder);

    /// <summary>An engine of a decoder without a vision tower.</summary>
    internal CpuEngine(Decoder decoder) => Decoder = decoder;

    /// <inheritdoc/>
    public string Numerics { get; } = $"cpu-f32/{Tensors.Numerics.Version}";

    /// <inheritdoc/>
    public DecoderShape Shape => Decoder.Shape;

    /// <inheritdoc/>
    public int VocabularySize => Decoder.VocabularySize;

    /// <inheritdoc/>
    public int? MaximumPositions => Decoder.MaximumPositions;

    internal Decoder Decoder { get; }

    /// <summary>The model, for its vision tower.</summary>
    /// <exception cref="InvalidOperationException">The engine is a decoder alone.</exception>
    internal VisionLanguageModel Model =>
        _model ?? throw new InvalidOperationException("this engine is a decoder alone; it has no vision tower");

    /// <summary>Begins a call that reads the weights.</summary>
    /// <exception cref="ObjectDisposedException">The model is disposed of, and its weights are no longer mapped.</exception>
    internal void Enter() => _model?.Lifetime.Enter();

    /// <summary>Ends a call that reads the weights.</summary>
    internal void Leave() => _model?.Lifetime.Leave();

    /// <inheritdoc/>
    public long WeightBytes(int layer) => Decoder.WeightBytes(layer);

    /// <inheritdoc/>
    public long RecordedBytes(int length, int from) => RecordedRun.BytesOf(Shape, length, from);

    /// <inheritdoc/>
    public long SequenceBytes(int positions) => Shape.Layers * KeyValues.BytesOf(Shape.KeyHeads, Shape.HeadSize, positions);

    /// <inheritdoc/>
    public ISession Open(SessionOptions? options = null) => Open(options, KernelFamily.Panel);

    /// <summary>A session that uses memory and threads owned by the caller.</summary>
    internal ISession On(Compute compute) => new CpuSession(this, compute);

    /// <summary>A session that uses the matrix kernels of <paramref name="family"/>.</summary>
    internal ISession Open(SessionOptions? options, KernelFamily family)
    {
        Enter();
        try
        {
            return new CpuSession(this, options ?? new SessionOptions(), family);
        }
        finally
        {
            Leave();
        }
    }

    /// <inheritdoc/>
    public long RowBytes
    {
        get
        {
            // Residual stream and norm; then the larger of attention (keys and values twice: projected and stored) and MLP; then the
            // sublayer's output.
            long width = Shape.ModelSize, queries = Shape.Width(Site.Query), keys = Shape.Width(Site.Key);
            return sizeof(float) * (3 * width + Math.Max(2 * queries + 4 * keys, 2L * Shape.MlpSize));
        }
    }
}
