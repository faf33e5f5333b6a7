using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Formats numbers for sentences.</summary>
internal static class Wording
{
    /// <summary>"1 sample", "2 samples".</summary>
    public static string Count(int count, string noun) => Plural.Of(count, noun);

    /// <summary>For instance "1 run" followed by its verb.</summary>
    public static string Count(int count, string noun, string one, string many) => Plural.Of(count, noun, one, many);

    /// <summary>How heads and edges were removed, if not by zero ablation and cutting: " by mean ablation".</summary>
    /// <param name="ablation">Name of the variant.</param>
    public static string By(string ablation) => ablation == EnumName.Of(AblationVariant.Zero) ? "" : $" by {ablation} ablation";

    public static string Percent(double share) => $"{share * 100:0} %";

    public static string Interval(Estimate e) => $"95 % interval {e.Low * 100:0} to {e.High * 100:0} %";

    /// <summary>A signed change: "+4 points (95 % interval -1 to +9)".</summary>
    public static string Change(Estimate e) =>
        $"{Points($"{e.Mean * 100:+0;-0;0}")} (95 % interval {e.Low * 100:+0;-0;0} to {e.High * 100:+0;-0;0})";

    /// <summary>A drop as a signed change.</summary>
    public static string Dropped(Estimate drop) => Change(new Estimate(-drop.Mean, -drop.High, -drop.Low, drop.Count));

    /// <summary>A drop without sign.</summary>
    public static string Size(Estimate drop) =>
        $"{Points($"{drop.Mean * 100:0}")} (95 % interval {drop.Low * 100:0} to {drop.High * 100:0})";

    /// <summary>The equivalence margin: "5 points".</summary>
    public static string Margin(double margin) => Points($"{margin * 100:0.##}");

    /// <summary>"p = 0.013", "p &lt; 0.001".</summary>
    public static string P(double p) => p < 0.001 ? "p < 0.001" : $"p = {p:0.000}";

    /// <summary>The rank among random sets as a clause, with the smallest p that this number of draws can give.</summary>
    /// <param name="does">Verb in the plural, for instance "take".</param>
    /// <param name="which">Text after "random sets", or empty.</param>
    public static string Rank(PermutationRank rank, string does, string which = "")
    {
        var (subject, verb) = (rank.AtLeast == 0 ? "none" : $"{rank.AtLeast}", rank.AtLeast > 1 ? does : does + "s");
        return $"{subject} of {Count(rank.Draws, "random set")}{which} {verb} as much ({P(rank.P)}; the least that "
            + $"{Count(rank.Draws, "draw")} can give is {rank.Floor:0.000})";
    }

    /// <summary>Why nothing is claimed for few samples.</summary>
    public static string Few(MeasuredSet set) =>
        $"{Count(set.Clusters.Count, "independent sample")}, and nothing is claimed of fewer than {Clusters.Fewest}";

    /// <summary>The same as a clause: "these are 3 independent samples, and nothing ...".</summary>
    public static string These(MeasuredSet set) => $"{(set.Clusters.Count == 1 ? "this is" : "these are")} {Few(set)}";

    /// <summary>"the top 3 of 64 heads", "the top head of 8".</summary>
    public static string Top(int count, int of) => count == 1 ? $"the top head of {of}" : $"the top {count} of {Count(of, "head")}";

    /// <summary>The number of samples that would decide.</summary>
    public static string Needed(int needed) => needed == int.MaxValue ? "no number of samples would decide"
        : $"about {Count(needed, "sample")} would decide";

    private static string Points(string number) => $"{number} point{(number is "1" or "+1" or "-1" ? "" : "s")}";
}
