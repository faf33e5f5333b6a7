using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace AnchorScope.Training;

/// <summary>The group lasso over heads: the sum of the norms of their columns of o_proj.</summary>
internal static class LassoGradient
{
    /// <summary>
    /// Adds its gradient, weight times column block divided by the norm of the block, to the requested tensors of
    /// <paramref name="gradients"/>.
    /// </summary>
    /// <returns>Its contribution to the loss.</returns>
    public static double Add(Decoder decoder, Parameters parameters, HeadLasso lasso, Gradients gradients)
    {
        var (shape, loss) = (decoder.Shape, 0.0);
        for (var layer = lasso.FirstLayer; layer < shape.Layers; layer++)
        {
            var name = decoder.Layers[layer].OutputProjection.Weight.Name;
            if (!gradients.Names.Contains(name)) continue;
            var columns = shape.Width(Site.HeadOut);
            Span<float> values = parameters[name], derivatives = gradients[name];
            for (var head = 0; head < shape.Heads; head++)
            {
                var norm = Norm(values, columns, head, shape.HeadSize);
                loss += lasso.Weight * norm;
                if (norm == 0) continue;
                for (var at = head * shape.HeadSize; at < values.Length; at += columns)
                {
                    var part = derivatives.Slice(at, shape.HeadSize);
                    TensorPrimitives.MultiplyAdd(values.Slice(at, shape.HeadSize), (float)(lasso.Weight / norm), part, part);
                }
            }
        }
        return loss;
    }

    /// <summary>Frobenius norm of a head's columns.</summary>
    public static double Norm(ReadOnlySpan<float> values, int columns, int head, int size)
    {
        var sum = 0.0;
        for (var at = head * size; at < values.Length; at += columns)
        {
            foreach (var value in values.Slice(at, size)) sum += (double)value * value;
        }
        return Math.Sqrt(sum);
    }
}
