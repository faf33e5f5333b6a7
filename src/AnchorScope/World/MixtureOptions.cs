using System.Text.Json.Serialization;

namespace AnchorScope.World;

/// <summary>Composition of training samples. The JSON names are those of a recipe; an unknown name is an error.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record MixtureOptions
{
    /// <summary>For the lower decoder layers: the answer immediately follows the instruction.</summary>
    public static MixtureOptions PhaseA { get; } = new();

    /// <summary>For the chat suffix: no captions, and suffix tokens before every answer.</summary>
    public static MixtureOptions PhaseB { get; } =
        new() { Caption = 0, ImageOnly = 0.10, TextOnly = 0.10, Agree = 0.10, Conflict = 0.70, Suffix = true };

    /// <summary>For the small heads: as <see cref="PhaseB"/>, with a loss only on answers.</summary>
    public static MixtureOptions PhaseC { get; } = PhaseB with { TextWeight = 0 };

    /// <summary>Weight of pictures with a caption instead of questions.</summary>
    [JsonPropertyName("caption")]
    public double Caption { get; init; } = 0.15;

    /// <summary>Weight of samples without a note.</summary>
    [JsonPropertyName("image_only")]
    public double ImageOnly { get; init; } = 0.10;

    /// <summary>Weight of samples without a picture.</summary>
    [JsonPropertyName("text_only")]
    public double TextOnly { get; init; } = 0.10;

    /// <summary>Weight of samples whose note agrees with the picture.</summary>
    [JsonPropertyName("agree")]
    public double Agree { get; init; } = 0.10;

    /// <summary>Weight of samples whose note contradicts the picture.</summary>
    [JsonPropertyName("conflict")]
    public double Conflict { get; init; } = 0.55;

    /// <summary>Whether <c>&lt;end&gt; &lt;assistant&gt;</c> come before an answer.</summary>
    [JsonPropertyName("suffix")]
    public bool Suffix { get; init; }

    /// <summary>Weight of each form of an instruction (<see cref="Instructions.Forms"/>). A curriculum begins with 1, 0, 0, 0.</summary>
    [JsonPropertyName("forms")]
    public IReadOnlyList<double> Forms { get; init; } = [0.76, 0.08, 0.12, 0.04];

    /// <summary>Probability that an instruction names the picture, if there are both picture and note.</summary>
    [JsonPropertyName("vision")]
    public double Vision { get; init; } = 0.5;

    /// <summary>Loss weight of the words of notes, questions and instructions; that of answers is 1.</summary>
    [JsonPropertyName("text_weight")]
    public double TextWeight { get; init; } = 0.05;

    /// <summary>Noise of the pictures.</summary>
    [JsonPropertyName("sigma")]
    public NoiseRange Sigma { get; init; } = NoiseRange.Clear;

    /// <summary>Weights in the order of <see cref="PackedKind"/>.</summary>
    internal IReadOnlyList<double> Kinds => [Caption, ImageOnly, TextOnly, Agree, Conflict];

    /// <exception cref="InputException">A number is out of range; the message names the field.</exception>
    public void Check()
    {
        if (!AreWeights(Kinds))
            throw Wrong("caption, image_only, text_only, agree, conflict", "weights of at least 0, one of them above 0",
                string.Join(", ", Kinds));
        if (Forms.Count != Instructions.Forms || !AreWeights(Forms))
            throw Wrong("forms", $"{Instructions.Forms} weights of at least 0, one of them above 0", string.Join(", ", Forms));
        if (Vision is not (>= 0 and <= 1)) throw Wrong("vision", "0 to 1", $"{Vision}");
        if (!double.IsFinite(TextWeight) || TextWeight < 0) throw Wrong("text_weight", "at least 0", $"{TextWeight}");
        if (!Sigma.IsPlausible) throw Wrong("sigma", $"0 <= low <= high <= {NoiseRange.Most}", $"{Sigma.Low}, {Sigma.High}");
    }

    private static bool AreWeights(IReadOnlyList<double> weights) =>
        weights.All(w => double.IsFinite(w) && w >= 0) && weights.Any(w => w > 0);

    private static InputException Wrong(string field, string expected, string found) =>
        new($"mixture: {field}: expected {expected}, found {found}");
}
