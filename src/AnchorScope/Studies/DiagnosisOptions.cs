using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>What a diagnosis does. Everything that changes a number is here and goes into the manifest.</summary>
public sealed record DiagnosisOptions
{
    /// <summary>The margin of equivalence that is taken unless another is asked for: 5 points.</summary>
    public const double DefaultMargin = 0.05;

    /// <summary>Folder of the checkpoint.</summary>
    public required string Model { get; init; }

    /// <summary>Folder with rank.jsonl, test.jsonl, and where there are any hard.jsonl and control.jsonl; or with a single set, which is split.</summary>
    public required string Data { get; init; }

    /// <summary>At most so many samples of each set.</summary>
    public int? Limit { get; init; }

    /// <summary>Of bootstrap and random controls.</summary>
    public ulong Seed { get; init; }

    /// <summary>Named definitions.</summary>
    public Definitions Variants { get; init; } = new();

    /// <summary>Window sizes of the sensitivity check.</summary>
    public IReadOnlyList<int> Windows { get; init; } = [1, 3, 5, 7];

    /// <summary>Shares of the heads that are blocked; 5 % always is.</summary>
    public IReadOnlyList<double> Shares { get; init; } = [0.01, 0.02, 0.05, 0.10];

    /// <summary>Amplification factors.</summary>
    public IReadOnlyList<double> Gains { get; init; } = [1.25, 1.5, 2, 3, 4];

    /// <summary>Random head sets of each kind as large as the best 5 %; of other sizes at most <see cref="HeadPlan.FewDraws"/>.</summary>
    /// <remarks>The rank of one set among 79 has p = 0.0125 at best: after Holm 0.05 as the smallest of four sentences, which still counts as found.</remarks>
    public int Draws { get; init; } = 79;

    /// <summary>A change of MFR is absent where its whole interval is closer to 0 than this.</summary>
    public double EquivalenceMargin { get; init; } = DefaultMargin;

    /// <summary>Tokens generated for the answer; null: what generation_config.json says, 16 at most.</summary>
    public int? AnswerTokens { get; init; }

    /// <summary>A direction that the model is steered with throughout; null: none.</summary>
    internal SteeringUse? Steering { get; init; }

    /// <summary>The command that was typed, for the report; changes no number.</summary>
    public string Command { get; init; } = "";

    /// <summary>Threads; changes no number.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
}

/// <summary>A direction of a file, used with one strength on every run.</summary>
/// <param name="File">directions.safetensors of <c>ascope steer</c>.</param>
/// <param name="Strength">Above 0 towards the picture, below 0 towards the text.</param>
/// <param name="BeyondBounds">Whether a strength outside the bounds in the file is meant.</param>
internal sealed record SteeringUse(string File, string Name, double Strength, bool BeyondBounds = false);

/// <summary>How far a study is.</summary>
/// <param name="Phase">Name of the part, as in results.jsonl; the steps of all searches are "search".</param>
/// <param name="Done">Samples done.</param>
/// <param name="Of">Samples in all.</param>
internal sealed record StudyProgress(string Phase, int Done, int Of);
