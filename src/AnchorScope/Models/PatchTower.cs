using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// A vision transformer over square pictures of one size: patches, a class token in front where the family has one, learned
/// positions, then layers in which every token sees every token of its picture.
/// </summary>
internal sealed class PatchTower(int imageSize, int patchSize, Linear patchEmbedding, float[] positions, IReadOnlyList<VisionLayer> layers)
{
    private const int Channels = 3;

    /// <summary>Class token [width], or null.</summary>
    public float[]? ClassToken { get; init; }

    /// <summary>Norm in front of the first layer, or null.</summary>
    public Norm? PreNorm { get; init; }

    /// <summary>Width of the tower's stream.</summary>
    public int Width => patchEmbedding.Outputs;

    /// <summary>Patches along one side.</summary>
    public int Side => imageSize / patchSize;

    /// <summary>Patches of one picture.</summary>
    public int Patches => Side * Side;

    /// <summary>Tokens of one picture: the patches, behind the class token where there is one.</summary>
    public int Tokens => Patches + (ClassToken is null ? 0 : 1);

    /// <summary>Number of layers.</summary>
    public int Layers => layers.Count;

    /// <summary>Height and width of a picture in pixels.</summary>
    public int ImageSize => imageSize;

    /// <summary>Runs the first <paramref name="count"/> layers over pictures [image, channel, height, width].</summary>
    /// <param name="trace">Records all layers, those behind <paramref name="count"/> too.</param>
    /// <returns>The stream after that many layers [image x token, width].</returns>
    public Tensor Forward(ReadOnlySpan<float> pixels, int count, Compute compute, VisionTrace? trace)
    {
        var images = pixels.Length / (Channels * imageSize * imageSize);
        var arena = compute.Arena;
        var embedded = patchEmbedding.Forward(Unfold(pixels, images, arena), compute);     // [image x patch, width]
        var stream = arena.Take(images * Tokens, Width);                                   // [image x token, width]
        var first = Tokens - Patches;
        for (var row = 0; row < stream.Rows; row++)
        {
            var (image, token) = (row / Tokens, row % Tokens);
            var source = token < first ? ClassToken : embedded[image * Patches + token - first];
            System.Numerics.Tensors.TensorPrimitives.Add(source, positions.AsSpan(token * Width, Width), stream[row]);
        }
        if (PreNorm is not null) stream = PreNorm.Forward(stream, arena);
        if (trace is not null) (trace.Axes, trace.Embeddings) = ([images, Tokens, Width], stream.ToArray());
        (int, int)[] blocks = [.. Enumerable.Range(0, images).Select(image => (image * Tokens, Tokens))];
        Through(0, count, stream, blocks, compute, trace);
        if (trace is not null)
        {
            var mark = arena.Here();
            Through(count, layers.Count, Tensor.From(arena, stream.ToArray(), stream.Rows, stream.Columns), blocks, compute, trace);
            arena.Release(mark);
        }
        return stream;
    }

    private void Through(int from, int to, Tensor stream, (int, int)[] blocks, Compute compute, VisionTrace? trace)
    {
        for (var layer = from; layer < to; layer++)
        {
            var mark = compute.Arena.Here();
            layers[layer].Forward(stream, blocks, compute);
            compute.Arena.Release(mark);
            trace?.Layers.Add(stream.ToArray());
        }
    }

    private Tensor Unfold(ReadOnlySpan<float> pixels, int images, Arena arena)
    {
        var patches = arena.Take(images * Patches, Channels * patchSize * patchSize);      // [image x patch, channel x y x x]
        for (var row = 0; row < patches.Rows; row++)
        {
            var (image, top, left) = (row / Patches, row % Patches / Side * patchSize, row % Side * patchSize);
            var target = patches[row];
            for (var channel = 0; channel < Channels; channel++)
            {
                for (var y = 0; y < patchSize; y++)
                {
                    var from = ((image * Channels + channel) * imageSize + top + y) * imageSize + left;
                    pixels.Slice(from, patchSize).CopyTo(target[((channel * patchSize + y) * patchSize)..]);
                }
            }
        }
        return patches;
    }
}
