using System.Numerics.Tensors;
using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Baking;

/// <summary>The absolute values of a weight, as F32 in separate memory. Sums of magnitudes are computed with it.</summary>
internal sealed unsafe class AbsoluteWeight : ITensorMemory
{
    private readonly NativeBlock _values;

    public AbsoluteWeight(Weight weight)
    {
        _values = new NativeBlock(weight.Count);
        var width = (int)weight.Shape[1];
        for (var row = 0L; row < weight.Shape[0]; row++)
        {
            var values = new Span<float>(_values.Data + row * width, width);
            weight.Widen(row * width, values);
            TensorPrimitives.Abs(values, values);
        }
        Path = weight.Name;
        Weight = new Weight(this, new TensorEntry(weight.Name, StoredType.F32, weight.Shape, 0, weight.Count * sizeof(float)));
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <summary>[output, input], none below 0.</summary>
    public Weight Weight { get; }

    /// <inheritdoc/>
    public byte* Address(TensorEntry entry) => (byte*)_values.Data;
}
