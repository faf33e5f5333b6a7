using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>What a vision tower recorded: the stream that enters its first layer and what leaves each layer, [image, token, d].</summary>
public sealed class VisionTrace
{
    /// <summary>Width d of the stream.</summary>
    public int Width { get; internal set; }

    /// <summary>Stream entering the first layer.</summary>
    public float[] Embeddings { get; internal set; } = [];

    /// <summary>Stream leaving each layer.</summary>
    public IList<float[]> Layers { get; } = [];
}

/// <summary>CLIP's vision transformer: patches and a class token, pre-norm layers without a mask.</summary>
public sealed class ClipTower
{
    private readonly int _imageSize;
    private readonly int _patchSize;
    private readonly int _channels;
    private readonly int _heads;
    private readonly Linear _patchEmbedding;
    private readonly float[] _classEmbedding;
    private readonly float[] _positions;
    private readonly Norm _preNorm;
    private readonly Layer[] _layers;

    /// <summary>Reads the tower that <paramref name="config"/> (vision_config) describes from tensors under <paramref name="prefix"/>.</summary>
    public ClipTower(ConfigSection config, Weights weights, string prefix)
    {
        Width = config.PositiveInt("hidden_size", 768);
        _imageSize = config.PositiveInt("image_size", 224);
        _patchSize = config.PositiveInt("patch_size", 32);
        _channels = config.PositiveInt("num_channels", 3);
        _heads = config.PositiveInt("num_attention_heads", 12);
        if (Width % _heads != 0) throw InputException.At(config.File, $"{config.Path}.num_attention_heads", $"a divisor of hidden_size {Width}", $"{_heads}");
        if (_imageSize % _patchSize != 0) throw InputException.At(config.File, $"{config.Path}.patch_size", $"a divisor of image_size {_imageSize}", $"{_patchSize}");
        if (_channels != 3) throw InputException.At(config.File, $"{config.Path}.num_channels", "3", $"{_channels}");
        var mlp = config.PositiveInt("intermediate_size", 3072);
        var epsilon = config.Number("layer_norm_eps", 1e-5);
        var name = config.Text("hidden_act", "quick_gelu");
        var activation = Activations.Parse(name) ?? throw config.Unsupported("hidden_act", name, Activations.Names);
        var side = _imageSize / _patchSize;
        Patches = side * side;
        var embeddings = prefix + "embeddings.";
        _classEmbedding = weights.Get(embeddings + "class_embedding", Width).ToSingles();
        _patchEmbedding = new Linear(weights.Get(embeddings + "patch_embedding.weight", Width, _channels, _patchSize, _patchSize));
        _positions = weights.Get(embeddings + "position_embedding.weight", Patches + 1, Width).ToSingles();
        _preNorm = ReadNorm(weights, prefix + "pre_layrnorm", epsilon);
        _layers = [.. Enumerable.Range(0, config.PositiveInt("num_hidden_layers", 12)).Select(i =>
        {
            var at = $"{prefix}encoder.layers.{i}.";
            return new Layer(
                ReadNorm(weights, at + "layer_norm1", epsilon),
                ReadLinear(weights, at + "self_attn.q_proj", Width, Width), ReadLinear(weights, at + "self_attn.k_proj", Width, Width),
                ReadLinear(weights, at + "self_attn.v_proj", Width, Width), ReadLinear(weights, at + "self_attn.out_proj", Width, Width),
                ReadNorm(weights, at + "layer_norm2", epsilon),
                ReadLinear(weights, at + "mlp.fc1", mlp, Width), ReadLinear(weights, at + "mlp.fc2", Width, mlp), activation);
        })];
        // LLaVA reads an inner layer, so the norm behind the last one is carried and never applied.
        weights.MarkUnused(tensor => tensor.StartsWith(prefix + "post_layernorm.", StringComparison.Ordinal) || tensor == embeddings + "position_ids");
    }

    /// <summary>Width of the tower's stream.</summary>
    public int Width { get; }

    /// <summary>Patches of one picture; the class token comes before them.</summary>
    public int Patches { get; }

    /// <summary>Number of layers.</summary>
    public int Layers => _layers.Length;

    /// <summary>Floats of one picture: channels x size x size.</summary>
    public int PictureFloats => _channels * _imageSize * _imageSize;

    /// <summary>Height and width of a picture in pixels.</summary>
    public int ImageSize => _imageSize;

