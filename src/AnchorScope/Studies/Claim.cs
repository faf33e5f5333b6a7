using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>A sentence before the correction for the others: the p that it stands on, and what it says once p is corrected.</summary>
/// <param name="What">What is tested.</param>
/// <param name="P">
/// The largest p of all that the sentence needs: it is claimed only where every part holds (intersection-union test).
/// </param>
/// <param name="Effect">The difference that the sentence is about.</param>
/// <param name="Say">Status and text, given whether p after Holm allows the claim.</param>
internal sealed record Claim(string What, double P, Estimate Effect, Func<bool, Saying> Say)
{
    /// <summary>Rank among random sets, where one is part of the test.</summary>
    public PermutationRank? Draws { get; init; }

    /// <summary>Independent samples that the test is about, where these are not all of the test set.</summary>
    public int? Samples { get; init; }

    /// <summary>A sentence that claims nothing whatever p is.</summary>
    public static Claim Without(string what, FindingStatus status, string text, Estimate? effect = null, int? needed = null) =>
        new(what, 1, effect ?? new Estimate(double.NaN, double.NaN, double.NaN, 0), _ => new Saying(status, text, needed));
}

/// <summary>What a claim comes to.</summary>
/// <param name="Needed">About how many samples would decide.</param>
internal readonly record struct Saying(FindingStatus Status, string Text, int? Needed = null);
