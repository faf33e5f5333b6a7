using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>Runs with outcomes written by hand, so that the expected results can be computed by hand.</summary>
internal static class HandMade
{
    /// <summary>Tokens of the instructed answer, of the other one, and of one that is neither.</summary>
    public const int Own = 1, Other = 2, Third = 7;

    private static readonly AnswerEntities Entities = new(Own, Other, [Own], [Other]);

    public static MeasuredSet Set(params IEnumerable<MeasuredRun> runs) => new("test", [.. runs], new BootstrapDraws(0));

    /// <summary>A run of a sample, which has its own picture unless one is named.</summary>
    public static MeasuredRun Run(int sample, Modality told, params (string Condition, Outcome Outcome)[] outcomes) =>
        Run(sample, $"{sample}.png", told, outcomes);

    public static MeasuredRun Run(int sample, string? image, Modality told, params (string Condition, Outcome Outcome)[] outcomes)
    {
        var of = new ConflictSample
        {
            Id = $"s{sample}", Question = "q", Image = image,
            Instructions = new Dictionary<Modality, string> { [Modality.Vision] = "v", [Modality.Text] = "t" },
            Answers = new Dictionary<Modality, IReadOnlyList<string>> { [Modality.Vision] = ["a"], [Modality.Text] = ["b"] },
        };
        var run = new ConflictRun(of, told);
        var result = new RunResult(run.Id, Own, Other);
        foreach (var (condition, outcome) in outcomes) result.Outcomes[condition] = outcome;
        return new MeasuredRun(sample, run, result, Entities);
    }

    /// <summary>An outcome by its logits.</summary>
    /// <param name="given">The likeliest token.</param>
    /// <param name="donor">Logit of the donor's answer.</param>
    public static Outcome Logits(float own, float other, int given, float donor = float.NaN) =>
        new(own, other, 0, given, 0) { Donor = donor };
}