    /// <summary>Runs the first <paramref name="layers"/> layers over pictures [image, channel, height, width].</summary>
    /// <param name="trace">Records all layers, those behind <paramref name="layers"/> too.</param>
    /// <returns>The stream after that many layers [image x (1 + patches), width], class token first.</returns>
    public Tensor Forward(ReadOnlySpan<float> pixels, int layers, Compute compute, VisionTrace? trace)
    {
        var images = pixels.Length / PictureFloats;
        var arena = compute.Arena;
        var tokens = Patches + 1;
        var patches = Unfold(pixels, images, arena);                       // [image x patch, channel x size x size]
        var embedded = _patchEmbedding.Forward(patches, compute);          // [image x patch, width]
        var stream = arena.Take(images * tokens, Width);                   // [image x token, width]
        for (var row = 0; row < stream.Rows; row++)
        {
            var (image, token) = (row / tokens, row % tokens);
            var source = token == 0 ? _classEmbedding : embedded[image * Patches + token - 1];
            System.Numerics.Tensors.TensorPrimitives.Add(source, _positions.AsSpan(token * Width, Width), stream[row]);
        }
        stream = _preNorm.Forward(stream, arena);
        if (trace is not null) (trace.Width, trace.Embeddings) = (Width, stream.ToArray());
        Through(_layers.AsSpan(0, layers), stream, images, compute, trace);
        if (trace is not null)
        {
            var mark = arena.Here();
            Through(_layers.AsSpan(layers), Tensor.From(arena, stream.ToArray(), stream.Rows, stream.Columns), images, compute, trace);
            arena.Release(mark);
        }
        return stream;
    }

    private void Through(ReadOnlySpan<Layer> layers, Tensor stream, int images, Compute compute, VisionTrace? trace)
    {
        foreach (var layer in layers)
        {
            var mark = compute.Arena.Here();
            layer.Forward(stream, images, _heads, compute);
            compute.Arena.Release(mark);
            trace?.Layers.Add(stream.ToArray());
        }
    }

    private Tensor Unfold(ReadOnlySpan<float> pixels, int images, Arena arena)
    {
        var side = _imageSize / _patchSize;
        var patches = arena.Take(images * Patches, _channels * _patchSize * _patchSize);
        for (var row = 0; row < patches.Rows; row++)
        {
            var (image, top, left) = (row / Patches, row % Patches / side * _patchSize, row % side * _patchSize);
            var target = patches[row];
            for (var channel = 0; channel < _channels; channel++)
            {
                for (var y = 0; y < _patchSize; y++)
                {
                    var from = ((image * _channels + channel) * _imageSize + top + y) * _imageSize + left;
                    pixels.Slice(from, _patchSize).CopyTo(target[((channel * _patchSize + y) * _patchSize)..]);
                }
            }
        }
        return patches;
    }

    private Norm ReadNorm(Weights weights, string name, double epsilon) =>
        new(weights.Get(name + ".weight", Width), weights.Get(name + ".bias", Width), epsilon);

    private static Linear ReadLinear(Weights weights, string name, int outputs, int inputs) =>
        new(weights.Get(name + ".weight", outputs, inputs), weights.Get(name + ".bias", outputs));

    private sealed record Layer(
        Norm AttnNorm, Linear Query, Linear Key, Linear Value, Linear Output, Norm MlpNorm, Linear Up, Linear Down, Activation Activation)
    {
        public void Forward(Tensor stream, int images, int heads, Compute compute)
        {
            stream.Add(Attention(AttnNorm.Forward(stream, compute.Arena), images, heads, compute));
            var neurons = Up.Forward(MlpNorm.Forward(stream, compute.Arena), compute);
            for (var row = 0; row < neurons.Rows; row++) Activations.Apply(Activation, neurons[row]);
            stream.Add(Down.Forward(neurons, compute));
        }

        private unsafe Tensor Attention(Tensor x, int images, int heads, Compute compute)
        {
            var q = Query.Forward(x, compute);
            var k = Key.Forward(x, compute);
            var v = Value.Forward(x, compute);
            var z = compute.Arena.Take(x.Rows, q.Columns);
            var (tokens, size) = (x.Rows / images, q.Columns / heads);
            var kept = new KeyValues[images];
            for (var image = 0; image < images; image++)
            {
                kept[image] = KeyValues.ForOneLayer(compute.Arena, heads, size, 0, tokens);
                kept[image].Put(0, k.RowRange(image * tokens, tokens), v.RowRange(image * tokens, tokens));
            }
            var scratchFloats = AttentionKernel.ScratchFloats(tokens);
            var scratch = compute.Arena.TakeFloats(scratchFloats * compute.Team.Size);
            compute.Team.For(images * heads, 4L * tokens * tokens * size, (item, member) =>
            {
                var (image, head) = (item / heads, item % heads);
                var first = (long)image * tokens * q.Columns + head * size;
                AttentionKernel.Head(
                    q.Data + first, q.Columns, tokens, 0, causal: false, 0, head, null, 0, kept[image], tokens, [],
                    z.Data + first, z.Columns, [], scratch + scratchFloats * member);
            });
            return Output.Forward(z, compute);
        }
    }
}
