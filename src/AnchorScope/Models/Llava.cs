using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>LLaVA-1.5 in its -hf layout: a CLIP tower, a two-layer projector of an inner layer's patches, a Llama decoder.</summary>
internal sealed class Llava : ModelFamily
{
    private readonly PatchTower _tower;
    private readonly ClipPreprocessor _preprocessor;
    private readonly Projector _projector;
    private readonly IReadOnlyList<int> _featureLayers;
    private readonly bool _keepsClassToken;

    /// <summary>Reads the family's tensors. A missing tensor, a wrong shape or an unused tensor is an error.</summary>
    public Llava(Checkpoint checkpoint)
        : base(checkpoint, ReadDecoder(checkpoint), ImageTokenOf(checkpoint.Config))
    {
        var config = checkpoint.Config;
        var weights = checkpoint.Weights;
        var vision = config.Section("vision_config");
        if (vision.Text("model_type", "clip_vision_model") is var type && type != "clip_vision_model")
            throw vision.Unsupported("model_type", type, ["clip_vision_model"]);
        _tower = ClipTower.Read(
            vision, weights, Prefix(weights, "embeddings.class_embedding", "vision_tower.vision_model.", "vision_tower."));
        _featureLayers = VisionSettings.FeatureLayers(config, "vision_feature_layer", -2, _tower.Layers);
        var strategy = config.Text("vision_feature_select_strategy", "default");
        _keepsClassToken = strategy switch
        {
            "default" => false,
            "full" => true,
            _ => throw config.Unsupported("vision_feature_select_strategy", strategy, ["default", "full"]),
        };
        var projector = Prefix(weights, "linear_1.weight", "multi_modal_projector.");
        _projector = Projector.Read(config, weights, projector + "linear_1", projector + "linear_2", _featureLayers.Count * _tower.Width,
            Decoder.Shape.ModelSize);
        weights.AssertAllRead();
        _preprocessor = ClipPreprocessor.Load(checkpoint.Folder);
        if (_preprocessor.Height != _tower.ImageSize || _preprocessor.Width != _tower.ImageSize)
            throw InputException.At(PreprocessorSettings.FileIn(checkpoint.Folder), "crop_size",
                $"{_tower.ImageSize} x {_tower.ImageSize}, the tower's image_size", $"{_preprocessor.Height} x {_preprocessor.Width}");
    }

    /// <inheritdoc/>
    public override string Name => "LLaVA-1.5";

    /// <inheritdoc/>
    public override string VisionSummary =>
        $"CLIP, {_tower.ImageSize} x {_tower.ImageSize} pixels, {_tower.Layers} layers of width {_tower.Width}, features after layer "
            + $"{string.Join(" and ", _featureLayers)}, {TokensPerPicture} image tokens";

    private int TokensPerPicture => _tower.Patches + (_keepsClassToken ? 1 : 0);

    /// <inheritdoc/>
    public override int ImageTokens(PictureShape picture) => TokensPerPicture;

    /// <inheritdoc/>
    public override PixelValues Preprocess(IReadOnlyList<Picture> pictures) =>
        new([.. pictures.SelectMany(_preprocessor.Apply)], [pictures.Count, 3, _tower.ImageSize, _tower.ImageSize],
            [.. pictures.Select(p => new PictureShape(1, 1, 1, p.Height, p.Width))]);

    /// <inheritdoc/>
    public override PixelValues Accept(PixelInputs inputs)
    {
        var shape = inputs.Shape;
        if (shape.Length != 4 || shape[0] < 1 || shape[1] != 3 || shape[2] != _tower.ImageSize || shape[3] != _tower.ImageSize)
            throw inputs.Wrong($"[images, 3, {_tower.ImageSize}, {_tower.ImageSize}]");
        return new PixelValues(inputs.Values, shape, [.. Enumerable.Repeat(new PictureShape(1, 1, 1), (int)shape[0])]);
    }

    /// <inheritdoc/>
    public override Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null)
    {
        var stream = _tower.Forward(pixels.Values, _featureLayers, compute, trace);             // [image x (1 + patch), d_vision]
        return _projector.Forward(Chosen(stream, compute.Arena), compute);                      // [image x patch, d_model]
    }

    /// <inheritdoc/>
    public override void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients)
    {
        var (patches, back) = Patches(pixels, compute, gradients);
        back(_projector.Backward(patches, d, compute, gradients));
    }

    /// <summary>Input width of the projector: the tower's width times the number of feature layers.</summary>
    internal int ReadWidth => _featureLayers.Count * _tower.Width;

    /// <summary>Width of the tower.</summary>
    internal int TowerWidth => _tower.Width;

    /// <summary>Number of layers of the tower, including those after the last feature layer.</summary>
    internal int TowerLayers => _tower.Layers;

    /// <summary>
    /// The input of the projector [image x patch, d_vision], and its backward pass: given the gradient with respect to this input, it adds
    /// the gradients with respect to the tower's weights.
    /// </summary>
    internal (Tensor Patches, Action<Tensor> Back) Patches(PixelValues pixels, Compute compute, Gradients gradients)
    {
        var tape = new VisionTape();
        var stream = _tower.Forward(pixels.Values, _featureLayers, compute, null, tape);
        return (Chosen(stream, compute.Arena), d => _tower.Backward(Spread(d, stream.Rows, compute.Arena), _featureLayers, tape, compute,
            gradients));
    }

    private Tensor Spread(Tensor chosen, int rows, Arena arena)
    {
        var stream = arena.TakeZeros(rows, chosen.Columns);
        for (var row = 0; row < chosen.Rows; row++) chosen[row].CopyTo(stream[TokenOf(row)]);
        return stream;
    }

    /// <summary>The tower's tokens that become image tokens [image x patch, d_vision].</summary>
    private Tensor Chosen(Tensor stream, Arena arena)
    {
        var chosen = arena.Take(stream.Rows / _tower.Tokens * TokensPerPicture, stream.Columns);
        for (var row = 0; row < chosen.Rows; row++) stream[TokenOf(row)].CopyTo(chosen[row]);
        return chosen;
    }

    private int TokenOf(int row) => row / TokensPerPicture * _tower.Tokens + _tower.Tokens - TokensPerPicture + row % TokensPerPicture;

    /// <inheritdoc/>
    public override IEnumerable<PixelBox?> Boxes(PictureShape picture)
    {
        var side = (int)Math.Sqrt(_tower.Patches);
        var (left, top, right, bottom) = _preprocessor.Seen(picture.Height, picture.Width);
        var boxes = new PixelBox(left, top, right, bottom).Cells(side, side).Select(b => (PixelBox?)b);
        return _keepsClassToken ? boxes.Prepend(null) : boxes;
    }

    private static Decoder ReadDecoder(Checkpoint checkpoint)
    {
        var text = checkpoint.Config.Section("text_config");
        if (text.Text("model_type", "llama") is var type && type != "llama") throw text.Unsupported("model_type", type, ["llama"]);
        var weights = checkpoint.Weights;
        return Llama.Read(
            text, weights, Prefix(weights, "embed_tokens.weight", "language_model.model.", "language_model."),
            Prefix(weights, "lm_head.weight", "language_model.", "") + "lm_head.weight",
            Tied(checkpoint.Config, text), DecoderDefaults.Llama);
    }

    private static int ImageTokenOf(ConfigSection config) =>
        config.Has("image_token_id") ? config.Int("image_token_id") : config.Int("image_token_index", 32000);
}
