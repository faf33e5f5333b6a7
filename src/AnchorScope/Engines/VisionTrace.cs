namespace AnchorScope.Engines;

/// <summary>What a vision tower recorded: the stream that enters its first layer and what leaves each layer.</summary>
public sealed class VisionTrace
{
    /// <summary>Axes of every array: [image, token, d_vision], or [patch, d_vision] for towers that run all pictures as one row of patches.</summary>
    public long[] Axes { get; internal set; } = [];

    /// <summary>Stream entering the first layer.</summary>
    public float[] Embeddings { get; internal set; } = [];

    /// <summary>Stream leaving each layer.</summary>
    public IList<float[]> Layers { get; } = [];
}
