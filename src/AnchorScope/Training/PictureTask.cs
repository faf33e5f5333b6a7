using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Tensors;
using AnchorScope.World;

namespace AnchorScope.Training;

/// <summary>
/// Trains only a vision tower. From the mean of a picture's patches, as the projector receives them, one linear layer predicts shape,
/// colour, count and place; the loss is the sum of four cross-entropies. The linear layer is discarded afterwards.
/// </summary>
internal static class PictureTask
{
    /// <summary>The tensors of the linear layer, which are not part of the model.</summary>
    public const string WeightName = "picture_task.weight", BiasName = "picture_task.bias";

    private static readonly int[] Sizes = [WorldState.Shapes, WorldState.Shapes, WorldState.Counts, WorldState.Counts];

    /// <summary>Names and shapes of the linear layer's tensors for a tower of this width.</summary>
    public static IReadOnlyList<(string Name, long[] Shape)> Tensors(int width) =>
        [(WeightName, [Sizes.Sum(), width]), (BiasName, [Sizes.Sum()])];

    /// <summary>Forward and backward pass over some pictures. Adds the gradients of their loss.</summary>
    /// <param name="share">Factor of each picture's loss.</param>
    /// <returns>The loss, and the number of correct answers, four per picture.</returns>
    public static (double Loss, int Right) Add(Llava model, Parameters parameters, IReadOnlyList<ClassificationSample> samples,
        double share, Compute compute, Gradients gradients)
    {
        var arena = compute.Arena;
        var mark = arena.Here();
        var weights = new Weights(parameters);
        var linear = new Linear(weights.Get(WeightName, parameters[WeightName].Length / model.ReadWidth, model.ReadWidth),
            weights.Get(BiasName, parameters[BiasName].Length));
        var (patches, back) = model.Patches(model.Preprocess([.. samples.Select(s => s.Picture)]), compute, gradients);
        var each = patches.Rows / samples.Count;
        var means = arena.TakeZeros(samples.Count, patches.Columns);
        for (var row = 0; row < patches.Rows; row++)
            System.Numerics.Tensors.TensorPrimitives.MultiplyAdd(patches[row], 1f / each, means[row / each], means[row / each]);
        var logits = linear.Forward(means, compute);
        var (loss, right) = (0.0, 0);
        for (var i = 0; i < samples.Count; i++)
        {
            var world = samples[i].World;
            var from = 0;
            foreach (var (aspect, size) in Enum.GetValues<Aspect>().Zip(Sizes))
            {
                var part = logits[i].Slice(from, size);
                if (System.Numerics.Tensors.TensorPrimitives.IndexOfMax<float>(part) == world[aspect]) right++;
                loss += CrossEntropy.Row(part, world[aspect], (float)share);
                from += size;
            }
        }
        var dMeans = LinearGradient.Both(linear, means, logits, gradients, compute);
        var dPatches = arena.Take(patches.Rows, patches.Columns);
        for (var row = 0; row < patches.Rows; row++)
            System.Numerics.Tensors.TensorPrimitives.Multiply(dMeans[row / each], 1f / each, dPatches[row]);
        back(dPatches);
        arena.Release(mark);
        return (loss, right);
    }
}
