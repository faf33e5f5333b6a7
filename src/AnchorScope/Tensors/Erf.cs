namespace AnchorScope.Tensors;

/// <summary>The error function in double precision, which the framework lacks.</summary>
internal static class Erf
{
    /// <summary>
    /// erf(x). Up to |x| = 3: its Maclaurin series (at most 80 terms, full precision). Beyond: the continued fraction of erfc. From 6 on:
    /// 1.
    /// </summary>
    public static double Of(double x)
    {
        var a = Math.Abs(x);
        if (double.IsNaN(x)) return x;
        if (a >= 6) return Math.Sign(x);
        return Math.CopySign(a < 3 ? Series(a) : 1 - Complement(a), x);
    }

    private static double Series(double x)
    {
        // erf x = 2/sqrt(pi) e^(-x^2) sum over n of 2^n x^(2n+1) / (2n+1)!!. All terms are positive, so there is no cancellation.
        double term = x, sum = x;
        for (var n = 1; term > sum * 1e-17; n++)
        {
            term *= 2 * x * x / (2 * n + 1);
            sum += term;
        }
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    private static double Complement(double x)
    {
        // Laplace's continued fraction x + (1/2)/(x + 1/(x + (3/2)/(x + ...))), evaluated from the innermost term outwards.
        var fraction = x;
        for (var n = 60; n > 0; n--) fraction = x + 0.5 * n / fraction;
        return Math.Exp(-x * x) / (Math.Sqrt(Math.PI) * fraction);
    }
}
