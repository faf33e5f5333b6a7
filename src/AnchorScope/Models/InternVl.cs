using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// InternVL 2.5 and 3, in the native -hf layout and in that of the original remote code: InternViT over tiles and a thumbnail, pixel
/// shuffle, a two-layer projector, a Qwen2 or Llama decoder.
/// </summary>
internal sealed class InternVl : ModelFamily
{
    private const string Context = "<IMG_CONTEXT>";
    private const double ProjectorEpsilon = 1e-5, QueryKeyNormEpsilon = 1e-6;

    private readonly PatchTower _tower;
    private readonly InternVlPreprocessor _preprocessor;
    private readonly Norm _projectorNorm;
    private readonly Projector _projector;
    private readonly int _factor;
    private readonly int _featureLayer;
    private readonly int[] _before;
    private readonly int[] _after;

    /// <summary>Reads the family's tensors. A missing tensor, a wrong shape or an unused tensor is an error.</summary>
    public InternVl(Checkpoint checkpoint)
        : base(checkpoint, ReadDecoder(checkpoint),
            checkpoint.Config.Has("image_token_id") ? checkpoint.Config.Int("image_token_id") : null, Context)
    {
        var (config, weights, remote) = (checkpoint.Config, checkpoint.Weights, Remote(checkpoint.Config));
        var vision = config.Section("vision_config");
        _tower = ReadTower(vision, weights, remote);
        var ratio = config.Number("downsample_ratio", 0.5);
        _factor = (int)Math.Round(1 / ratio);
        if (_factor < 1 || _factor * ratio != 1 || _tower.Side % _factor != 0)
            throw InputException.At(config.File, "downsample_ratio",
                $"1 divided by a divisor of {_tower.Side}, the patches of a side", $"{ratio}");
        if (remote && config.Text("ps_version", "v1") is var version && version != "v2")
            throw config.Unsupported("ps_version", version, ["v2"]);
        _featureLayer = VisionSettings.FeatureLayer(config, remote ? "select_layer" : "vision_feature_layer", -1, _tower.Layers);
        if (config.Text("vision_feature_select_strategy", "default") is var strategy && strategy != "default")
            throw config.Unsupported("vision_feature_select_strategy", strategy, ["default"]);
        var shuffled = _tower.Width * _factor * _factor;
        var projector = remote ? "mlp1." : Prefix(weights, "linear_1.weight", "multi_modal_projector.");
        var (norm, first, second) = remote ? ("0", "1", "3") : ("layer_norm", "linear_1", "linear_2");
        _projectorNorm = new Norm(weights.Get($"{projector}{norm}.weight", shuffled),
            weights.Get($"{projector}{norm}.bias", shuffled), ProjectorEpsilon);
        _projector = Projector.Read(config, weights, projector + first, projector + second, shuffled, Decoder.Shape.ModelSize);
        weights.AssertAllRead();
        _preprocessor = InternVlPreprocessor.Load(checkpoint.Folder);
        SameSize(_preprocessor.Size, _tower.ImageSize);
        _before = [.. Tokenizer.Encode("<img>", addSpecial: false).Select(t => t.Id)];
        _after = [.. Tokenizer.Encode("</img>", addSpecial: false).Select(t => t.Id)];
    }

    /// <inheritdoc/>
    public override string Name => "InternVL";

    /// <inheritdoc/>
    public override string VisionSummary =>
        $"InternViT, tiles of {_tower.ImageSize} x {_tower.ImageSize} pixels, {_tower.Layers} layers of width {_tower.Width}, "
            + $"{TokensPerTile} image tokens a tile";

    private int TokensPerTile => _tower.Patches / (_factor * _factor);

    /// <inheritdoc/>
    public override int ImageTokens(PictureShape picture) => picture.Parts * TokensPerTile;

    /// <inheritdoc/>
    public override PixelValues Preprocess(IReadOnlyList<Picture> pictures)
    {
        var tiles = pictures.Select(_preprocessor.Apply).ToList();
        return new PixelValues(
            [.. tiles.SelectMany(t => t.Values)], [tiles.Sum(t => t.Count), 3, _tower.ImageSize, _tower.ImageSize],
            [.. tiles.Select(PictureShape.Of)]);
    }

    /// <inheritdoc/>
    public override PixelValues Accept(PixelInputs inputs)
    {
        var shape = inputs.Shape;
        if (shape.Length != 4 || shape[0] < 1 || shape[1] != 3 || shape[2] != _tower.ImageSize || shape[3] != _tower.ImageSize)
            throw inputs.Wrong($"[tiles, 3, {_tower.ImageSize}, {_tower.ImageSize}]");
        // The file does not say which tiles form a picture, and nothing after the prompt depends on it.
        return new PixelValues(inputs.Values, shape, [new PictureShape((int)shape[0], 1, (int)shape[0])]);
    }

