using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Prompts;
using AnchorScope.Server.Api;
using AnchorScope.Server.Policies;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Pages;

/// <summary>A piece of text, and what it is.</summary>
/// <param name="Kind">A kind of span, or empty for other text.</param>
internal sealed record PlaygroundText(string Kind, string Text);

/// <summary>What was filled in on the playground.</summary>
internal sealed record PlaygroundForm
{
    /// <summary>Number of pieces of text.</summary>
    public const int Pieces = 4;

    private const int MostTokens = 256;

    /// <summary>Name of the example whose picture is used if none was sent; empty: no picture.</summary>
    public string Example { get; init; } = "";

    /// <summary>The picture that was sent, as a data address; null: none was.</summary>
    public string? Picture { get; init; }

    public IReadOnlyList<PlaygroundText> Texts { get; init; } = [];

    /// <summary>What the picture would have the model answer, and other forms of it, separated by commas.</summary>
    public string Vision { get; init; } = "";

    /// <inheritdoc cref="Vision"/>
    public string Text { get; init; } = "";

    /// <summary>What is changed: <c>knob:name</c>, <c>set:name</c>, <c>cut:from:to</c>, or empty for nothing.</summary>
    public string Change { get; init; } = "";

    /// <summary>Value of the knob, or factor of the heads.</summary>
    public string Value { get; init; } = "";

    /// <summary>Maximum number of tokens of an answer.</summary>
    public int Tokens { get; init; } = 4;

    /// <summary>The form with an example filled in.</summary>
    public static PlaygroundForm Of(Example example) => new()
    {
        Example = example.Name,
        Texts = [new("text_context", example.Context), new("question", example.Question), new("instruction", example.Instruction),
            new("constraint", "")],
        Vision = example.Vision,
        Text = example.Text,
    };

    /// <summary>Reads what was sent.</summary>
    /// <exception cref="ApiException">A field is wrong.</exception>
    public static async Task<PlaygroundForm> Read(IFormCollection form, CancellationToken cancel)
    {
        string? picture = null;
        if (form.Files.GetFile("picture") is { Length: > 0 } file)
        {
            using var bytes = new MemoryStream();
            await file.CopyToAsync(bytes, cancel);
            // What it really is shows when it is decoded.
            picture = "data:image/png;base64," + Convert.ToBase64String(bytes.GetBuffer(), 0, (int)bytes.Length);
        }
        return new PlaygroundForm
        {
            Picture = picture,
            Example = form["example"].ToString(),
            Texts = [.. Enumerable.Range(0, Pieces).Select(
                i => new PlaygroundText(form[$"kind{i}"].ToString(), form[$"text{i}"].ToString()))],
            Vision = form["vision"].ToString(),
            Text = form["text"].ToString(),
            Change = form["change"].ToString(),
            Value = form["value"].ToString(),
            Tokens = int.TryParse(form["tokens"], CultureInfo.InvariantCulture, out var tokens) && tokens is >= 1 and <= MostTokens
                ? tokens : throw Wrong($"tokens of an answer: expected 1 to {MostTokens}, found {form["tokens"]}"),
        };
    }

