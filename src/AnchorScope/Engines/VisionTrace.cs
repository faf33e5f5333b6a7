namespace AnchorScope.Engines;

/// <summary>What a vision tower recorded: the stream before its first layer and after each layer.</summary>
public sealed class VisionTrace
{
    /// <summary>
    /// Axes of every array: [image, token, d_vision], or [patch, d_vision] for towers that process all pictures as one sequence of patches.
    /// </summary>
    public long[] Axes { get; internal set; } = [];

    /// <summary>Stream before the first layer.</summary>
    public float[] Embeddings { get; internal set; } = [];

    /// <summary>Stream after each layer.</summary>
    public IList<float[]> Layers { get; } = [];
}
