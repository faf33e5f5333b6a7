using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>A tensor of which a part is changed.</summary>
/// <param name="File">The weight file that holds it.</param>
/// <param name="Entry">Where it lies there.</param>
internal abstract record ChangedTensor(SafetensorsFile File, TensorEntry Entry)
{
    /// <summary>Values that are changed.</summary>
    public abstract long Values { get; }

    /// <summary>Changes what a piece of the tensor holds of them.</summary>
    /// <param name="piece">Whole elements, as stored.</param>
    /// <param name="first">Element that the piece begins with.</param>
    /// <returns>How many of the new values were rounded.</returns>
    /// <exception cref="InputException">A new value is not finite in the stored type.</exception>
    public abstract long Change(Span<byte> piece, long first);
}
