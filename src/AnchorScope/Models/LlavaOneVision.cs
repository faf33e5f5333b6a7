using AnchorScope.Checkpoints;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// LLaVA-OneVision in its -hf layout: SigLIP over the whole picture and its tiles, a two-layer projector, the tiles put together again
/// without padding and with a newline vector behind each row, a Qwen2 decoder.
/// </summary>
public sealed class LlavaOneVision : VisionLanguageModel
{
    private const string Anyres = "anyres_max_";

    private readonly PatchTower _tower;
    private readonly Linear _projector1;
    private readonly Linear _projector2;
    private readonly Activation _activation;
    private readonly float[] _newline;
    private readonly LlavaOnevisionPreprocessor _preprocessor;
    private readonly IReadOnlyList<(int Height, int Width)> _pinpoints;
    private readonly int _featureLayers;
    private readonly int _mostTiles;

    /// <summary>Reads the family's tensors; anything missing, of another shape or left over is an error.</summary>
    public LlavaOneVision(Checkpoint checkpoint)
        : base(checkpoint, ReadDecoder(checkpoint), checkpoint.Config.Has("image_token_id") ? checkpoint.Config.Int("image_token_id") : checkpoint.Config.Int("image_token_index", 151646))
    {
        var (config, weights) = (checkpoint.Config, checkpoint.Weights);
        var vision = config.Section("vision_config");
        var prefix = Prefix(weights, "embeddings.patch_embedding.weight", "vision_tower.vision_model.", "vision_tower.");
        _tower = ClipTower.ReadSiglip(vision, weights, prefix, VisionSettings.Siglip);
        weights.MarkUnused(name => name.StartsWith(prefix + "post_layernorm.", StringComparison.Ordinal));
        var layer = config.Int("vision_feature_layer", -1);
        _featureLayers = layer < 0 ? _tower.Layers + 1 + layer : layer;
        if (_featureLayers < 0 || _featureLayers > _tower.Layers) throw InputException.At(config.File, "vision_feature_layer", $"{-_tower.Layers - 1} to {_tower.Layers}", $"{layer}");
        if (config.Text("vision_feature_select_strategy", "full") is var strategy && strategy != "full") throw config.Unsupported("vision_feature_select_strategy", strategy, ["full"]);
        var ratio = config.Text("vision_aspect_ratio", "anyres_max_9");
        if (!ratio.StartsWith(Anyres, StringComparison.Ordinal) || !int.TryParse(ratio[Anyres.Length..], out _mostTiles) || _mostTiles < 1) throw config.Unsupported("vision_aspect_ratio", ratio, [Anyres + "N"]);
        var activation = config.Text("projector_hidden_act", "gelu");
        _activation = Activations.Parse(activation) ?? throw config.Unsupported("projector_hidden_act", activation, Activations.Names);
        var width = Decoder.Shape.ModelSize;
        var bias = config.Flag("multimodal_projector_bias", true);
        var projector = Prefix(weights, "linear_1.weight", "multi_modal_projector.");
        _projector1 = new Linear(weights.Get(projector + "linear_1.weight", width, _tower.Width), bias ? weights.Get(projector + "linear_1.bias", width) : null);
        _projector2 = new Linear(weights.Get(projector + "linear_2.weight", width, width), bias ? weights.Get(projector + "linear_2.bias", width) : null);
        _newline = weights.Get(Prefix(weights, "image_newline", "") + "image_newline", width).ToSingles();
        weights.AssertAllRead();
        _preprocessor = LlavaOnevisionPreprocessor.Load(checkpoint.Folder);
        SameSize(_preprocessor.Size, _tower.ImageSize);
        _pinpoints = config.Pairs("image_grid_pinpoints", _tower.ImageSize);
    }

    /// <inheritdoc/>
    public override string Family => "LLaVA-OneVision";

    /// <inheritdoc/>
    public override string VisionSummary =>
        $"SigLIP, tiles of {_tower.ImageSize} x {_tower.ImageSize} pixels, {_tower.Layers} layers of width {_tower.Width}, {_tower.Patches} image tokens for the whole picture and up to {_mostTiles} times as many for its tiles";

    /// <inheritdoc/>
    public override int ImageTokens(PictureShape picture) => Packing(picture).Tokens;

