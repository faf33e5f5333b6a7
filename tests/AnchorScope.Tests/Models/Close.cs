namespace AnchorScope.Tests.Models;

/// <summary>Comparisons with the reference library.</summary>
internal static class Close
{
    /// <summary>
    /// Largest |got - want| / largest |want|. Float32 sums in another order differ by about 1e-6 an operation; four layers of
    /// width 64 gather a few 1e-6 of that, measured 5e-6; 5e-5 leaves room for deep models and catches any wrong term.
    /// </summary>
    public const double Relative = 5e-5;

    /// <summary>Attention probabilities lie in [0, 1]: absolute.</summary>
    public const double Probability = 1e-4;

    public static void AssertRelative(string what, ReadOnlySpan<float> want, ReadOnlySpan<float> got, double tolerance = Relative)
    {
        Assert.True(want.Length == got.Length, $"{what}: {got.Length} values, expected {want.Length}");
        var largest = 0.0;
        for (var i = 0; i < want.Length; i++) largest = Math.Max(largest, Math.Abs(want[i]));
        AssertAbsolute(what, want, got, tolerance * largest);
    }

    /// <summary>
    /// The same row by row: the vector of one position in one layer. One outlier of a whole array would hide errors of several per cent in its other rows.
    /// </summary>
    /// <param name="row">Length of a row: the array's last axis.</param>
    public static void AssertRows(string what, ReadOnlySpan<float> want, ReadOnlySpan<float> got, long row, double tolerance = Relative)
    {
        Assert.True(want.Length == got.Length, $"{what}: {got.Length} values, expected {want.Length}");
        for (var i = 0; i < want.Length; i += (int)row) AssertRelative($"{what}, row {i / row}", want.Slice(i, (int)row), got.Slice(i, (int)row), tolerance);
    }

    public static void AssertAbsolute(string what, ReadOnlySpan<float> want, ReadOnlySpan<float> got, double tolerance)
    {
        Assert.True(want.Length == got.Length, $"{what}: {got.Length} values, expected {want.Length}");
        for (var i = 0; i < want.Length; i++)
        {
            var difference = Math.Abs((double)want[i] - got[i]);
            Assert.True(difference <= tolerance, $"{what}[{i}]: expected {want[i]}, found {got[i]}, off by {difference:g3}, tolerance {tolerance:g3}");
        }
    }
}
