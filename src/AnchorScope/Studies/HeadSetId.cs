using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace AnchorScope.Studies;

/// <summary>How a set of heads is selected.</summary>
internal enum HeadSetKind
{
    /// <summary>The best by the score over all runs.</summary>
    Top,

    /// <summary>The best over runs instructed to follow the picture.</summary>
    Vision,

    /// <summary>The best over runs instructed to follow the text.</summary>
    Text,

    /// <summary>The best in the upper half of the layers.</summary>
    Deep,

    /// <summary>Random, from all heads except the best.</summary>
    Random,

    /// <summary>Random, from the layers of the best heads, with the same number in each layer.</summary>
    Layer,
}

/// <summary>Identifies a set of heads of a diagnosis, for instance the best 5 %, or the third random set of that size.</summary>
/// <param name="Percent">Share of all heads, in percent.</param>
/// <param name="Draw">Index of a random draw; null for sets that are not random, and for all draws together.</param>
[JsonConverter(typeof(Converter))]
internal readonly record struct HeadSetId(HeadSetKind Kind, decimal Percent, int? Draw = null)
{
    /// <summary>A set of a share of all heads.</summary>
    /// <param name="share">Above 0, at most 1.</param>
    public static HeadSetId Of(HeadSetKind kind, double share) => new(kind, PercentOf(share));

    /// <summary>Converts 0.05 to 5, rounded to ten decimal places.</summary>
    public static decimal PercentOf(double share) => Math.Round((decimal)(share * 100), 10);

    /// <summary>Whether the set is random.</summary>
    public bool IsDrawn => Kind is HeadSetKind.Random or HeadSetKind.Layer;

    /// <summary>The name in results.jsonl: "top5", "random5/2".</summary>
    public string Text =>
        $"{Kind.ToString().ToLowerInvariant()}{Number}{(Draw is { } draw ? $"/{draw.ToString(CultureInfo.InvariantCulture)}" : "")}";

    /// <summary>The name for readers: "top 5 %".</summary>
    public string Shown => Kind switch
    {
        HeadSetKind.Top => $"top {Number} %",
        HeadSetKind.Vision => $"top {Number} % for the picture",
        HeadSetKind.Text => $"top {Number} % for the text",
        HeadSetKind.Deep => "top of the upper half",
        HeadSetKind.Random => "random",
        _ => "random, same layers",
    };

    private string Number => Percent.ToString("0.##########", CultureInfo.InvariantCulture);

    /// <summary>Parses <see cref="Text"/>.</summary>
    /// <exception cref="FormatException">The text is not such a name.</exception>
    public static HeadSetId Parse(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var name = slash < 0 ? text : text[..slash];
        foreach (var kind in Enum.GetValues<HeadSetKind>())
        {
            var prefix = kind.ToString().ToLowerInvariant();
            if (!name.StartsWith(prefix, StringComparison.Ordinal)
                || !decimal.TryParse(name[prefix.Length..], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percent))
                continue;
            if (slash < 0) return new HeadSetId(kind, percent);
            if (int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var draw))
                return new HeadSetId(kind, percent, draw);
        }
        throw new FormatException($"{text} names no set of heads");
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    private sealed class Converter : JsonConverter<HeadSetId>
    {
        public override HeadSetId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            Parse(reader.GetString()!);

        public override void Write(Utf8JsonWriter writer, HeadSetId value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.Text);
    }
}
