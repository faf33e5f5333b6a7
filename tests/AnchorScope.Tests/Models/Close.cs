namespace AnchorScope.Tests.Models;

/// <summary>Comparisons with the reference library.</summary>
internal static class Close
{
    /// <summary>
    /// Largest |got - want| / largest |want|. Float32 sums in a different order differ by about 1e-6 per operation; over four layers of
    /// width 64 this accumulates to a few 1e-6, measured 5e-6. The tolerance 5e-5 also covers deep models, and any wrong term exceeds it.
    /// </summary>
    public const double Relative = 5e-5;

    /// <summary>Attention probabilities are in [0, 1]: absolute tolerance.</summary>
    public const double Probability = 1e-4;

    public static void AssertRelative(string what, ReadOnlySpan<float> want, ReadOnlySpan<float> got, double tolerance = Relative)
    {
        Assert.True(want.Length == got.Length, $"{what}: {got.Length} values, expected {want.Length}");
        var largest = 0.0;
        for (var i = 0; i < want.Length; i++) largest = Math.Max(largest, Math.Abs(want[i]));
        AssertAbsolute(what, want, got, tolerance * largest);
    }

    /// <summary>
    /// The same comparison row by row, a row being the vector of one position in one layer. An outlier of the whole array would hide errors
    /// of several per cent in its other rows.
    /// </summary>
    public static void AssertRows(string what, ReadOnlySpan<float> want, ReadOnlySpan<float> got, long row, double tolerance = Relative)
    {
        Assert.True(want.Length == got.Length, $"{what}: {got.Length} values, expected {want.Length}");
        for (var i = 0; i < want.Length; i += (int)row)
            AssertRelative($"{what}, row {i / row}", want.Slice(i, (int)row), got.Slice(i, (int)row), tolerance);
    }

    public static void AssertAbsolute(string what, ReadOnlySpan<float> want, ReadOnlySpan<float> got, double tolerance)
    {
        Assert.True(want.Length == got.Length, $"{what}: {got.Length} values, expected {want.Length}");
        for (var i = 0; i < want.Length; i++)
        {
            var difference = Math.Abs((double)want[i] - got[i]);
            Assert.True(difference <= tolerance,
                $"{what}[{i}]: expected {want[i]}, found {got[i]}, off by {difference:g3}, tolerance {tolerance:g3}");
        }
    }
}
