using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Options of a diagnosis. Everything that changes a number is here and is recorded in the manifest.</summary>
public sealed record DiagnosisOptions
{
    /// <summary>Default equivalence margin: 5 points.</summary>
    public const double DefaultMargin = 0.05;

    /// <summary>Folder of the checkpoint.</summary>
    public required string Model { get; init; }

    /// <summary>
    /// Folder with rank.jsonl, test.jsonl and optionally hard.jsonl and control.jsonl; or with a single set, which is split.
    /// </summary>
    public required string Data { get; init; }

    /// <summary>Maximum number of samples of each set; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>Seed of bootstrap and random controls.</summary>
    public ulong Seed { get; init; }

    /// <summary>Named definitions.</summary>
    public Definitions Variants { get; init; } = new();

    /// <summary>Window sizes of the sensitivity check.</summary>
    public IReadOnlyList<int> Windows { get; init; } = [1, 3, 5, 7];

    /// <summary>Shares of the heads that are blocked. 5 % is always added.</summary>
    public IReadOnlyList<double> Shares { get; init; } = [0.01, 0.02, 0.05, 0.10];

    /// <summary>Amplification factors.</summary>
    public IReadOnlyList<double> Gains { get; init; } = [1.25, 1.5, 2, 3, 4];

    /// <summary>
    /// Number of random head sets of each kind with the size of the best 5 %; for other sizes at most <see cref="HeadPlan.FewDraws"/>.
    /// </summary>
    /// <remarks>
    /// The best possible p of one set among 79 is 0.0125. After Holm over four sentences this is 0.05, which is still significant.
    /// </remarks>
    public int Draws { get; init; } = 79;

    /// <summary>A change of MFR counts as absent if its whole interval is closer to 0 than this.</summary>
    public double EquivalenceMargin { get; init; } = DefaultMargin;

    /// <summary>Number of tokens generated for the answer; null: the value of generation_config.json, at most 16.</summary>
    public int? AnswerTokens { get; init; }

    /// <summary>A direction with which the model is steered in all runs; null for none.</summary>
    internal SteeringUse? Steering { get; init; }

    /// <summary>The command line, for the report; does not change any number.</summary>
    public string Command { get; init; } = "";

    /// <summary>Number of threads; does not change any number.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Checks every value.</summary>
    /// <exception cref="InputException">A value is out of its range, or two exclude each other.</exception>
    public void Validate() => Validate(name => $"{nameof(DiagnosisOptions)}.{name}");

    /// <param name="named">The name of a member, of these options or of <see cref="Definitions"/>, in messages.</param>
    internal void Validate(Func<string, string> named)
    {
        void Least(string name, double? value, int least)
        {
            if (value < least) throw new InputException($"{named(name)}: expected at least {least}, found {value}");
        }
        void Within(string name, IEnumerable<double> values, double most)
        {
            foreach (var value in values)
            {
                if (!(value > 0 && value <= most))
                    throw new InputException(FormattableString.Invariant(
                        $"{named(name)}: expected numbers above 0 and up to {most}, found {value}"));
            }
        }
        Least(nameof(Limit), Limit, 1);
        Least(nameof(Draws), Draws, 0);
        Least(nameof(AnswerTokens), AnswerTokens, 1);
        Least(nameof(Threads), Threads, 1);
        if (Threads > Engines.SessionOptions.MostThreads)
            throw new InputException($"{named(nameof(Threads))}: expected at most {Engines.SessionOptions.MostThreads}, found {Threads}");
        foreach (var window in Windows) Least(nameof(Windows), window, 1);
        Within(nameof(Shares), Shares, 0.5);
        Within(nameof(Gains), Gains, 1e6);
        if (Gains.Count == 0) throw new InputException($"{named(nameof(Gains))}: expected at least one factor, found none");
        if (Gains.Contains(1))
            throw new InputException($"{named(nameof(Gains))}: expected factors other than 1, as times 1 changes nothing, found 1");
        if (!(EquivalenceMargin is > 0 and < 0.5))
            throw new InputException(FormattableString.Invariant(
                $"{named(nameof(EquivalenceMargin))}: expected a number above 0 and below 0.5, found {EquivalenceMargin}"));
        ValidateScreen(named);
    }

    private void ValidateScreen(Func<string, string> named)
    {
        if (Variants.Screen == HeadScreen.Exact) return;
        var (screen, score, ablation) =
            (named(nameof(Definitions.Screen)), named(nameof(Definitions.HeadScore)), named(nameof(Definitions.Ablation)));
        if (Variants.HeadScore != HeadScoreVariant.CausalMargin)
            throw InputException.At(screen, EnumName.Of(Variants.Screen), $"{score} causal_margin, which is what it estimates",
                EnumName.Of(Variants.HeadScore));
        if (Variants.Ablation != AblationVariant.Zero)
            throw InputException.At(screen, EnumName.Of(Variants.Screen),
                $"{ablation} zero, as derivatives estimate heads set to 0", EnumName.Of(Variants.Ablation));
    }
}

/// <summary>A direction of a file, applied with one strength to every run.</summary>
/// <param name="File">directions.safetensors of <c>ascope steer</c>.</param>
/// <param name="Strength">Above 0 towards the picture, below 0 towards the text.</param>
/// <param name="BeyondBounds">Whether a strength outside the bounds in the file is allowed.</param>
internal sealed record SteeringUse(string File, string Name, double Strength, bool BeyondBounds = false);

/// <summary>Progress of a study.</summary>
/// <param name="Phase">Name of the phase, as in results.jsonl; for the steps of all searches "search".</param>
/// <param name="Done">Number of finished samples.</param>
/// <param name="Of">Total number of samples.</param>
internal sealed record StudyProgress(string Phase, int Done, int Of);
