using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>A small weight that is added or multiplied element-wise (positions, class tokens, layer scales), as float32.</summary>
internal sealed class Vector(Weight weight)
{
    /// <summary>All values, row-major.</summary>
    public ReadOnlySpan<float> Values => weight.Singles;

    /// <summary>Adds gradients to consecutive values from <paramref name="first"/> on, if this weight's gradient is requested.</summary>
    public void Add(Gradients gradients, long first, ReadOnlySpan<float> derivatives)
    {
        if (gradients.Of(weight) is null) return;
        var target = gradients[weight.Name].Slice(checked((int)first), derivatives.Length);
        System.Numerics.Tensors.TensorPrimitives.Add(target, derivatives, target);
    }
}
