using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// LLaVA-OneVision in its -hf layout: SigLIP over the whole picture and its tiles, a two-layer projector, the tiles reassembled without
/// padding and with a newline vector after each row, a Qwen2 decoder.
/// </summary>
internal sealed class LlavaOneVision : ModelFamily
{
    private const string Anyres = "anyres_max_";

    private readonly PatchTower _tower;
    private readonly Projector _projector;
    private readonly Vector _newline;
    private readonly LlavaOnevisionPreprocessor _preprocessor;
    private readonly IReadOnlyList<(int Height, int Width)> _pinpoints;
    private readonly IReadOnlyList<int> _featureLayers;
    private readonly int _mostTiles;

    /// <summary>Reads the family's tensors. A missing tensor, a wrong shape or an unused tensor is an error.</summary>
    public LlavaOneVision(Checkpoint checkpoint)
        : base(checkpoint, ReadDecoder(checkpoint),
            checkpoint.Config.Has("image_token_id")
                ? checkpoint.Config.Int("image_token_id") : checkpoint.Config.Int("image_token_index", 151646))
    {
        var (config, weights) = (checkpoint.Config, checkpoint.Weights);
        var vision = config.Section("vision_config");
        var prefix = Prefix(weights, "embeddings.patch_embedding.weight", "vision_tower.vision_model.", "vision_tower.");
        _tower = ClipTower.ReadSiglip(vision, weights, prefix, VisionSettings.Siglip);
        weights.MarkUnused(name => name.StartsWith(prefix + "post_layernorm.", StringComparison.Ordinal));
        _featureLayers = VisionSettings.FeatureLayers(config, "vision_feature_layer", -1, _tower.Layers);
        if (config.Text("vision_feature_select_strategy", "full") is var strategy && strategy != "full")
            throw config.Unsupported("vision_feature_select_strategy", strategy, ["full"]);
        var ratio = config.Text("vision_aspect_ratio", "anyres_max_9");
        if (!ratio.StartsWith(Anyres, StringComparison.Ordinal) || !int.TryParse(ratio[Anyres.Length..], out _mostTiles) || _mostTiles < 1)
            throw config.Unsupported("vision_aspect_ratio", ratio, [Anyres + "N"]);
        var width = Decoder.Shape.ModelSize;
        var projector = Prefix(weights, "linear_1.weight", "multi_modal_projector.");
        _projector = Projector.Read(config, weights, projector + "linear_1", projector + "linear_2", _featureLayers.Count * _tower.Width,
            width);
        _newline = new Vector(weights.Get(Prefix(weights, "image_newline", "") + "image_newline", width));
        weights.AssertAllRead();
        _preprocessor = LlavaOnevisionPreprocessor.Load(checkpoint.Folder);
        SameSize(_preprocessor.Size, _tower.ImageSize);
        _pinpoints = config.Pairs("image_grid_pinpoints", _tower.ImageSize);
    }

    /// <inheritdoc/>
    public override string Name => "LLaVA-OneVision";

    /// <inheritdoc/>
    public override string VisionSummary =>
        $"SigLIP, tiles of {_tower.ImageSize} x {_tower.ImageSize} pixels, {_tower.Layers} layers of width {_tower.Width}, "
            + $"{_tower.Patches} image tokens for the whole picture and up to {_mostTiles} times as many for its tiles";

    /// <inheritdoc/>
    public override IReadOnlyList<string> PictureInputs => [.. base.PictureInputs, "image_sizes", "batch_num_images"];

    /// <inheritdoc/>
    public override int ImageTokens(PictureShape picture) => Packing(picture).Tokens;

    /// <inheritdoc/>
    public override PixelValues Preprocess(IReadOnlyList<Picture> pictures)
    {
        // With several pictures in a prompt the reference splits none of them into tiles.
        var tiles = pictures.Count == 1 ? [_preprocessor.Apply(pictures[0])] : pictures.Select(_preprocessor.ApplyWhole).ToList();
        return new PixelValues(
            [.. tiles.SelectMany(t => t.Values)], [pictures.Count, tiles[0].Count, 3, _tower.ImageSize, _tower.ImageSize],
            [.. tiles.Select(PictureShape.Of)])
        {
            Companions = [TensorData.Of("image_sizes", [.. tiles.SelectMany(t => new long[] { t.PictureHeight, t.PictureWidth })],
                pictures.Count, 2)],
        };
    }

