using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// The vision transformer of Qwen2-VL and Qwen2.5-VL: the patches of pictures of any size as one sequence, rotary embedding by row and
/// column, blocks of 2 x 2 patches merged at the end. In Qwen2.5-VL most layers attend within windows, and the sequence is kept in window
/// order.
/// </summary>
internal sealed class QwenTower
{
    private const double Theta = 10_000, Epsilon = 1e-6;
    private const int Channels = 3;

    private readonly Linear _patchEmbedding;
    private readonly VisionLayer[] _layers;
    private readonly HashSet<int> _fullAttention;
    private readonly Norm _mergerNorm;
    private readonly Linear _merger1;
    private readonly Linear _merger2;
    private readonly Rope _rope;
    private readonly int _window;

    /// <summary>
    /// Reads the tower described by <paramref name="config"/> (vision_config) from tensors under <paramref name="prefix"/>.
    /// </summary>
    /// <param name="windows">Qwen2.5-VL: windows, RMSNorm and gated MLPs.</param>
    /// <param name="outputs">Width of the decoder.</param>
    public QwenTower(ConfigSection config, Weights weights, string prefix, bool windows, int outputs)
    {
        Width = windows ? config.PositiveInt("hidden_size", 3584) : config.PositiveInt("embed_dim", 1280);
        var depth = config.PositiveInt("depth", 32);
        var heads = config.PositiveInt("num_heads", 16);
        PatchSize = config.PositiveInt("patch_size", 14);
        Frames = config.PositiveInt("temporal_patch_size", 2);
        Merge = config.PositiveInt("spatial_merge_size", 2);
        var mlp = windows ? config.PositiveInt("intermediate_size", 3420) : (int)(Width * config.Number("mlp_ratio", 4));
        var name = config.Text("hidden_act", windows ? "silu" : "quick_gelu");
        var activation = Activations.Parse(name) ?? throw config.Unsupported("hidden_act", name, Activations.Names);
        if (config.PositiveInt(config.Has("in_chans") ? "in_chans" : "in_channels", Channels) is var channels && channels != Channels)
            throw InputException.At(config.File, $"{config.Path}.in_chans", $"{Channels}", $"{channels}");
        if (Width % heads != 0 || Width / heads % 4 != 0)
            throw InputException.At(config.File, $"{config.Path}.num_heads",
                $"heads of a size divisible by 4 in a width of {Width}", $"{heads}");
        _rope = Rope.Planar(Width / heads, Theta);
        _window = windows ? config.PositiveInt("window_size", 112) / Merge / PatchSize : 0;
        if (windows && _window < 1)
            throw InputException.At(config.File, $"{config.Path}.window_size", $"at least {Merge * PatchSize}, one merged patch",
                $"{config.PositiveInt("window_size", 112)}");
        _fullAttention = windows ? [.. config.Has("fullatt_block_indexes") ? config.Ints("fullatt_block_indexes") : [7, 15, 23, 31]]
            : [.. Enumerable.Range(0, depth)];

        _patchEmbedding = new Linear(weights.Get(prefix + "patch_embed.proj.weight", Width, Channels, Frames, PatchSize, PatchSize));
        _layers = [.. Enumerable.Range(0, depth).Select(i =>
        {
            var at = $"{prefix}blocks.{i}.";
            Linear Project(string part, int rows, int columns) =>
                new(weights.Get($"{at}{part}.weight", rows, columns), weights.Get($"{at}{part}.bias", rows));
            var (fused, fusedBias) = (weights.Get(at + "attn.qkv.weight", 3 * Width, Width), weights.Get(at + "attn.qkv.bias", 3 * Width));
            Linear Third(int part) => new(fused.Rows(part * Width, Width), fusedBias.Rows(part * Width, Width));
            return new VisionLayer(
                ReadNorm(at + "norm1"), new AttentionWeights(Third(0), Third(1), Third(2), Project("attn.proj", Width, Width)),
                ReadNorm(at + "norm2"),
                windows
                    ? new VisionMlp(Project("mlp.gate_proj", mlp, Width), Project("mlp.up_proj", mlp, Width),
                        Project("mlp.down_proj", Width, mlp), activation)
                    : new VisionMlp(null, Project("mlp.fc1", mlp, Width), Project("mlp.fc2", Width, mlp), activation),
                heads);
        })];
        var merged = Width * Merge * Merge;
        _mergerNorm = ReadNorm(prefix + "merger.ln_q");
        _merger1 = new Linear(weights.Get(prefix + "merger.mlp.0.weight", merged, merged),
            weights.Get(prefix + "merger.mlp.0.bias", merged));
        _merger2 = new Linear(weights.Get(prefix + "merger.mlp.2.weight", outputs, merged),
            weights.Get(prefix + "merger.mlp.2.bias", outputs));

        Norm ReadNorm(string norm) =>
            new(weights.Get(norm + ".weight", Width), windows ? null : weights.Get(norm + ".bias", Width), Epsilon);
    }

