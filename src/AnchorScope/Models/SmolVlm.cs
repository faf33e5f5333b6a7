using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>SmolVLM and Idefics3: SigLIP over tiles and the whole picture, pixel shuffle and one projection, a Llama decoder.</summary>
internal sealed class SmolVlm : ModelFamily
{
    private const string Around = "<fake_token_around_image>";

    private readonly PatchTower _tower;
    private readonly Norm _postNorm;
    private readonly Linear _projection;
    private readonly SmolVlmPreprocessor _preprocessor;
    private readonly int _factor;

    /// <summary>Reads the family's tensors. A missing tensor, a wrong shape or an unused tensor is an error.</summary>
    public SmolVlm(Checkpoint checkpoint)
        : base(checkpoint, ReadDecoder(checkpoint), checkpoint.Config.Int("image_token_id", 128257))
    {
        var (config, weights) = (checkpoint.Config, checkpoint.Weights);
        var vision = config.Section("vision_config");
        var prefix = Prefix(weights, "embeddings.patch_embedding.weight", "model.vision_model.", "vision_model.");
        _tower = ClipTower.ReadSiglip(vision, weights, prefix, VisionSettings.Smol, bucketed: true);
        _postNorm = ClipTower.PostNorm(vision, weights, prefix, VisionSettings.Smol);
        _factor = config.PositiveInt("scale_factor", 2);
        if (_tower.Side % _factor != 0)
            throw InputException.At(config.File, "scale_factor", $"a divisor of {_tower.Side}, the patches of a side", $"{_factor}");
        var name = Prefix(weights, "modality_projection.proj.weight", "model.connector.", "connector.") + "modality_projection.proj.weight";
        _projection = new Linear(weights.Get(name, Decoder.Shape.ModelSize, _tower.Width * _factor * _factor));
        weights.AssertAllRead();
        _preprocessor = SmolVlmPreprocessor.Load(checkpoint.Folder);
        SameSize(_preprocessor.Size, _tower.ImageSize);
    }

    /// <inheritdoc/>
    public override string Name => "SmolVLM";

    /// <inheritdoc/>
    public override string VisionSummary =>
        $"SigLIP, tiles of {_tower.ImageSize} x {_tower.ImageSize} pixels, {_tower.Layers} layers of width {_tower.Width}, "
            + $"{TokensPerTile} image tokens a tile";

    private int TokensPerTile => _tower.Patches / (_factor * _factor);

    /// <inheritdoc/>
    public override IReadOnlyList<string> PictureInputs => [.. base.PictureInputs, "pixel_attention_mask"];

    /// <inheritdoc/>
    public override int ImageTokens(PictureShape picture) => picture.Parts * TokensPerTile;

    /// <inheritdoc/>
    public override PixelValues Preprocess(IReadOnlyList<Picture> pictures)
    {
        var tiles = pictures.Select(_preprocessor.Apply).ToList();
        return new PixelValues(
            [.. tiles.SelectMany(t => t.Values)], [1, tiles.Sum(t => t.Count), 3, _tower.ImageSize, _tower.ImageSize],
            [.. tiles.Select(PictureShape.Of)]);
    }

    /// <inheritdoc/>
    public override PixelValues Accept(PixelInputs inputs)
    {
        var shape = inputs.Shape;
        if (shape.Length != 5 || shape[0] != 1 || shape[1] < 1 || shape[2] != 3 || shape[3] != _tower.ImageSize
            || shape[4] != _tower.ImageSize)
            throw inputs.Wrong($"[1, tiles, 3, {_tower.ImageSize}, {_tower.ImageSize}]");
        var pixels = 3 * _tower.ImageSize * _tower.ImageSize;
        // Tiles of zeros pad a batch. The reference drops them, but keeps one if there is no other tile.
        int[] real = [.. Enumerable.Range(0, (int)shape[1]).Where(tile => inputs.Values.AsSpan(tile * pixels, pixels)
            .ContainsAnyExcept(0f))];
        if (real.Length == 0) real = [0];
        if (inputs.Mask is { } mask) NothingHidden(inputs.File, mask.Values, mask.Shape, [shape[0], shape[1], shape[3], shape[4]], real);
        var values = real.Length == shape[1] ? inputs.Values
            : [.. real.SelectMany(tile => inputs.Values[(tile * pixels)..((tile + 1) * pixels)])];
        return new PixelValues(values, [1, real.Length, .. shape[2..]], [new PictureShape(real.Length, 1, real.Length)]);
    }

    private static void NothingHidden(string file, long[] mask, long[] found, long[] expected, int[] tiles)
    {
        const string Mask = "pixel_attention_mask";
        if (!found.AsSpan().SequenceEqual(expected)) throw InputException.At(file, Mask, $"shape [{string.Join(", ", expected)}]",
            $"[{string.Join(", ", found)}]");
        var pixels = mask.Length / (int)expected[1];
        foreach (var tile in tiles.Where(tile => mask.AsSpan(tile * pixels, pixels).ContainsAnyExcept(1)))
            throw InputException.At(file, Mask, "1 everywhere (pictures of which a part is hidden are not supported)", $"0 in tile {tile}");
    }

    /// <inheritdoc/>
    public override Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null)
    {
        var stream = _postNorm.Forward(_tower.Forward(pixels.Values, _tower.Layers, compute, trace), compute);  // [tile x patch, d_vision]
        return _projection.Forward(PixelShuffle.Forward(stream, _tower.Tokens, _tower.Side, _factor, compute.Arena), compute);
    }

    /// <inheritdoc/>
    public override void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients)
    {
        var (tape, arena) = (new VisionTape(), compute.Arena);
        var stream = _tower.Forward(pixels.Values, _tower.Layers, compute, null, tape);
        var shuffled = PixelShuffle.Forward(_postNorm.Forward(stream, compute), _tower.Tokens, _tower.Side, _factor, arena);
        var dNormed = PixelShuffle.Backward(LinearGradient.Both(_projection, shuffled, d, gradients, compute), _tower.Tokens,
            _tower.Side, _factor, arena);
        var dStream = arena.TakeZeros(stream.Rows, stream.Columns);
        _postNorm.Backward(stream, dNormed, dStream, gradients, arena);
        _tower.Backward(dStream, tape, compute, gradients);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<int> Expansion(PictureShape picture)
    {
        var image = string.Concat(Enumerable.Repeat(Placeholder, TokensPerTile));
        var text = new System.Text.StringBuilder();
        for (var row = 1; picture.Parts > 1 && row <= picture.Rows; row++)
        {
            for (var column = 1; column <= picture.Columns; column++) text.Append(Around).Append($"<row_{row}_col_{column}>").Append(image);
            text.Append('\n');
        }
        if (picture.Parts > 1) text.Append('\n');
        text.Append(Around).Append("<global-img>").Append(image).Append(Around);
        return [.. Tokenizer.Encode(text.ToString(), addSpecial: false).Select(t => t.Id)];
    }

    /// <inheritdoc/>
    public override IEnumerable<PixelBox?> Boxes(PictureShape picture) => picture.TileBoxes(_tower.Side / _factor);

    private static Decoder ReadDecoder(Checkpoint checkpoint)
    {
        var (config, weights) = (checkpoint.Config, checkpoint.Weights);
        var text = config.Section("text_config");
        if (text.Text("model_type", "llama") is var type && type != "llama") throw text.Unsupported("model_type", type, ["llama"]);
        return Llama.Read(
            text, weights, Prefix(weights, "embed_tokens.weight", "model.text_model.", "text_model."), "lm_head.weight",
            Tied(config, text), DecoderDefaults.Llama);
    }
}