    /// <inheritdoc/>
    public override PixelValues Preprocess(IReadOnlyList<Picture> pictures)
    {
        if (pictures.Count != 1) throw new InputException($"LLaVA-OneVision: expected one picture in a prompt, found {pictures.Count}; several are not supported");
        var tiles = _preprocessor.Apply(pictures[0]);
        return new PixelValues(
            tiles.Values, [1, tiles.Count, 3, _tower.ImageSize, _tower.ImageSize], [new PictureShape(tiles.Count, tiles.Rows, tiles.Columns, tiles.PictureHeight, tiles.PictureWidth)])
        {
            Companions = [TensorData.Of("image_sizes", [tiles.PictureHeight, tiles.PictureWidth], 1, 2)],
        };
    }

    /// <inheritdoc/>
    public override PixelValues Accept(PixelInputs inputs)
    {
        var shape = inputs.Shape;
        if (shape.Length != 5 || shape[0] < 1 || shape[1] < 1 || shape[2] != 3 || shape[3] != _tower.ImageSize || shape[4] != _tower.ImageSize) throw inputs.Wrong($"[pictures, tiles, 3, {_tower.ImageSize}, {_tower.ImageSize}]");
        if (inputs.Sizes is not { } sizes || sizes.Length != 2 * shape[0] || sizes.Any(s => s is < 1 or > 1 << 20)) throw InputException.At(inputs.File, "image_sizes", $"[{shape[0]}, 2], height and width of each picture", inputs.Sizes is null ? "nothing" : string.Join(", ", inputs.Sizes));
        var pictures = new List<PictureShape>();
        foreach (var size in sizes.Chunk(2))
        {
            var (height, width) = LlavaOnevisionPreprocessor.BestResolution((int)size[0], (int)size[1], _pinpoints);
            var (rows, columns) = (height / _tower.ImageSize, width / _tower.ImageSize);
            if (shape[1] != 1 && shape[1] != 1 + rows * columns) throw inputs.Wrong($"[pictures, {1 + rows * columns}, …], as image_sizes says");
            pictures.Add(new PictureShape((int)shape[1], rows, columns, (int)size[0], (int)size[1]));
        }
        return new PixelValues(inputs.Values, shape, pictures);
    }

    /// <inheritdoc/>
    public override Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null)
    {
        var stream = _tower.Forward(pixels.Values, _featureLayers, compute, trace);                                     // [tile x patch, d_vision]
        var hidden = _projector1.Forward(stream, compute);
        for (var row = 0; row < hidden.Rows; row++) Activations.Apply(_activation, hidden[row]);
        var projected = _projector2.Forward(hidden, compute);                                                           // [tile x patch, d_model]
        var features = compute.Arena.Take(pixels.Pictures.Sum(ImageTokens), projected.Columns);                         // [image token, d_model]
        var (next, first) = (0, 0);
        foreach (var picture in pixels.Pictures)
        {
            for (var i = 0; i < _tower.Patches; i++) projected[first + i].CopyTo(features[next++]);
            var packing = Packing(picture);
            for (var y = 0; y < packing.Rows; y++)
            {
                for (var x = 0; x < packing.Columns; x++) packing.Sample(projected, first + _tower.Patches, _tower.Side, y, x, features[next++]);
                _newline.CopyTo(features[next++]);
            }
            if (packing.Rows == 0) _newline.CopyTo(features[next++]);
            first += picture.Parts * _tower.Patches;
        }
        return features;
    }

    /// <inheritdoc/>
    /// <remarks>The whole picture first, then the tiles put together without their padding; the newline behind each row has no place.</remarks>
    protected override IEnumerable<PixelBox?> Boxes(PictureShape picture)
    {
        var whole = new PixelBox(0, 0, picture.Width, picture.Height);
        foreach (var box in whole.Cells(_tower.Side, _tower.Side)) yield return box;
        var packing = Packing(picture);
        if (packing.Rows == 0) yield return null;
        foreach (var (box, i) in whole.Cells(packing.Rows, packing.Columns).Select((box, i) => (box, i)))
        {
            yield return box;
            if ((i + 1) % packing.Columns == 0) yield return null;
        }
    }

    private TilePacking Packing(PictureShape picture) => TilePacking.Of(picture, _tower.Side, _mostTiles);

    private static Decoder ReadDecoder(Checkpoint checkpoint)
    {
        var (config, weights) = (checkpoint.Config, checkpoint.Weights);
        var text = config.Section("text_config");
        if (text.Text("model_type", "qwen2") is var type && type != "qwen2") throw text.Unsupported("model_type", type, ["qwen2"]);
        return Llama.Read(
            text, weights, Prefix(weights, "embed_tokens.weight", "language_model.model.", "language_model."), Prefix(weights, "lm_head.weight", "language_model.", "") + "lm_head.weight",
            text.Flag("tie_word_embeddings", config.Flag("tie_word_embeddings", false)), DecoderDefaults.Qwen2);
    }
}
