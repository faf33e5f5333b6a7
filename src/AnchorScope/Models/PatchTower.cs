using AnchorScope.Engines;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// A vision transformer for square pictures of one size: patches, preceded in some families by a class token; learned positions; then
/// layers in which every token attends to every token of its picture.
/// </summary>
internal sealed class PatchTower(int imageSize, int patchSize, Linear patchEmbedding, Vector positions, IReadOnlyList<VisionLayer> layers)
{
    private const int Channels = 3;

    /// <summary>Class token [width], or null.</summary>
    public Vector? ClassToken { get; init; }

    /// <summary>Row of the learned positions for each patch, not counting the class token [patch]; null: the patch's own index.</summary>
    public int[]? Places { get; init; }

    /// <summary>Norm before the first layer, or null.</summary>
    public Norm? PreNorm { get; init; }

    /// <summary>Width of the tower's stream.</summary>
    public int Width => patchEmbedding.Outputs;

    /// <summary>Patches per side.</summary>
    public int Side => imageSize / patchSize;

    /// <summary>Patches per picture.</summary>
    public int Patches => Side * Side;

    /// <summary>Tokens per picture: the class token, if any, then the patches.</summary>
    public int Tokens => Patches + (ClassToken is null ? 0 : 1);

    /// <summary>Number of layers.</summary>
    public int Layers => layers.Count;

    /// <summary>Height and width of a picture in pixels.</summary>
    public int ImageSize => imageSize;

    /// <summary>Runs the first <paramref name="count"/> layers on pictures [image, channel, height, width].</summary>
    /// <param name="trace">Records all layers, including those after <paramref name="count"/>.</param>
    /// <param name="tape">Receives the activations that the backward pass needs; null for none.</param>
    /// <returns>The stream after <paramref name="count"/> layers [image x token, width].</returns>
    public Tensor Forward(ReadOnlySpan<float> pixels, int count, Compute compute, VisionTrace? trace, VisionTape? tape = null) =>
        Forward(pixels, [count], compute, trace, tape);

    /// <summary>Like the other overload, but reads the stream at several depths.</summary>
    /// <param name="counts">Number of layers before each reading, in any order.</param>
    /// <returns>The streams at those depths, concatenated [image x token, readings x width].</returns>
    public Tensor Forward(ReadOnlySpan<float> pixels, IReadOnlyList<int> counts, Compute compute, VisionTrace? trace, VisionTape? tape =
        null)
    {
        var images = pixels.Length / (Channels * imageSize * imageSize);
        var arena = compute.Arena;
        var patches = Unfold(pixels, images, arena);                                       // [image x patch, channel x y x x]
        var embedded = patchEmbedding.Forward(patches, compute);                           // [image x patch, width]
        var stream = arena.Take(images * Tokens, Width);                                   // [image x token, width]
        var first = Tokens - Patches;
        for (var row = 0; row < stream.Rows; row++)
        {
            var (image, token) = (row / Tokens, row % Tokens);
            var source = token < first ? ClassToken!.Values : embedded[image * Patches + token - first];
            System.Numerics.Tensors.TensorPrimitives.Add(source, positions.Values.Slice(PlaceOf(token) * Width, Width), stream[row]);
        }
        if (tape is not null) (tape.Patches, tape.Entry) = (patches, stream.Copy(arena));
        if (PreNorm is not null) stream = PreNorm.Forward(stream, compute);
        if (trace is not null) (trace.Axes, trace.Embeddings) = ([images, Tokens, Width], stream.ToArray());
        var blocks = Blocks(images);
        var read = counts.Count == 1 ? stream : arena.Take(stream.Rows, counts.Count * Width);
        var done = 0;
        foreach (var count in counts.Distinct().Order())
        {
            Through(done, count, stream, blocks, compute, trace, tape);
            done = count;
            if (counts.Count > 1) EachReading(counts, count, read, (row, part) => stream[row].CopyTo(part));
        }
        if (trace is not null)
        {
            var mark = arena.Here();
            Through(done, layers.Count, Tensor.From(arena, stream.ToArray(), stream.Rows, stream.Columns), blocks, compute, trace, null);
            arena.Release(mark);
        }
        return read;
    }

