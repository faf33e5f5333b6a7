namespace AnchorScope.Figures;

/// <summary>Series of a panel whose lines would overlap: one of them is drawn, and all are named.</summary>
/// <param name="Drawn">The first of them.</param>
/// <param name="Names">Names of all of them.</param>
/// <param name="Apart">Maximum distance of another one from the first.</param>
internal sealed record LineGroup(LineSeries Drawn, IReadOnlyList<string> Names, double Apart)
{
    /// <summary>
    /// Share of the axis below which two lines cannot be distinguished, neither directly nor by their markers: three pixels.
    /// </summary>
    private const double Closest = 0.015;

    /// <summary>The same for two flat lines, which cross each other everywhere: the size of a marker.</summary>
    private const double ClosestFlat = 0.04;

    /// <summary>Maximum variation of a flat line, as a share of the axis.</summary>
    private const double Flat = 0.06;

    /// <summary>The series in their order, each grouped with the later ones that overlap it.</summary>
    public static IReadOnlyList<LineGroup> Of(IReadOnlyList<LineSeries> series, Axis vertical)
    {
        var groups = new List<LineGroup>();
        foreach (var one in series)
        {
            var at = groups.FindIndex(g => OnOneLine(g.Drawn, one, vertical));
            if (at < 0) groups.Add(new LineGroup(one, [one.Name], 0));
            else groups[at] = groups[at] with { Names = [.. groups[at].Names, one.Name],
                Apart = Math.Max(groups[at].Apart, Largest(groups[at].Drawn, one, v => v)) };
        }
        return groups;
    }

    /// <summary>The note below the panel.</summary>
    public string Note(Axis vertical)
    {
        // Names are not broken across lines. Values have no more digits than can be read from the line.
        double Rounded(double value) => vertical.Step > 0 ? Math.Round(value / vertical.Step * 20) / 20 * vertical.Step : value;
        var where = IsFlat(Drawn, vertical) ? $"Flat near {Axis.Show(Rounded(Drawn.Y.Where(Axis.IsDrawable).Average()))}" : "On one line";
        var apart = Rounded(Apart) > 0 ? $" (at most {Axis.Show(Rounded(Apart))} apart)" : "";
        return $"{where}{apart}, drawn once: {string.Join("; ", Names.Select(name => name.Replace(' ', '\u00A0')))}";
    }

    private static bool OnOneLine(LineSeries a, LineSeries b, Axis vertical) =>
        !a.IsDrawnApart && !b.IsDrawnApart && a.Marks == b.Marks && a.X.SequenceEqual(b.X) && a.Y.Any(Axis.IsDrawable)
        && a.Y.Select(Axis.IsDrawable).SequenceEqual(b.Y.Select(Axis.IsDrawable))
        && Largest(a, b, vertical.Share) <= (IsFlat(a, vertical) && IsFlat(b, vertical) ? ClosestFlat : Closest);

    private static double Largest(LineSeries a, LineSeries b, Func<double, double> measure) =>
        a.Y.Zip(b.Y).Where(y => Axis.IsDrawable(y.First)).Max(y => Math.Abs(measure(y.First) - measure(y.Second)));

    private static bool IsFlat(LineSeries series, Axis vertical)
    {
        double[] shares = [.. series.Y.Where(Axis.IsDrawable).Select(vertical.Share)];
        return shares.Length > 1 && shares.Max() - shares.Min() <= Flat;
    }
}
