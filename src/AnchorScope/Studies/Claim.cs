using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>A sentence before the correction for multiple tests: its p, and its text as a function of the corrected p.</summary>
/// <param name="What">What is tested.</param>
/// <param name="P">The largest p of all parts of the sentence: it is claimed only if every part holds (intersection-union test).</param>
/// <param name="Effect">The difference that the sentence is about.</param>
/// <param name="Say">Returns status and text, given whether p after Holm allows the claim.</param>
internal sealed record Claim(string What, double P, Estimate Effect, Func<bool, Saying> Say)
{
    /// <summary>Rank among random sets, if that is part of the test.</summary>
    public PermutationRank? Draws { get; init; }

    /// <summary>Number of independent samples of the test, if these are not all of the test set.</summary>
    public int? Samples { get; init; }

    /// <summary>A sentence that claims nothing whatever p is.</summary>
    public static Claim Without(string what, FindingStatus status, string text, Estimate? effect = null, int? needed = null) =>
        new(what, 1, effect ?? new Estimate(double.NaN, double.NaN, double.NaN, 0), _ => new Saying(status, text, needed));
}

/// <summary>Status and text of a claim.</summary>
/// <param name="Needed">Estimated number of samples that would decide the claim.</param>
internal readonly record struct Saying(FindingStatus Status, string Text, int? Needed = null);
