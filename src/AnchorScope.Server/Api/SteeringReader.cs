using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Api;

/// <summary>Reads the member <c>anchorscope</c> of a request, strictly.</summary>
internal static class SteeringReader
{
    private const int Most = 1 << 20;
    private const int MostWords = 16;
    private const int MostSpans = 256;
    private const int LongestWord = 64;

    private static readonly string[] Members = ["follow", "interventions", "spans", "answers", "report"];

    /// <exception cref="InputException">It is wrong.</exception>
    public static SteeringRequest Read(JsonField steering)
    {
        Known(steering, Members);
        var (answers, report) = (steering.Find("answers"), steering.Find("report"));
        if (answers is { } given) Known(given, ["vision", "text"]);
        if (report is { } wanted && answers is null)
            throw steering.Expected($"answers, the words whose tokens are compared, beside report {wanted.Found}");
        var follow = steering.Find("follow");
        return new SteeringRequest
        {
            Follows = follow is not { Value.ValueKind: JsonValueKind.False },
            Toward = follow is { Value.ValueKind: JsonValueKind.Object } toward && toward.Find("modality") is not null
                ? Toward(toward) : null,
            Knobs = follow is { Value.ValueKind: not (JsonValueKind.False or JsonValueKind.True) } turned
                && (turned.Value.ValueKind != JsonValueKind.Object || turned.Find("modality") is null)
                ? Knobs(turned) : new Dictionary<string, double>(),
            VisionAnswers = Words(answers, "vision"),
            TextAnswers = Words(answers, "text"),
            Report = [.. (report?.Items() ?? []).Select(item => item.Text() is "decision" or "margins" or "heads"
                ? item.Text() : throw item.Expected("decision, margins or heads"))],
            Edits = [.. (steering.Find("interventions")?.Items() ?? []).Select(Edit)],
            Spans = Spans(steering.Find("spans")),
        };
    }

    /// <summary>A character has one kind: spans that overlap are refused.</summary>
    private static RequestedSpan[] Spans(JsonField? list)
    {
        RequestedSpan[] spans = [.. (list?.Items() ?? []).Select(Span)];
        if (spans.Length > MostSpans) throw list!.Value.Expected($"at most {MostSpans} spans");
        foreach (var part in spans.GroupBy(span => (span.Message, span.Part)))
        {
            var end = 0;
            foreach (var span in part.OrderBy(span => span.From))
            {
                if (span.From < end)
                    throw InputException.At("request", span.Place, "characters that no other span has", $"{span.From} to {span.To}");
                end = span.To;
            }
        }
        return spans;
    }

    private static double Toward(JsonField follow)
    {
        Known(follow, ["modality", "strength"]);
        var strength = follow.Get("strength").Value.ValueKind == JsonValueKind.Number
            && follow.Get("strength").Value.TryGetDouble(out var number) && number is > 0 and < 1e6
            ? number : throw follow.Get("strength").Expected("a number above 0");
        return follow.Get("modality").Text() switch
        {
            "vision" => strength,
            "text" => -strength,
            _ => throw follow.Get("modality").Expected("vision or text"),
        };
    }

    private static Dictionary<string, double> Knobs(JsonField follow) => follow.Members().ToDictionary(member => member.Name,
        member => member.Field.Value.ValueKind == JsonValueKind.Number && member.Field.Value.TryGetDouble(out var value)
            && double.IsFinite(value) ? value : throw member.Field.Expected("a number, the value of the knob"), StringComparer.Ordinal);

    private static string[] Words(JsonField? answers, string side)
    {
        if (answers is not { } given) return [];
        string[] words = [.. given.Get(side).Items().Select(word => word.Text())];
        return words.Length is > 0 and <= MostWords && words.All(word => word.Trim().Length is > 0 and <= LongestWord)
            ? words : throw given.Get(side).Expected($"1 to {MostWords} words of at most {LongestWord} characters");
    }

    private static RequestedEdit Edit(JsonField edit)
    {
        var kind = edit.Get("kind").Text();
        switch (kind)
        {
            case "head_gain":
                Known(edit, ["kind", "set", "heads", "factor", "at"]);
                if (edit.Find("set") is null == edit.Find("heads") is null) throw edit.Expected("one of set and heads");
                return new RequestedHeadGain
                {
                    Place = edit.Path,
                    Set = edit.Find("set")?.Text(),
                    Heads = [.. (edit.Find("heads")?.Items() ?? []).Select(Head)],
                    Factor = Factor(edit.Get("factor")),
                    At = edit.Find("at") is { } at ? Kind(at) : null,
                };
            case "edge_cut" or "edge_boost":
                Known(edit, kind == "edge_cut"
                    ? ["kind", "from", "to", "layers", "heads"] : ["kind", "from", "to", "layers", "heads", "add"]);
                return new RequestedEdges
                {
                    Place = edit.Path,
                    From = Kind(edit.Get("from")),
                    To = Kind(edit.Get("to")),
                    Layers = Indices(edit, "layers"),
                    Heads = Indices(edit, "heads"),
                    Added = kind == "edge_cut" ? null : Factor(edit.Get("add")),
                };
            default:
                throw edit.Get("kind").Expected("head_gain, edge_cut or edge_boost");
        }
    }

    private static RequestedSpan Span(JsonField span)
    {
        Known(span, ["message", "part", "from", "to", "kind"]);
        var kind = Kind(span.Get("kind"));
        if (kind is SpanKind.Image or SpanKind.Suffix or SpanKind.Last)
            throw span.Get("kind").Expected("a kind of text: text_context, question, instruction, constraint or system");
        var (from, to) = (span.Get("from").Integer(0, Most), span.Get("to").Integer(0, Most));
        if (to <= from) throw span.Get("to").Expected($"a character after from, {from}");
        return new RequestedSpan(span.Get("message").Integer(0, Most), span.Get("part").Integer(0, Most), from, to, kind, span.Path);
    }

    private static (int Layer, int Head) Head(JsonField pair)
    {
        JsonField[] items = [.. pair.Items()];
        return items.Length == 2 ? (items[0].Integer(0, Most), items[1].Integer(0, Most)) : throw pair.Expected("a pair [layer, head]");
    }

    private static int[]? Indices(JsonField edit, string name) =>
        edit.Find(name) is not { } list ? null
        : list.Value.ValueKind == JsonValueKind.Array && list.Value.GetArrayLength() > 0
            ? [.. list.Items().Select(item => item.Integer(0, Most))]
            : throw list.Expected("a list of at least one, or none of it for all");

    private static float Factor(JsonField field) =>
        field.Value.ValueKind == JsonValueKind.Number && field.Value.TryGetSingle(out var number) && float.IsFinite(number)
            ? number : throw field.Expected("a finite number");

    private static SpanKind Kind(JsonField field)
    {
        var name = field.Text();
        foreach (var kind in Enum.GetValues<SpanKind>())
        {
            if (EnumName.Of(kind) == name) return kind;
        }
        throw field.Expected(string.Join(", ", Enum.GetValues<SpanKind>().Select(EnumName.Of)));
    }

    private static void Known(JsonField field, string[] known)
    {
        foreach (var (name, member) in field.Members())
        {
            if (!known.Contains(name))
                throw InputException.At(member.File, member.Path, string.Join(", ", known),
                    $"an unknown member{Nearest.Hint(name, known)}");
        }
    }
}
