namespace AnchorScope.Synthesis;

/// <summary>
/// The standard normal distribution as 65,536 values of equal probability, from -4.3 to 4.3, of which 16 random bits select one. This is
/// far finer than half precision, and needs no arithmetic per draw that machines could round differently.
/// </summary>
internal static class NormalQuantiles
{
    /// <summary>Number of values.</summary>
    public const int Count = 1 << 16;

    private const double TailBelow = 0.02425;

    // P. J. Acklam's rational approximations of the inverse distribution function; relative error 1.15e-9.
    private static readonly double[] MiddleAbove = [-3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02,
        1.383577518672690e+02, -3.066479806614716e+01, 2.506628277459239e+00];
    private static readonly double[] MiddleBelow = [-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
        6.680131188771972e+01, -1.328068155288572e+01, 1];
    private static readonly double[] TailAbove = [-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
        -2.549732539343734e+00, 4.374664141464968e+00, 2.938163982698783e+00];
    private static readonly double[] TailFraction = [7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
        3.754408661907416e+00, 1];

    /// <summary>The values in ascending order, symmetric about 0, times <paramref name="deviation"/>.</summary>
    public static float[] Times(double deviation)
    {
        var values = new float[Count];
        for (var i = 0; i < Count / 2; i++)
        {
            values[i] = (float)(deviation * LowerHalf((i + 0.5) / Count));
            values[^(i + 1)] = -values[i];
        }
        return values;
    }

    private static double LowerHalf(double probability)
    {
        if (probability < TailBelow)
        {
            var q = Math.Sqrt(-2 * Math.Log(probability));
            return Polynomial(TailAbove, q) / Polynomial(TailFraction, q);
        }
        var from = probability - 0.5;
        var square = from * from;
        return from * Polynomial(MiddleAbove, square) / Polynomial(MiddleBelow, square);
    }

    private static double Polynomial(double[] coefficients, double x) => coefficients.Aggregate(0.0, (sum, c) => sum * x + c);
}
