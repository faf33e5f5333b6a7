using AnchorScope.Checkpoints;

namespace AnchorScope.Synthesis;

/// <summary>Options of a checkpoint with random weights. Sizes that are not given are proportional to the others.</summary>
internal sealed record SynthesisOptions
{
    private const int LargestSize = 1 << 20;
    private const int MostLayers = 1 << 10;
    private const int LongestSide = 128;

    /// <summary>The family, which determines the layout.</summary>
    public required SyntheticFamily Family { get; init; }

    /// <summary>Layers of the decoder.</summary>
    public int Layers { get; init; } = 12;

    /// <summary>Query heads per decoder layer.</summary>
    public int Heads { get; init; } = 12;

    /// <summary>Key/value heads per decoder layer; null: as many as query heads.</summary>
    public int? KeyHeads { get; init; }

    /// <summary>d_model.</summary>
    public int Width { get; init; } = 768;

    /// <summary>d_mlp; null: in the family's proportion to the width.</summary>
    public int? MlpSize { get; init; }

    /// <summary>Rows of the embedding. The tokenizer needs some hundred of them; the others have no token.</summary>
    public int Vocabulary { get; init; } = 32000;

    /// <summary>
    /// A square number: image tokens of a picture, of a tile, or of a square picture, depending on the family; null: as in the published
    /// models.
    /// </summary>
    public int? ImageTokens { get; init; }

    /// <summary>Layers of the vision tower.</summary>
    public int VisionLayers { get; init; } = 4;

    /// <summary>Width of the vision tower.</summary>
    public int VisionWidth { get; init; } = 256;

    /// <summary>Heads of the vision tower; null: heads of width 64, at least one.</summary>
    public int? VisionHeads { get; init; }

    /// <summary>MLP width of the vision tower; null: in the family's proportion to its width.</summary>
    public int? VisionMlpSize { get; init; }

    /// <summary>Type of every tensor: F32, F16 or BF16.</summary>
    public StoredType Type { get; init; } = StoredType.BF16;

    /// <summary>Seed. The weights depend on it and on the names and shapes of the tensors.</summary>
    public ulong Seed { get; init; }

    /// <summary>Maximum bytes of tensors per file, unless a single tensor has more.</summary>
    public long ShardBytes { get; init; } = 5_000_000_000;

    /// <summary>All sizes, validated.</summary>
    /// <exception cref="InputException">A size is out of range or incompatible with another; the message names the option.</exception>
    public SyntheticShape Shape()
    {
        var shape = new SyntheticShape
        {
            Layers = Within("--layers", Layers, MostLayers),
            Heads = Within("--heads", Heads, LargestSize),
            KeyHeads = Within("--kv-heads", KeyHeads ?? Heads, LargestSize),
            Width = Within("--hidden", Width, LargestSize),
            MlpSize = Within("--mlp", MlpSize ?? Multiple(Width * Family.MlpRatio, 32), LargestSize),
            Vocabulary = Within("--vocab", Vocabulary, LargestSize),
            Side = Side(),
            VisionLayers = Within("--vision-layers", VisionLayers, MostLayers),
            VisionWidth = Within("--vision-hidden", VisionWidth, LargestSize),
            VisionHeads = Within("--vision-heads", VisionHeads ?? (VisionWidth % 64 == 0 ? VisionWidth / 64 : 1), LargestSize),
            VisionMlpSize = Within("--vision-mlp", VisionMlpSize ?? Multiple(VisionWidth * Family.VisionMlpRatio, 4), LargestSize),
        };
        Require("--heads", Width % Heads == 0 && Width / Heads % 2 == 0,
            $"a number that divides --hidden {Width} into heads of an even size", Heads);
        Require("--kv-heads", Heads % shape.KeyHeads == 0, $"a divisor of --heads {Heads}", shape.KeyHeads);
        Require("--vision-heads", VisionWidth % shape.VisionHeads == 0, $"a divisor of --vision-hidden {VisionWidth}", shape.VisionHeads);
        var tokens = new ByteTokenizer(Family.SpecialTokens).Size;
        Require("--vocab", Vocabulary >= tokens, $"at least {tokens}, the tokens of its tokenizer", Vocabulary);
        if (ShardBytes < 1) throw new InputException($"--shard-size: expected at least one byte, found {ShardBytes}");
        if (Type is not (StoredType.F32 or StoredType.F16 or StoredType.BF16))
            throw new InputException($"--dtype: expected f32, f16 or bf16, found {Type.Name}");
        Family.Check(shape);
        return shape;
    }

    /// <exception cref="InputException">The value of <paramref name="option"/> is invalid.</exception>
    internal static void Require(string option, bool holds, string expected, int found)
    {
        if (!holds) throw new InputException($"{option}: expected {expected}, found {found}");
    }

    private static int Within(string option, int value, int most)
    {
        Require(option, value >= 1 && value <= most, $"1 to {most}", value);
        return value;
    }

    /// <summary>Rounded up to a multiple, as is usual for models.</summary>
    private static int Multiple(double size, int unit) => (int)Math.Min(int.MaxValue, Math.Ceiling(size / unit) * unit);

    private int Side()
    {
        var asked = ImageTokens ?? Family.ImageTokens;
        var side = Math.Clamp((int)Math.Sqrt(Math.Max(asked, 0)), 1, LongestSide);
        if (side * side == asked) return side;
        var near = side < LongestSide && asked > 0 ? $"{side * side} or {(side + 1) * (side + 1)}" : $"{side * side}";
        throw new InputException("--image-tokens: expected n x n with n from 1 to "
            + $"{LongestSide} ({Family.Name}: {Family.ImageTokensOf}, {Family.TokenPixels} x {Family.TokenPixels} pixels each), found "
            + $"{asked}; near it: {near}");
    }
}

/// <summary>Compatible sizes.</summary>
internal sealed record SyntheticShape
{
    public required int Layers { get; init; }

    public required int Heads { get; init; }

    public required int KeyHeads { get; init; }

    public required int Width { get; init; }

    public required int MlpSize { get; init; }

    public required int Vocabulary { get; init; }

    /// <summary>Image tokens per side of a square picture or tile.</summary>
    public required int Side { get; init; }

    public required int VisionLayers { get; init; }

    public required int VisionWidth { get; init; }

    public required int VisionHeads { get; init; }

    public required int VisionMlpSize { get; init; }
}