    /// <summary>The bytes of the request to the API.</summary>
    /// <param name="model">Name of the model.</param>
    /// <param name="changed">Whether the change is made.</param>
    /// <exception cref="ApiException">A field is wrong.</exception>
    public byte[] Body(string model, bool changed)
    {
        var (text, spans, picture) = ("", new JsonArray(), PictureAddress());
        foreach (var piece in Texts.Where(piece => piece.Text.Trim().Length > 0))
        {
            // As in the usual layout of a conflict: one space between the pieces.
            if (text.Length > 0) text += " ";
            var words = piece.Text.Trim();
            if (piece.Kind.Length > 0)
                spans.Add(new JsonObject { ["message"] = 0, ["part"] = picture is null ? 0 : 1, ["from"] = text.Length,
                    ["to"] = text.Length + words.Length, ["kind"] = piece.Kind });
            text += words;
        }
        if (text.Length == 0) throw Wrong("expected text in at least one field, found none");
        var content = new JsonArray();
        if (picture is not null)
            content.Add(new JsonObject { ["type"] = "image_url", ["image_url"] = new JsonObject { ["url"] = picture } });
        content.Add(new JsonObject { ["type"] = "text", ["text"] = text });
        var steering = new JsonObject { ["spans"] = spans };
        if (HasAnswers)
        {
            steering["answers"] = new JsonObject { ["vision"] = Words(Vision), ["text"] = Words(Text) };
            steering["report"] = new JsonArray("decision", "margins", "heads");
        }
        if (changed) Add(steering);
        return Encoding.UTF8.GetBytes(new JsonObject
        {
            ["model"] = model,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = content }),
            ["max_tokens"] = Tokens,
            // The same answer each time, so that a difference is the change's.
            ["temperature"] = 0,
            ["anchorscope"] = steering,
        }.ToJsonString());
    }

    /// <summary>Whether both answers are named, so that the decision can be read.</summary>
    public bool HasAnswers => Vision.Trim().Length > 0 && Text.Trim().Length > 0;

    /// <summary>The change in words; empty: nothing is changed.</summary>
    public string Described
    {
        get
        {
            var parts = Change.Split(':', 3);
            return parts switch
            {
                ["knob", var knob] => $"knob {knob} at {Value.Trim()}",
                ["set", var set] => $"outputs of the heads of {set} times {Value.Trim()}",
                ["cut", var from, var to] => Cut(from, to),
                _ => "",
            };
        }
    }

    /// <summary>The changes that a policy allows here, with what they are called.</summary>
    public static IEnumerable<(string Value, string Text)> Changes(Policy policy)
    {
        yield return ("", "nothing: one answer");
        foreach (var knob in policy.Knobs.Values) yield return ($"knob:{knob.Name}", $"knob {knob.Name}, {knob.Bounds}");
        if (policy.Kinds.Contains("head_gain"))
        {
            foreach (var set in policy.HeadSets.Values) yield return ($"set:{set.Name}", $"factor of head set {set.Name}, {policy.Factor}");
        }
        if (!policy.Kinds.Contains("edge_cut")) yield break;
        foreach (var (from, to) in new[] { ("image", "instruction"), ("text_context", "instruction"), ("image", "last"),
            ("text_context", "last") })
        {
            yield return ($"cut:{from}:{to}", Cut(from, to));
        }
    }

    private static string Cut(string from, string to) => $"attention from {to.Replace('_', ' ')} to {from.Replace('_', ' ')} cut";

    private void Add(JsonObject steering)
    {
        var parts = Change.Split(':', 3);
        switch (parts[0])
        {
            case "knob" when parts.Length == 2:
                steering["follow"] = new JsonObject { [parts[1]] = Number() };
                break;
            case "set" when parts.Length == 2:
                steering["interventions"] = new JsonArray(
                    new JsonObject { ["kind"] = "head_gain", ["set"] = parts[1], ["factor"] = Number() });
                break;
            case "cut" when parts.Length == 3:
                steering["interventions"] = new JsonArray(new JsonObject { ["kind"] = "edge_cut", ["from"] = parts[1], ["to"] = parts[2] });
                break;
            default:
                throw Wrong($"change: expected one of the list, found {Change}");
        }
    }

    private double Number() =>
        double.TryParse(Value.Trim().Replace(',', '.').Replace('−', '-'), CultureInfo.InvariantCulture, out var number)
            && double.IsFinite(number) ? number : throw Wrong($"value: expected a number, found {(Value.Length == 0 ? "nothing" : Value)}");

    private string? PictureAddress()
    {
        if (Picture is not null) return Picture;
        if (Example.Length == 0) return null;
        return Asset.Picture(Example) is { } bytes ? "data:image/png;base64," + Convert.ToBase64String(bytes)
            : throw Wrong($"picture: there is no example {Example}");
    }

    private static JsonArray Words(string text) => new([.. text.Split(',', StringSplitOptions.TrimEntries
        | StringSplitOptions.RemoveEmptyEntries).Select(word => (JsonNode?)word)]);

    private static ApiException Wrong(string message) => new(400, message, code: "invalid_value");
}