    /// <summary>
    /// Adds the gradients with respect to all weights. <paramref name="d"/> is the gradient with respect to the output of
    /// <see cref="Forward(ReadOnlySpan{float}, int, Compute, VisionTrace?, VisionTape?)"/> [image x token, width]; it is overwritten.
    /// </summary>
    public void Backward(Tensor d, VisionTape tape, Compute compute, Gradients gradients) =>
        Backward(d, [tape.Layers.Count], tape, compute, gradients);

    /// <summary>Like the other overload, for several readings [image x token, readings x width].</summary>
    /// <param name="counts">The counts given to the forward pass.</param>
    public void Backward(Tensor d, IReadOnlyList<int> counts, VisionTape tape, Compute compute, Gradients gradients)
    {
        var arena = compute.Arena;
        var (mark, first, images) = (arena.Here(), Tokens - Patches, d.Rows / Tokens);
        var blocks = Blocks(images);
        if (counts.Count > 1)
        {
            var readings = d;
            d = arena.TakeZeros(readings.Rows, Width);
            for (var layer = tape.Layers.Count; layer >= 0; layer--)
            {
                var into = d;
                EachReading(counts, layer, readings, (row, part) => System.Numerics.Tensors.TensorPrimitives.Add(into[row], part,
                    into[row]));
                if (layer > 0) Back(layer - 1);
            }
        }
        else
        {
            for (var layer = tape.Layers.Count - 1; layer >= 0; layer--) Back(layer);
        }
        if (PreNorm is not null)
        {
            var entering = arena.TakeZeros(d.Rows, d.Columns);
            PreNorm.Backward(tape.Entry, d, entering, gradients, arena);
            d = entering;
        }
        var embedded = arena.Take(images * Patches, Width);
        for (var row = 0; row < d.Rows; row++)
        {
            var (image, token) = (row / Tokens, row % Tokens);
            positions.Add(gradients, (long)PlaceOf(token) * Width, d[row]);
            if (token < first) ClassToken!.Add(gradients, 0, d[row]);
            else d[row].CopyTo(embedded[image * Patches + token - first]);
        }
        LinearGradient.Weights(patchEmbedding, tape.Patches, embedded, gradients, compute);
        arena.Release(mark);

        void Back(int layer)
        {
            var inner = arena.Here();
            layers[layer].Backward(d, tape.Layers[layer], blocks, compute, gradients);
            arena.Release(inner);
        }
    }

    private delegate void OfRow(int row, Span<float> part);

    /// <summary>
    /// Calls <paramref name="work"/> with each row of each reading after <paramref name="count"/> layers: its own part of
    /// <paramref name="readings"/> [readings x width].
    /// </summary>
    private void EachReading(IReadOnlyList<int> counts, int count, Tensor readings, OfRow work)
    {
        for (var i = 0; i < counts.Count; i++)
        {
            if (counts[i] != count) continue;
            for (var row = 0; row < readings.Rows; row++) work(row, readings[row].Slice(i * Width, Width));
        }
    }

    /// <summary>Row of the learned positions for a token of a picture.</summary>
    private int PlaceOf(int token)
    {
        var first = Tokens - Patches;
        return Places is null || token < first ? token : first + Places[token - first];
    }

    private (int, int)[] Blocks(int images) => [.. Enumerable.Range(0, images).Select(image => (image * Tokens, Tokens))];

    private void Through(int from, int to, Tensor stream, (int, int)[] blocks, Compute compute, VisionTrace? trace, VisionTape? tape)
    {
        for (var layer = from; layer < to; layer++)
        {
            var mark = compute.Arena.Here();
            if (tape is not null) tape.Layers.Add(new VisionLayerTape());
            layers[layer].Forward(stream, blocks, compute, tape: tape?.Layers[^1]);
            if (tape is null) compute.Arena.Release(mark);
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
