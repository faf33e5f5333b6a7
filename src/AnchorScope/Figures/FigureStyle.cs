using System.Text;

namespace AnchorScope.Figures;

/// <summary>The style sheet of figures: the same rules for a page, with custom properties, and for a file, with literal colours.</summary>
internal static class FigureStyle
{
    public const double TickSize = 11.5;
    public const double LabelSize = 12.5;
    public const double TitleSize = 13.5;

    private const string Shared = """
        .fig text { fill: var(--ink); font-size: 12.5px; }
        .fig .tick { fill: var(--quiet); font-size: 11.5px; }
        .fig .title { font-size: 13.5px; font-weight: 600; }
        .fig .empty { fill: var(--quiet); font-style: italic; }
        .fig .mid { text-anchor: middle; }
        .fig .end { text-anchor: end; }
        .fig .axis { fill: none; stroke: var(--quiet); stroke-width: 1; }
        .fig .grid { fill: none; stroke: var(--grid); stroke-width: 1; }
        .fig .zero { fill: none; stroke: var(--quiet); stroke-width: 1; }
        .fig .reference { fill: none; stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 1.5 3.5; stroke-linecap: round; }
        .fig .curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
        .fig .error { fill: none; stroke-width: 1.4; }
        .fig .whisker { fill: none; stroke: var(--ink); stroke-width: 1.2; }
        .fig .fine { stroke-width: 0.8; stroke-opacity: 0.75; }
        .fig .dashed { stroke-dasharray: 6 4; }
        .fig .dotted { stroke-dasharray: 1 4.2; }
        .fig .band { fill-opacity: 0.15; stroke: none; }
        .fig .tint { fill-opacity: 0.28; stroke-width: 1.3; }
        .fig .hollow { fill-opacity: 0; stroke-width: 1.3; }
        .fig .halo { fill: none; stroke: var(--paper); }
        .fig .outline { fill: none; }
        .fig .rim { stroke: var(--paper); stroke-width: 1.2; }
        .fig .dot { stroke: none; }
        .fig .target { fill: var(--paper); fill-opacity: 0; stroke: none; }
        .fig .missing { fill: var(--missing); }
        .fig .hatch { fill: none; stroke: var(--quiet); stroke-width: 0.7; }
        .fig .paper { fill: var(--paper); }
        .fig .fg { fill: var(--control); }
        .fig .sg { stroke: var(--control); }
        .fig .fi { fill: var(--ink); }
        .fig .si { stroke: var(--ink); }

        """;

    /// <summary>Rules for figures in a page. The page defines the custom properties.</summary>
    public static string ForPage { get; } = Rules();

    /// <summary>Rules in an SVG file: light colours, plain class selectors.</summary>
    public static string ForFile { get; } =
        "text { font-family: \"Helvetica Neue\", Helvetica, Arial, \"Liberation Sans\", \"DejaVu Sans\", sans-serif; }\n"
        + Palette.Light.Literal(Rules().Replace(".fig ", "", StringComparison.Ordinal));

    /// <summary>The suffix after f (fill) or s (stroke) in the class names of a palette slot; slot -1 is the grey of controls.</summary>
    public static string Suffix(int slot) => slot < 0 ? "g" : $"{slot % Palette.Slots}";

    /// <summary>Class of a cell on the diverging scale.</summary>
    /// <param name="share">Value divided by the end of the scale.</param>
    public static string Cell(double share) => $"v{(int)Math.Round(Math.Clamp(share, -1, 1) * Palette.Steps) + Palette.Steps}";

    private static string Rules()
    {
        var css = new StringBuilder(Shared);
        for (var slot = 0; slot < Palette.Slots; slot++)
            css.Append($".fig .f{slot} {{ fill: var(--c{slot}); }} .fig .s{slot} {{ stroke: var(--c{slot}); }}\n");
        for (var step = 0; step <= 2 * Palette.Steps; step++)
            css.Append($".fig .v{step} {{ fill: var(--v{step}); }}{(step % 4 == 3 ? '\n' : ' ')}");
        return css.Append('\n').ToString();
    }
}
