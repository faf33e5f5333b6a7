namespace AnchorScope.Tests.World;

/// <summary>Whether a share of independent draws is what it should be.</summary>
internal static class Frequency
{
    // One check in 16,000 fails by chance; seeds are fixed, so what passes once passes always.
    private const double StandardErrors = 4;

    /// <param name="of">Number of draws.</param>
    public static void Is(string name, double expected, int count, int of)
    {
        var share = count / (double)of;
        var error = Math.Sqrt(expected * (1 - expected) / of);
        Assert.True(of > 0 && Math.Abs(share - expected) <= StandardErrors * error,
            $"{name}: expected {expected:0.0000} of {of} draws, give or take {error:0.0000} four times, found {share:0.0000}");
    }
}
