using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>A tensor of which a part is changed.</summary>
/// <param name="File">Its weight file.</param>
/// <param name="Entry">Its entry in the header of that file.</param>
internal abstract record ChangedTensor(SafetensorsFile File, TensorEntry Entry)
{
    /// <summary>Number of values that are changed.</summary>
    public abstract long Values { get; }

    /// <summary>Changes the values in a piece of the tensor.</summary>
    /// <param name="piece">Whole elements, as stored.</param>
    /// <param name="first">Index of the first element of the piece.</param>
    /// <returns>Number of new values that were rounded.</returns>
    /// <exception cref="InputException">A new value is not finite in the stored type.</exception>
    public abstract long Change(Span<byte> piece, long first);
}
