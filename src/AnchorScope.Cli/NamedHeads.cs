using System.Globalization;
using AnchorScope.Interventions;

namespace AnchorScope.Cli;

/// <summary>Parses lists of heads.</summary>
internal static class NamedHeads
{
    /// <summary>"all", or layer:head pairs joined by commas, in their order. Does not check that the model has these heads.</summary>
    public static IEnumerable<(int Layer, int Head)> Parse(string option, string text, DecoderShape shape)
    {
        if (text == "all")
            return Enumerable.Range(0, shape.Layers).SelectMany(layer => Enumerable.Range(0, shape.Heads).Select(head => (layer, head)));
        var named = text.Split(',', StringSplitOptions.TrimEntries)
            .Select(item => item.Split(':') is [var layer, var head] && Number(layer) is { } l && Number(head) is { } h
                ? (l, h)
                : throw new InputException($"{option}: expected all, or layer:head pairs like 1:2,3:0, found {item}")).ToList();
        if (named.GroupBy(h => h).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new InputException($"{option}: expected each head once, found {twice.Key.l}:{twice.Key.h} {twice.Count()} times");
        return named;
    }

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