    /// <inheritdoc/>
    public override PixelValues Accept(PixelInputs inputs)
    {
        var shape = inputs.Shape;
        if (shape.Length != 5 || shape[0] < 1 || shape[1] < 1 || shape[2] != 3 || shape[3] != _tower.ImageSize
            || shape[4] != _tower.ImageSize)
            throw inputs.Wrong($"[pictures, tiles, 3, {_tower.ImageSize}, {_tower.ImageSize}]");
        if (inputs.Sizes is not { } sizes || sizes.Length != 2 * shape[0] || sizes.Any(s => s is < 1 or > 1 << 20))
            throw InputException.At(inputs.File, "image_sizes", $"[{shape[0]}, 2], height and width of each picture",
                inputs.Sizes is null ? "nothing" : string.Join(", ", inputs.Sizes));
        var pictures = new List<PictureShape>();
        foreach (var size in sizes.Chunk(2))
        {
            var (height, width) = LlavaOnevisionPreprocessor.BestResolution((int)size[0], (int)size[1], _pinpoints);
            var (rows, columns) = (height / _tower.ImageSize, width / _tower.ImageSize);
            if (shape[1] != 1 && shape[1] != 1 + rows * columns)
                throw inputs.Wrong($"[pictures, {1 + rows * columns}, …], as image_sizes says");
            pictures.Add(new PictureShape((int)shape[1], rows, columns, (int)size[0], (int)size[1]));
        }
        return new PixelValues(inputs.Values, shape, pictures);
    }

    /// <inheritdoc/>
    public override Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null)
    {
        var stream = _tower.Forward(pixels.Values, _featureLayers, compute, trace);              // [tile x patch, d_vision]
        var projected = _projector.Forward(stream, compute);                                     // [tile x patch, d_model]
        var features = compute.Arena.Take(pixels.Pictures.Sum(ImageTokens), projected.Columns);  // [image token, d_model]
        var (next, first) = (0, 0);
        foreach (var picture in pixels.Pictures)
        {
            for (var i = 0; i < _tower.Patches; i++) projected[first + i].CopyTo(features[next++]);
            var packing = Packing(picture);
            for (var y = 0; y < packing.Rows; y++)
            {
                for (var x = 0; x < packing.Columns; x++)
                    packing.Sample(projected, first + _tower.Patches, _tower.Side, y, x, features[next++]);
                _newline.Values.CopyTo(features[next++]);
            }
            // A map without rows has no row ends. The newline vector after a picture without tiles is not a row end.
            if (picture.Parts == 1) _newline.Values.CopyTo(features[next++]);
            first += picture.Parts * _tower.Patches;
        }
        return features;
    }

    /// <inheritdoc/>
    public override void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients)
    {
        var tape = new VisionTape();
        var stream = _tower.Forward(pixels.Values, _featureLayers, compute, null, tape);
        var projected = compute.Arena.TakeZeros(stream.Rows, d.Columns);  // [tile x patch, d_model]
        var (next, first) = (0, 0);
        foreach (var picture in pixels.Pictures)
        {
            for (var i = 0; i < _tower.Patches; i++) d[next++].CopyTo(projected[first + i]);
            var packing = Packing(picture);
            for (var y = 0; y < packing.Rows; y++)
            {
                for (var x = 0; x < packing.Columns; x++)
                    packing.SampleBackward(projected, first + _tower.Patches, _tower.Side, y, x, d[next++]);
                _newline.Add(gradients, 0, d[next++]);
            }
            if (picture.Parts == 1) _newline.Add(gradients, 0, d[next++]);
            first += picture.Parts * _tower.Patches;
        }
        _tower.Backward(_projector.Backward(stream, projected, compute, gradients), _featureLayers, tape, compute, gradients);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The whole picture first, then the reassembled tiles without their padding. The newline after each row has no box. With several
    /// pictures, each is centred in a square.
    /// </remarks>
    public override IEnumerable<PixelBox?> Boxes(PictureShape picture)
    {
        var whole = new PixelBox(0, 0, picture.Width, picture.Height);
        if (picture.Parts == 1)
        {
            var (left, top, right, bottom) = LlavaOnevisionPreprocessor.SquareAround(picture.Height, picture.Width);
            return new PixelBox(left, top, right, bottom).Cells(_tower.Side, _tower.Side).Select(box => box.Within(whole)).Append(null);
        }
        var packing = Packing(picture);
        var cells = whole.Cells(packing.Rows, packing.Columns).Select(b => (PixelBox?)b).ToList();
        // A row without columns consists of its newline only.
        var rows = Enumerable.Range(0, packing.Rows).Select(row => cells.GetRange(row * packing.Columns, packing.Columns));
        return whole.Cells(_tower.Side, _tower.Side).Select(b => (PixelBox?)b).Concat(rows.SelectMany(row => row.Append(null)));
    }

    private TilePacking Packing(PictureShape picture) => TilePacking.Of(picture, _tower.Side, _mostTiles);

    private static Decoder ReadDecoder(Checkpoint checkpoint)
    {
        var (config, weights) = (checkpoint.Config, checkpoint.Weights);
        var text = config.Section("text_config");
        if (text.Text("model_type", "qwen2") is var type && type != "qwen2") throw text.Unsupported("model_type", type, ["qwen2"]);
        return Llama.Read(
            text, weights, Prefix(weights, "embed_tokens.weight", "language_model.model.", "language_model."),
            Prefix(weights, "lm_head.weight", "language_model.", "") + "lm_head.weight",
            Tied(config, text), DecoderDefaults.Qwen2);
    }
}
