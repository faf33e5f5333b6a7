namespace AnchorScope.Metrics;

/// <summary>Where what was observed stands among random draws (Phipson and Smyth, 2010).</summary>
/// <param name="AtLeast">Draws at least as strong.</param>
/// <param name="Draws">All draws.</param>
internal readonly record struct PermutationRank(int AtLeast, int Draws)
{
    /// <summary>
    /// (1 + draws at least as strong) / (draws + 1): what was observed is one of the ways in which a draw could have come out.
    /// </summary>
    public double P => (1.0 + AtLeast) / (Draws + 1);

    /// <summary>The least p that so many draws can give.</summary>
    public double Floor => 1.0 / (Draws + 1);

    /// <summary>The rank of <paramref name="observed"/>; larger is stronger.</summary>
    public static PermutationRank Of(double observed, IEnumerable<double> draws)
    {
        var (atLeast, count) = (0, 0);
        foreach (var draw in draws)
        {
            count++;
            // Means of the same counts in another order differ in their last bits.
            if (draw >= observed - 1e-12) atLeast++;
        }
        return new PermutationRank(atLeast, count);
    }

    /// <summary>How many draws it takes for a p that is still below <paramref name="level"/> as the smallest of a family.</summary>
    public static int Needed(double level, int family) => (int)Math.Ceiling(family / level - 1e-9);
}