    /// <inheritdoc/>
    public override Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null)
    {
        var stream = _tower.Forward(pixels.Values, _featureLayer, compute, trace);
            // [tile x (1 + patch), d_vision]
        // [image token, factor^2 x d_vision]
        var shuffled = PixelShuffle.Forward(stream, _tower.Tokens, _tower.Side, _factor, compute.Arena);
        return _projector.Forward(_projectorNorm.Forward(shuffled, compute), compute);                           // [image token, d_model]
    }

    /// <inheritdoc/>
    public override void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients)
    {
        var tape = new VisionTape();
        var stream = _tower.Forward(pixels.Values, _featureLayer, compute, null, tape);
        var shuffled = PixelShuffle.Forward(stream, _tower.Tokens, _tower.Side, _factor, compute.Arena);
        var dShuffled = compute.Arena.TakeZeros(shuffled.Rows, shuffled.Columns);
        _projectorNorm.Backward(shuffled, _projector.Backward(_projectorNorm.Forward(shuffled, compute), d, compute, gradients), dShuffled,
            gradients, compute.Arena);
        _tower.Backward(PixelShuffle.Backward(dShuffled, _tower.Tokens, _tower.Side, _factor, compute.Arena), tape, compute, gradients);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<int> Expansion(PictureShape picture) => [.. _before, .. base.Expansion(picture), .. _after];

    /// <inheritdoc/>
    public override IEnumerable<PixelBox?> Boxes(PictureShape picture) => picture.TileBoxes(_tower.Side / _factor);

    private static bool Remote(ConfigSection config) => config.Text("model_type") == "internvl_chat";

    private static Decoder ReadDecoder(Checkpoint checkpoint)
    {
        var (config, weights, remote) = (checkpoint.Config, checkpoint.Weights, Remote(checkpoint.Config));
        var text = config.Section(remote ? "llm_config" : "text_config");
        var type = text.Text("model_type", "qwen2");
        var defaults = type switch
        {
            "qwen2" => DecoderDefaults.Qwen2,
            "llama" => DecoderDefaults.Llama,
            "internlm2" => DecoderDefaults.InternLm2,
            _ => throw text.Unsupported("model_type", type, ["qwen2", "llama", "internlm2"]),
        };
        var head = type == "internlm2" ? "output.weight" : "lm_head.weight";
        // The library's default is tied; a stored head is used in any case.
        return Llama.Read(
            text, weights, Prefix(weights, defaults.Names.Embedding + ".weight", "language_model.model.", "language_model."),
            Prefix(weights, head, "language_model.", "") + head,
            Tied(config, text, otherwise: true), defaults);
    }

    private static PatchTower ReadTower(ConfigSection config, Weights weights, bool remote)
    {
        var sizes = VisionSettings.Read(config, VisionSettings.Intern);
        var rms = config.Text("norm_type", "layer_norm") switch
        {
            "layer_norm" => false,
            "rms_norm" => true,
            var other => throw config.Unsupported("norm_type", other, ["layer_norm", "rms_norm"]),
        };
        var normed = config.Flag(remote ? "qk_normalization" : "use_qk_norm", false);
        var biased = config.Flag(remote ? "qkv_bias" : "attention_bias", false);
        if (!config.Flag("use_mean_pooling", true)) throw config.Unsupported("use_mean_pooling", "false", ["true"]);
        var prefix = remote ? "vision_model." : Prefix(weights, "embeddings.cls_token", "vision_tower.");
        var (classToken, places, patch) = remote ? ("class_embedding", "position_embedding", "patch_embedding")
            : ("cls_token", "position_embeddings", "patch_embeddings.projection");
        var width = sizes.Width;
        var layers = Enumerable.Range(0, sizes.Layers).Select(i =>
        {
            var at = remote ? $"{prefix}encoder.layers.{i}." : $"{prefix}encoder.layer.{i}.";
            var attention = at + (remote ? "attn." : "attention.");
            Linear Project(string name, int outputs, int inputs) =>
                new(weights.Get(name + ".weight", outputs, inputs), weights.Get(name + ".bias", outputs));
            Norm ReadNorm(string name) =>
                new(weights.Get(at + name + ".weight", width), rms ? null : weights.Get(at + name + ".bias", width), sizes.Epsilon);
            Norm? Whole(string name) =>
                normed ? new Norm(weights.Get(attention + name + ".weight", width), null, QueryKeyNormEpsilon) : null;
            Linear Part(int part, string name)
            {
                if (!remote)
                    return new Linear(weights.Get($"{attention}{name}.weight", width, width),
                        biased ? weights.Get($"{attention}{name}.bias", width) : null);
                return new Linear(
                    weights.Get(attention + "qkv.weight", 3 * width, width).Rows(part * width, width),
                    biased ? weights.Get(attention + "qkv.bias", 3 * width).Rows(part * width, width) : null);
            }
            return new VisionLayer(
                ReadNorm(remote ? "norm1" : "layernorm_before"),
                new AttentionWeights(Part(0, "q_proj"), Part(1, "k_proj"), Part(2, "v_proj"),
                    Project(attention + (remote ? "proj" : "projection_layer"), width, width)),
                ReadNorm(remote ? "norm2" : "layernorm_after"),
                new VisionMlp(null, Project(at + "mlp.fc1", sizes.MlpSize, width), Project(at + "mlp.fc2", width, sizes.MlpSize),
                    sizes.Activation), sizes.Heads)
            {
                QueryNorm = Whole("q_norm"),
                KeyNorm = Whole("k_norm"),
                AttnScale = new Vector(weights.Get(at + (remote ? "ls1" : "lambda_1"), width)),
                MlpScale = new Vector(weights.Get(at + (remote ? "ls2" : "lambda_2"), width)),
            };
        }).ToArray();
        return new PatchTower(
            sizes.ImageSize, sizes.PatchSize,
            new Linear(weights.Get($"{prefix}embeddings.{patch}.weight", width, 3, sizes.PatchSize, sizes.PatchSize),
                weights.Get($"{prefix}embeddings.{patch}.bias", width)),
            new Vector(weights.Get($"{prefix}embeddings.{places}", 1, sizes.Patches + 1, width)), layers)
        {
            ClassToken = new Vector(weights.Get($"{prefix}embeddings.{classToken}", 1, 1, width)),
        };
    }
}
