namespace AnchorScope.Metrics;

/// <summary>The standard normal distribution.</summary>
internal static class Normal
{
    /// <summary>The 97.5 % point, for two-sided 95 % intervals.</summary>
    public const double Z95 = 1.959963984540054;

    /// <summary>P(|Z| >= |z|).</summary>
    public static double TwoSided(double z) => StudentT.TwoSided(z, double.PositiveInfinity);
}

/// <summary>Student's t distribution. With infinite degrees of freedom it is the normal distribution.</summary>
internal static class StudentT
{
    /// <summary>P(|T| >= |t|).</summary>
    public static double TwoSided(double t, double freedom)
    {
        if (double.IsNaN(t) || double.IsNaN(freedom)) return double.NaN;
        // P(|Z| >= z) is the upper incomplete gamma function of 1/2 at z^2 / 2.
        if (double.IsPositiveInfinity(freedom)) return UpperGamma(t * t / 2);
        return double.IsInfinity(t) ? 0 : IncompleteBeta(freedom / 2, 0.5, freedom / (freedom + t * t));
    }

    /// <summary>The 97.5 % point, for two-sided 95 % intervals.</summary>
    public static double Point95(double freedom)
    {
        if (freedom > 1e7) return Normal.Z95;
        // It decreases with the degrees of freedom. With one it is 12.7; below one it soon becomes too large to be useful.
        double low = Normal.Z95, high = 1e6;
        for (var i = 0; i < 60; i++)
        {
            var middle = Math.Sqrt(low * high);
            if (TwoSided(middle, freedom) > 0.05) low = middle;
            else high = middle;
        }
        return low;
    }

    /// <summary>Q(1/2, x), by its series where that converges fast, otherwise by its continued fraction.</summary>
    private static double UpperGamma(double x)
    {
        if (x <= 0) return 1;
        var front = Math.Exp(-x) * Math.Sqrt(x / Math.PI);
        if (x < 1.5)
        {
            double term = 2, sum = 2;
            for (var n = 1; term > sum * 1e-17; n++)
            {
                term *= x / (n + 0.5);
                sum += term;
            }
            return 1 - front * sum;
        }
        return double.IsInfinity(x) ? 0 : front * Lentz(x + 0.5, n => (-n * (n - 0.5), x + 0.5 + 2 * n));
    }

    /// <summary>1 / (b0 + a1 / (b1 + a2 / (b2 + ...))), by the method of Lentz as modified by Thompson and Barnett.</summary>
    private static double Lentz(double first, Func<int, (double A, double B)> term)
    {
        const double Tiny = 1e-300;
        double c = 1 / Tiny, d = 1 / first, result = d;
        for (var n = 1; n < 500; n++)
        {
            var (a, b) = term(n);
            d = a * d + b;
            d = 1 / (Math.Abs(d) < Tiny ? Tiny : d);
            c = b + a / c;
            if (Math.Abs(c) < Tiny) c = Tiny;
            result *= d * c;
            if (Math.Abs(d * c - 1) < 1e-15) break;
        }
        return result;
    }

    private static double IncompleteBeta(double a, double b, double x)
    {
        if (x <= 0) return 0;
        if (x >= 1) return 1;
        var front = Math.Exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * Math.Log(x) + b * Math.Log(1 - x));
        return x < (a + 1) / (a + b + 2) ? front * Fraction(a, b, x) / a : 1 - front * Fraction(b, a, 1 - x) / b;
    }

    private static double Fraction(double a, double b, double x) => Lentz(1, n =>
    {
        var m = n / 2;
        return n % 2 == 0 ? (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1)
            : (-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1);
    });

    /// <summary>ln Gamma(x), x > 0, by Stirling's series from x = 10 on.</summary>
    private static double LogGamma(double x)
    {
        var shift = 0.0;
        for (; x < 10; x++) shift += Math.Log(x);
        var r = 1 / (x * x);
        return (x - 0.5) * Math.Log(x) - x + 0.5 * Math.Log(2 * Math.PI)
            + (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r / 1188)))) / x - shift;
    }
}
