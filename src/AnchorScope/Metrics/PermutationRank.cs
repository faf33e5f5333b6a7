namespace AnchorScope.Metrics;

/// <summary>Rank of an observed value among random draws (Phipson and Smyth, 2010).</summary>
/// <param name="AtLeast">Number of draws that are at least as strong.</param>
/// <param name="Draws">Number of draws.</param>
internal readonly record struct PermutationRank(int AtLeast, int Draws)
{
    /// <summary>(1 + draws at least as strong) / (draws + 1). The observed value counts as one of the possible draws.</summary>
    public double P => (1.0 + AtLeast) / (Draws + 1);

    /// <summary>The smallest p that this number of draws can give.</summary>
    public double Floor => 1.0 / (Draws + 1);

    /// <summary>The rank of <paramref name="observed"/>; larger is stronger.</summary>
    public static PermutationRank Of(double observed, IEnumerable<double> draws)
    {
        var (atLeast, count) = (0, 0);
        foreach (var draw in draws)
        {
            count++;
            // Means of the same values in another order differ in their last bits.
            if (draw >= observed - 1e-12) atLeast++;
        }
        return new PermutationRank(atLeast, count);
    }

    /// <summary>Number of draws needed for the smallest p of a family to reach <paramref name="level"/>.</summary>
    public static int Needed(double level, int family) => (int)Math.Ceiling(family / level - 1e-9);
}
