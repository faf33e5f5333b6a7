using System.Globalization;
using System.Text;

namespace AnchorScope.Baking;

/// <summary>The model card of a baked folder: README.md, followed by that of the original.</summary>
internal static class ModelCard
{
    public const string FileName = "README.md";

    private const string Fence = "---";

    /// <summary>The card: a new text, followed by the original's card.</summary>
    /// <param name="text">Markdown.</param>
    /// <param name="before">The original's card, or null.</param>
    public static byte[] Over(string text, byte[]? before)
    {
        var own = Encoding.UTF8.GetBytes(text);
        if (before is null) return own;
        // Hubs read licence and base model only from the front matter at the top of the file.
        var front = FrontMatter(before);
        return [.. before.AsSpan(0, front), .. own, .. "\n# The original's model card\n\n"u8, .. before.AsSpan(front)];
    }

    /// <summary>The text about head gains.</summary>
    /// <param name="otherWeights">Copied files with weights in other formats, which are unchanged.</param>
    public static string Text(BakedRecord record, IReadOnlyList<string> otherWeights)
    {
        var card = new StringBuilder();
        var times = record.Gains.Common is { } common ? $"multiplied by {Number(common)}" : "multiplied by a factor each";
        card.Append(CultureInfo.InvariantCulture, $"""
            # {record.Source} with {record.HeadCount} {times}

            This is not the original. The outputs of {record.HeadCount} of attention were {times}, at every position, by folding that into the weights: a head's output meets nothing but its own columns of its
            layer's output projection (o_proj), so the columns were multiplied instead. Every other tensor has its bytes, every other file was copied.

            | | |
            |---|---|
            | original | {Cell(record.Source)}, weights sha256 {record.SourceSha256} |
            | heads, layer:head{(record.Gains.Common is null ? " x factor" : "")} | {string.Join(", ", record.Gains.Heads.Select(h =>
                $"{h.Layer}:{h.Head}{(record.Gains.Common is null ? $" x {Number(h.Factor)}" : "")}"))} |
            | head set | {Cell(record.HeadSet)}, sha256 {record.HeadSetSha256} |
            | values multiplied | {record.Tensors.Sum(t => t.Values)} in {Plural.Of(record.Tensors.Count, "tensor")} |
            | of them rounded | {record.Rounded}, to the nearest value of the stored type, ties to even |
            | made by | {record.Tool} |

            """);
        card.Append(Warnings(record.HeadSetRevision, record.SourceSha256, otherWeights));
        card.Append("""

            | tensor | file | type | multiplied | rounded |
            |---|---|---|---|---|

            """);
        foreach (var t in record.Tensors)
            card.Append(CultureInfo.InvariantCulture, $"| `{Cell(t.Name)}` | `{Cell(t.File)}` | {t.Type} | {t.Values} | {t.Rounded} |\n");
        card.Append(CultureInfo.InvariantCulture, $"""

            {record.Effects ?? "Nothing here says what the change does to the model. `ascope diagnose --model DIR` measures that; "}`ascope verify-baked --model ORIGINAL --baked DIR` proves that this folder is the original with
            these heads multiplied. `baked.json` says the same to programs.

            """);
        return card.ToString();
    }

    /// <summary>Important warnings: heads of another model, and copied files with the old weights.</summary>
    public static string Warnings(string headSetRevision, string source, IReadOnlyList<string> otherWeights)
    {
        var text = "";
        if (headSetRevision != source)
            text += "\n**The heads are another model's.** The head set was made for weights "
                + $"{Cell(headSetRevision)} and was forced onto these.\n";
        if (otherWeights.Count > 0)
            text += $"\n**Not changed:** {string.Join(", ", otherWeights.Select(name => $"`{name}`"))}. These files were copied; "
                + "where they hold weights, those are still the original's. Only the safetensors that the checkpoint is read from "
                + "were changed.\n";
        return text;
    }

    /// <summary>Length of the front matter, including both fences; 0 without one.</summary>
    private static int FrontMatter(byte[] card)
    {
        // One character per byte, whatever the encoding, so that lengths are lengths in the file.
        var text = Encoding.Latin1.GetString(card);
        if (!text.StartsWith(Fence + "\n", StringComparison.Ordinal) && !text.StartsWith(Fence + "\r\n", StringComparison.Ordinal))
            return 0;
        for (var line = text.IndexOf('\n', StringComparison.Ordinal) + 1; line > 0; line = text.IndexOf('\n', line) + 1)
        {
            var end = text.IndexOf('\n', line);
            if (end >= 0 && text[line..end].TrimEnd() == Fence) return end + 1;
            if (end < 0) return 0;
        }
        return 0;
    }

    private static string Number(float value) => value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>Text from a file in a cell of a table.</summary>
    public static string Cell(string text) => Checkpoints.Quoted.Line(text).Replace("|", "\\|", StringComparison.Ordinal);
}
