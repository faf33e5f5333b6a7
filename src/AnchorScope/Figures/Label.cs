namespace AnchorScope.Figures;

/// <summary>Labels of axes and scales, in which <c>_{...}</c> is a subscript: <c>I_{NSSD}</c>.</summary>
internal static class Label
{
    /// <summary>Writes the label as one text element, truncated if it is wider than <paramref name="width"/>.</summary>
    public static void Write(MarkupText svg, string label, double width, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        if (TextWidth.Of(Plain(label), FigureStyle.LabelSize) > width || !TrySplit(label, out var parts))
        {
            svg.Text("text", TextWidth.Fit(Plain(label), width, FigureStyle.LabelSize), attributes).Line();
            return;
        }
        svg.Open("text", attributes).Text(parts.Before).Text("tspan", parts.Below, ("dy", "3.5"), ("font-size", "9.5"));
        if (parts.After.Length > 0) svg.Text("tspan", parts.After, ("dy", "-3.5"));
        svg.Close("text").Line();
    }

    /// <summary>The label for places without subscripts.</summary>
    public static string Plain(string label) => TrySplit(label, out var parts) ? parts.Before + "_" + parts.Below + parts.After : label;

    private static bool TrySplit(string label, out (string Before, string Below, string After) parts)
    {
        var start = label.IndexOf("_{", StringComparison.Ordinal);
        var end = start < 0 ? -1 : label.IndexOf('}', start);
        parts = end < 0 ? default : (label[..start], label[(start + 2)..end], label[(end + 1)..]);
        return end >= 0;
    }
}
