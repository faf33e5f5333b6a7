using AnchorScope.Checkpoints;

namespace AnchorScope.Synthesis;

/// <summary>What a checkpoint of random weights shall look like. Sizes left out are in proportion to the others.</summary>
internal sealed record SynthesisOptions
{
    private const int LargestSize = 1 << 20;
    private const int MostLayers = 1 << 10;
    private const int LongestSide = 128;

    /// <summary>Which family's layout.</summary>
    public required SyntheticFamily Family { get; init; }

    /// <summary>Of the decoder.</summary>
    public int Layers { get; init; } = 12;

    /// <summary>Query heads of a decoder layer.</summary>
    public int Heads { get; init; } = 12;

    /// <summary>Key and value heads; as many as query heads where left out.</summary>
    public int? KeyHeads { get; init; }

    /// <summary>d_model.</summary>
    public int Width { get; init; } = 768;

    /// <summary>d_mlp; in the family's proportion to the width where left out.</summary>
    public int? MlpSize { get; init; }

    /// <summary>Rows of the embedding. The tokenizer needs some hundred of them, the others have no token.</summary>
    public int Vocabulary { get; init; } = 32000;

    /// <summary>A square number: image tokens of a picture, of a tile, or of a square picture, as the family has it.</summary>
    public int? ImageTokens { get; init; }

    /// <summary>Of the vision tower.</summary>
    public int VisionLayers { get; init; } = 4;

    /// <summary>Of the vision tower.</summary>
    public int VisionWidth { get; init; } = 256;

    /// <summary>Heads of 64 where left out, or one.</summary>
    public int? VisionHeads { get; init; }

    /// <summary>In the family's proportion to the tower's width where left out.</summary>
    public int? VisionMlpSize { get; init; }

    /// <summary>F32, F16 or BF16, of every tensor.</summary>
    public StoredType Type { get; init; } = StoredType.BF16;

    /// <summary>The weights follow from it and from the names and shapes of the tensors.</summary>
    public ulong Seed { get; init; }

    /// <summary>No file holds more bytes of tensors, unless a single tensor does.</summary>
    public long ShardBytes { get; init; } = 5_000_000_000;

    /// <summary>All sizes, checked.</summary>
    /// <exception cref="InputException">One is out of range or does not go with another; names the option.</exception>
    public SyntheticShape Shape()
    {
        var shape = new SyntheticShape(
            Within("--layers", Layers, MostLayers), Within("--heads", Heads, LargestSize), Within("--kv-heads", KeyHeads ?? Heads, LargestSize), Within("--hidden", Width, LargestSize),
            Within("--mlp", MlpSize ?? Multiple(Width * Family.MlpRatio, 32), LargestSize), Within("--vocab", Vocabulary, LargestSize), Side(),
            Within("--vision-layers", VisionLayers, MostLayers), Within("--vision-hidden", VisionWidth, LargestSize),
            Within("--vision-heads", VisionHeads ?? (VisionWidth % 64 == 0 ? VisionWidth / 64 : 1), LargestSize),
            Within("--vision-mlp", VisionMlpSize ?? Multiple(VisionWidth * Family.VisionMlpRatio, 4), LargestSize));
        Require("--heads", Width % Heads == 0 && Width / Heads % 2 == 0, $"a number that divides --hidden {Width} into heads of an even size", Heads);
        Require("--kv-heads", Heads % shape.KeyHeads == 0, $"a divisor of --heads {Heads}", shape.KeyHeads);
        Require("--vision-heads", VisionWidth % shape.VisionHeads == 0, $"a divisor of --vision-hidden {VisionWidth}", shape.VisionHeads);
        var tokens = new ByteTokenizer(Family.SpecialTokens).Size;
        Require("--vocab", Vocabulary >= tokens, $"at least {tokens}, the tokens of its tokenizer", Vocabulary);
        if (ShardBytes < 1) throw new InputException($"--shard-size: expected at least one byte, found {ShardBytes}");
        if (Type is not (StoredType.F32 or StoredType.F16 or StoredType.BF16)) throw new InputException($"--dtype: expected f32, f16 or bf16, found {Type.Name}");
        Family.Check(shape);
        return shape;
    }

    /// <exception cref="InputException">What <paramref name="option"/> says cannot be.</exception>
    internal static void Require(string option, bool holds, string expected, int found)
    {
        if (!holds) throw new InputException($"{option}: expected {expected}, found {found}");
    }

    private static int Within(string option, int value, int most)
    {
        Require(option, value >= 1 && value <= most, $"1 to {most}", value);
        return value;
    }

    /// <summary>Rounded up, as the makers of models do.</summary>
    private static int Multiple(double size, int unit) => (int)Math.Min(int.MaxValue, Math.Ceiling(size / unit) * unit);

    private int Side()
    {
        var asked = ImageTokens ?? Family.ImageTokens;
        var side = Math.Clamp((int)Math.Sqrt(Math.Max(asked, 0)), 1, LongestSide);
        if (side * side == asked) return side;
        var near = side < LongestSide && asked > 0 ? $"{side * side} or {(side + 1) * (side + 1)}" : $"{side * side}";
        throw new InputException($"--image-tokens: expected n x n with n from 1 to {LongestSide} ({Family.Name}: {Family.ImageTokensOf}, {Family.TokenPixels} x {Family.TokenPixels} pixels each), found {asked}; near it: {near}");
    }
}

/// <summary>Sizes that go with each other.</summary>
/// <param name="Side">Image tokens along one side of a square picture or tile.</param>
internal sealed record SyntheticShape(
    int Layers, int Heads, int KeyHeads, int Width, int MlpSize, int Vocabulary, int Side, int VisionLayers, int VisionWidth, int VisionHeads, int VisionMlpSize);