    /// <summary>Width of the stream.</summary>
    public int Width { get; }

    /// <summary>Side of a patch in pixels.</summary>
    public int PatchSize { get; }

    /// <summary>Frames per patch; a still picture is repeated in all of them.</summary>
    public int Frames { get; }

    /// <summary>Patches per side of an image token.</summary>
    public int Merge { get; }

    /// <summary>Number of layers.</summary>
    public int Layers => _layers.Length;

    /// <summary>Floats per patch.</summary>
    public int PatchFloats => Channels * Frames * PatchSize * PatchSize;

    /// <summary>Description of the attention windows, for the summary of a checkpoint.</summary>
    public string Windows => _window == 0 ? "full attention"
        : $"windows of {_window} x {_window} image tokens, full attention in layers {string.Join(", ", _fullAttention.Order())}";

    /// <summary>Encodes patches [patch, channel x frame x y x x], in merge-block order, picture by picture.</summary>
    /// <param name="grids">Rows and columns of patches of each picture.</param>
    /// <returns>Image features [image token, d_model], row-major, picture by picture.</returns>
    public Tensor Forward(float[] pixels, IReadOnlyList<(int Rows, int Columns)> grids, Compute compute, VisionTrace? trace)
    {
        var plan = new Plan(grids, Merge, _window);
        var units = Units(Stream(pixels, grids, plan, compute, trace, null), compute);
        var hidden = _merger1.Forward(units, compute);
        Activations.Apply(Activation.Gelu, hidden, compute);
        var merged = _merger2.Forward(hidden, compute);
        var features = compute.Arena.Take(merged.Rows, merged.Columns);                                        // [image token, d_model]
        for (var row = 0; row < merged.Rows; row++) merged[row].CopyTo(features[plan.Order[row]]);
        return features;
    }

    /// <summary>
    /// Adds the gradients with respect to all weights, from the gradient with respect to the features [image token, d_model].
    /// </summary>
    public void Backward(float[] pixels, IReadOnlyList<(int Rows, int Columns)> grids, Tensor d, Compute compute, Gradients gradients)
    {
        var (arena, plan, tape, unit) = (compute.Arena, new Plan(grids, Merge, _window), new VisionTape(), Merge * Merge);
        var stream = Stream(pixels, grids, plan, compute, null, tape);
        var units = Units(stream, compute);
        var dMerged = arena.Take(d.Rows, d.Columns);  // [image token in window order, d_model]
        for (var row = 0; row < d.Rows; row++) d[plan.Order[row]].CopyTo(dMerged[row]);
        var dUnits = new Projector(_merger1, Activation.Gelu, _merger2).Backward(units, dMerged, compute, gradients);
        var (dNormed, dStream) = (arena.Take(stream.Rows, Width), arena.TakeZeros(stream.Rows, Width));  // [patch in window order, width]
        for (var row = 0; row < stream.Rows; row++) dUnits[row / unit].Slice(row % unit * Width, Width).CopyTo(dNormed[row]);
        _mergerNorm.Backward(stream, dNormed, dStream, gradients, arena);
        for (var i = _layers.Length - 1; i >= 0; i--)
        {
            var mark = arena.Here();
            _layers[i].Backward(dStream, tape.Layers[i], _fullAttention.Contains(i) ? plan.Pictures : plan.Windows, compute, gradients,
                (heads, token) => _rope.RotateBack(heads, plan.PlaceOf(token, unit)));
            arena.Release(mark);
        }
        var dEmbedded = arena.Take(stream.Rows, Width);                                                        // [patch, width]
        for (var row = 0; row < stream.Rows; row++) dStream[row].CopyTo(dEmbedded[plan.Order[row / unit] * unit + row % unit]);
        LinearGradient.Weights(_patchEmbedding, tape.Patches, dEmbedded, gradients, compute);
    }

