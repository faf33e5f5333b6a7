using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// Qwen2-VL and Qwen2.5-VL: patches at native resolution, and a Qwen2 decoder with a rotary embedding over time, row and column.
/// </summary>
internal sealed class QwenVl : ModelFamily
{
    private readonly QwenTower _tower;
    private readonly Qwen2VlPreprocessor _preprocessor;
    private readonly bool _windows;

    /// <summary>Reads the family's tensors. A missing tensor, a wrong shape or an unused tensor is an error.</summary>
    public QwenVl(Checkpoint checkpoint)
        : base(checkpoint, ReadDecoder(checkpoint), checkpoint.Config.Int("image_token_id", 151655))
    {
        _windows = checkpoint.Config.Text("model_type") == "qwen2_5_vl";
        var weights = checkpoint.Weights;
        _tower = new QwenTower(checkpoint.Config.Section("vision_config"), weights, Prefix(weights, "patch_embed.proj.weight", "visual."),
            _windows, Decoder.Shape.ModelSize);
        weights.AssertAllRead();
        _preprocessor = Qwen2VlPreprocessor.Load(checkpoint.Folder);
        if ((_preprocessor.PatchSize, _preprocessor.TemporalPatchSize, _preprocessor.MergeSize)
            != (_tower.PatchSize, _tower.Frames, _tower.Merge))
            throw InputException.At(PreprocessorSettings.FileIn(checkpoint.Folder), "patch_size, temporal_patch_size, merge_size",
                $"those of vision_config, {_tower.PatchSize}, {_tower.Frames}, {_tower.Merge}",
                $"{_preprocessor.PatchSize}, {_preprocessor.TemporalPatchSize}, {_preprocessor.MergeSize}");
    }

    /// <inheritdoc/>
    public override string Name => _windows ? "Qwen2.5-VL" : "Qwen2-VL";

    /// <inheritdoc/>
    public override string VisionSummary =>
        $"patches of {_tower.PatchSize} x {_tower.PatchSize} pixels, {_tower.Layers} layers of width {_tower.Width}, {_tower.Windows}, "
            + $"an image token for {_tower.Merge * _tower.PatchSize} x {_tower.Merge * _tower.PatchSize} pixels";

    /// <inheritdoc/>
    public override IReadOnlyList<string> PictureInputs => [.. base.PictureInputs, "image_grid_thw"];

    /// <inheritdoc/>
    public override int ImageTokens(PictureShape picture) => picture.Rows / _tower.Merge * (picture.Columns / _tower.Merge);

    /// <inheritdoc/>
    public override PixelValues Preprocess(IReadOnlyList<Picture> pictures)
    {
        var patches = pictures.Select(_preprocessor.Apply).ToList();
        return new PixelValues(
            [.. patches.SelectMany(p => p.Values)], [patches.Sum(p => p.GridHeight * p.GridWidth), _tower.PatchFloats],
            [.. patches.Zip(pictures,
                (p, original) => new PictureShape(p.GridHeight * p.GridWidth, p.GridHeight, p.GridWidth, original.Height, original.Width))])
        {
            Companions = [TensorData.Of("image_grid_thw", [.. patches.SelectMany(p => new long[] { 1, p.GridHeight, p.GridWidth })],
                pictures.Count, 3)],
        };
    }

    /// <inheritdoc/>
    public override PixelValues Accept(PixelInputs inputs)
    {
        if (inputs.Shape.Length != 2 || inputs.Shape[1] != _tower.PatchFloats) throw inputs.Wrong($"[patches, {_tower.PatchFloats}]");
        if (inputs.Grids is not { Length: > 0 } grids || grids.Length % 3 != 0)
            throw InputException.At(inputs.File, "image_grid_thw", "shape [pictures, 3]",
                inputs.Grids is null ? "nothing" : $"{inputs.Grids.Length} numbers");
        var pictures = new List<PictureShape>();
        foreach (var grid in grids.Chunk(3))
        {
            if (grid[0] != 1 || grid[1] < 1 || grid[2] < 1 || grid[1] > 1 << 15 || grid[2] > 1 << 15 || grid[1] % _tower.Merge != 0
                || grid[2] % _tower.Merge != 0)
                throw InputException.At(inputs.File, "image_grid_thw",
                    $"one frame, rows and columns divisible by {_tower.Merge} (video is not supported)", string.Join(" x ", grid));
            pictures.Add(new PictureShape((int)(grid[1] * grid[2]), (int)grid[1], (int)grid[2]));
        }
        if (pictures.Sum(p => (long)p.Parts) != inputs.Shape[0])
            throw inputs.Wrong($"[{pictures.Sum(p => (long)p.Parts)}, {_tower.PatchFloats}], as image_grid_thw says");
        return new PixelValues(inputs.Values, inputs.Shape, pictures);
    }

    /// <inheritdoc/>
    public override Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null) =>
        _tower.Forward(pixels.Values, [.. pixels.Pictures.Select(p => (p.Rows, p.Columns))], compute, trace);

    /// <inheritdoc/>
    public override void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients) =>
        _tower.Backward(pixels.Values, [.. pixels.Pictures.Select(p => (p.Rows, p.Columns))], d, compute, gradients);

    /// <inheritdoc/>
    public override IEnumerable<PixelBox?> Boxes(PictureShape picture) =>
        new PixelBox(0, 0, picture.Width, picture.Height).Cells(picture.Rows / _tower.Merge, picture.Columns / _tower.Merge)
            .Select(b => (PixelBox?)b);

    /// <inheritdoc/>
    /// <remarks>
    /// The tokens of a picture have the same time coordinate and differ by row and column. The token after the picture continues after the
    /// longer side.
    /// </remarks>
    public override Coordinate[] Coordinates(IReadOnlyList<int> tokens, PixelValues? pixels)
    {
        var coordinates = new Coordinate[tokens.Count];
        var (next, picture) = (0, 0);
        for (var i = 0; i < tokens.Count;)
        {
            if (tokens[i] != ImageToken || picture >= (pixels?.Pictures.Count ?? 0))
            {
                coordinates[i++] = Coordinate.At(next++);
                continue;
            }
            var shape = pixels!.Pictures[picture++];
            var (high, wide) = (shape.Rows / _tower.Merge, shape.Columns / _tower.Merge);
            for (var token = 0; token < high * wide && i < tokens.Count; token++)
                coordinates[i++] = new Coordinate(next, next + token / wide, next + token % wide);
            next += Math.Max(high, wide);
        }
        return coordinates;
    }

    private static Decoder ReadDecoder(Checkpoint checkpoint)
    {
        // Older files have the decoder's keys at the root.
        var (config, weights) = (checkpoint.Config, checkpoint.Weights);
        var text = config.SectionOrNull("text_config") ?? config;
        return Llama.Read(
            text, weights, Prefix(weights, "embed_tokens.weight", "model.", "language_model.", "language_model.model."),
            Prefix(weights, "lm_head.weight", "", "language_model.") + "lm_head.weight",
            Tied(config, text), DecoderDefaults.Qwen2Vl);
    }
}
