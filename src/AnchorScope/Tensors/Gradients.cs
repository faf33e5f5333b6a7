using System.Runtime.InteropServices;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>
/// The gradient of a loss with respect to each requested tensor, in float32 whatever the stored type. A backward pass adds to it and
/// computes nothing for other tensors.
/// </summary>
internal sealed unsafe class Gradients : ITensorMemory, IDisposable
{
    private const int Alignment = 16;

    private readonly Dictionary<string, TensorEntry> _tensors = new(StringComparer.Ordinal);
    private readonly long _count;
    private float* _data;

    /// <summary>Allocates zeros for each of <paramref name="tensors"/>.</summary>
    public Gradients(IEnumerable<TensorEntry> tensors)
    {
        foreach (var tensor in tensors)
        {
            _tensors.Add(tensor.Name,
                (new TensorEntry(tensor.Name, StoredType.F32, tensor.Shape, _count * sizeof(float), tensor.Count * sizeof(float))));
            _count += (tensor.Count + Alignment - 1) / Alignment * Alignment;
        }
        _data = (float*)LargeMemory.Take(_count * sizeof(float));
        Clear();
    }

    /// <inheritdoc/>
    public string Path => "gradients";

    /// <summary>Names of the requested tensors.</summary>
    public IEnumerable<string> Names => _tensors.Keys;

    /// <summary>The gradient with respect to one tensor, row-major.</summary>
    public Span<float> this[string name]
    {
        get
        {
            var entry = _tensors[name];
            return new Span<float>(Address(entry), checked((int)entry.Count));
        }
    }

    /// <inheritdoc/>
    public byte* Address(TensorEntry entry) => (byte*)_data + entry.Offset;

    /// <summary>The gradient with respect to <paramref name="weight"/> as a tensor to add to, or null when it is not requested.</summary>
    internal Weight? Of(Weight? weight) =>
        weight is not null && _tensors.TryGetValue(weight.Name, out var found) ? weight.In(this, found) : null;

    /// <summary>Adds <paramref name="values"/> to row <paramref name="row"/> of a tensor returned by <see cref="Of"/>.</summary>
    internal static void Add(Weight into, long row, ReadOnlySpan<float> values)
    {
        var target = new Span<float>(into.RowAddress(row), values.Length);
        System.Numerics.Tensors.TensorPrimitives.Add(target, values, target);
    }

    /// <summary>Adds one of <paramref name="values"/> to each row, as for a bias.</summary>
    internal static void AddEach(Weight into, ReadOnlySpan<float> values)
    {
        for (var i = 0; i < values.Length; i++) *(float*)into.RowAddress(i) += values[i];
    }

    /// <summary>Adds <paramref name="other"/>, which has the same tensors.</summary>
    public void Add(Gradients other)
    {
        foreach (var name in Names)
        {
            var own = this[name];
            System.Numerics.Tensors.TensorPrimitives.Add(own, other[name], own);
        }
    }

    /// <summary>The L2 norm over all tensors. Squares are summed in float64, tensor by tensor.</summary>
    public double Norm => Math.Sqrt(Names.Sum(name =>
    {
        var sum = 0.0;
        foreach (var value in this[name]) sum += (double)value * value;
        return sum;
    }));

    /// <summary>Sets all to zero.</summary>
    public void Clear() => NativeMemory.Clear(_data, (nuint)_count * sizeof(float));

    /// <inheritdoc/>
    public void Dispose()
    {
        LargeMemory.Free(_data);
        _data = null;
    }
}