    /// <returns>The stream after the last layer [patch in window order, width].</returns>
    private Tensor Stream(float[] pixels, IReadOnlyList<(int Rows, int Columns)> grids, Plan plan, Compute compute,
        VisionTrace? trace, VisionTape? tape)
    {
        var arena = compute.Arena;
        var patches = pixels.Length / PatchFloats;
        var input = Tensor.From(arena, pixels, patches, PatchFloats);
        var embedded = _patchEmbedding.Forward(input, compute);                                                // [patch, width]
        if (tape is not null) tape.Patches = input;
        if (trace is not null) (trace.Axes, trace.Embeddings) = ([patches, Width], embedded.ToArray());
        var unit = Merge * Merge;
        var stream = arena.Take(patches, Width);  // [patch in window order, width]
        for (var row = 0; row < patches; row++) embedded[plan.Order[row / unit] * unit + row % unit].CopyTo(stream[row]);
        _rope.Reserve(grids.Max(g => Math.Max(g.Rows, g.Columns)));
        for (var i = 0; i < _layers.Length; i++)
        {
            var mark = arena.Here();
            if (tape is not null) tape.Layers.Add(new VisionLayerTape());
            _layers[i].Forward(stream, _fullAttention.Contains(i) ? plan.Pictures : plan.Windows, compute,
                (heads, token) => _rope.Rotate(heads, plan.PlaceOf(token, unit)), tape?.Layers[i]);
            if (tape is null) arena.Release(mark);
            trace?.Layers.Add(stream.ToArray());
        }
        return stream;
    }

    /// <summary>The normalised patches of each image token, concatenated [image token in window order, unit x width].</summary>
    private Tensor Units(Tensor stream, Compute compute)
    {
        var unit = Merge * Merge;
        var normed = _mergerNorm.Forward(stream, compute);
        var units = compute.Arena.Take(stream.Rows / unit, Width * unit);
        for (var row = 0; row < stream.Rows; row++) normed[row].CopyTo(units[row / unit][(row % unit * Width)..]);
        return units;
    }

    /// <summary>
    /// Positions of patches, and which of them attend to each other. A unit is the block of patches that becomes one image token.
    /// </summary>
    private sealed class Plan
    {
        public Plan(IReadOnlyList<(int Rows, int Columns)> grids, int merge, int window)
        {
            var (pictures, windows, order, places) = (new List<(int, int)>(), new List<(int, int)>(),
                new List<int>(), new List<Coordinate>());
            var unit = merge * merge;
            foreach (var (rows, columns) in grids)
            {
                var (first, high, wide) = (order.Count, rows / merge, columns / merge);
                pictures.Add((first * unit, high * wide * unit));
                for (var token = 0; token < high * wide; token++)
                {
                    for (var i = 0; i < unit; i++)
                        places.Add(new Coordinate(token / wide * merge + i / merge, token % wide * merge + i % merge, 0));
                }
                var side = window == 0 ? Math.Max(high, wide) : window;
                for (var top = 0; top < high; top += side)
                {
                    for (var left = 0; left < wide; left += side)
                    {
                        var start = order.Count;
                        for (var y = top; y < Math.Min(top + side, high); y++)
                        {
                            for (var x = left; x < Math.Min(left + side, wide); x++) order.Add(first + y * wide + x);
                        }
                        windows.Add((start * unit, (order.Count - start) * unit));
                    }
                }
            }
            (Pictures, Windows, Order, Places) = (pictures, windows, [.. order], [.. places]);
        }

        /// <summary>First patch and length of each picture.</summary>
        public IReadOnlyList<(int Start, int Length)> Pictures { get; }

        /// <summary>First patch and length of each window, in window order.</summary>
        public IReadOnlyList<(int Start, int Length)> Windows { get; }

        /// <summary>Index of the unit, in reading order, at each index of the window order.</summary>
        public int[] Order { get; }

        /// <summary>Row and column of each patch, in reading order of the units.</summary>
        private Coordinate[] Places { get; }

        /// <summary>Row and column of a patch of the stream.</summary>
        public Coordinate PlaceOf(int token, int unit) => Places[Order[token / unit] * unit + token % unit];
    }
}
