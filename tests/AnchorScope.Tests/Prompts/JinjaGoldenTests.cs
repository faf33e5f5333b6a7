using System.Text;
using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// Templates compared with Jinja2 3.1.6 as configured by transformers 5.12.1 (tests/fixtures/text/make_jinja.py): expressions, filters,
/// methods, statements and white space, written by hand and generated at random.
/// </summary>
public sealed class JinjaGoldenTests
{
    [Fact]
    public void EveryTemplate_RendersAsThere_OrIsRefusedByName()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("text", "jinja.json")));
        var (wrong, refused) = JinjaGoldens.Differences(golden.RootElement.GetProperty("rows").EnumerateArray());
        if (wrong.Count > 0) Assert.Fail(string.Join('\n', wrong));
        Assert.Empty(JinjaGoldens.Refusals.Except(refused));
    }
}

/// <summary>Rows of template and output, or error, and how rendering here differs.</summary>
internal static class JinjaGoldens
{
    /// <summary>What Jinja2 renders and is refused here, by a part of the refusal.</summary>
    public static readonly string[] Refusals =
    [
        .. new[] { "attr", "e", "escape", "filesizeformat", "format", "random", "striptags", "truncate", "urlencode", "wordcount",
            "wordwrap", "xmlattr" }
            .Select(filter => $"the filter '{filter}' is not supported; supported are"),
        .. new[] { "filter", "test", "escaped" }.Select(test => $"the test '{test}' is not supported; supported are"),
        .. new[] { "expandtabs", "format", "isidentifier" }.Select(method =>
            $"a string has no method '{method}' here, or none that is supported"),
        "only strings are supported as keys of a dictionary", "the member 'arguments' of a function is not supported",
        "sameas: takes none, true and false", "'cycler' is not supported", "'joiner' is not supported",
            "'%' is not supported between a string and",
        "the method 'encode' as a value is not supported", @"the escape \N in a string is not supported", "'self' is not supported",
        "the tag 'autoescape' is not expected here or not supported",
    ];

    private static readonly IReadOnlyList<ChatMessage> Messages = ChatMessage.Parse(Encoding.UTF8.GetBytes("""
        [{"role": "system", "content": "  Be brief. "},
         {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is\n this? 🙂é"}]},
         {"role": "assistant", "content": [{"type": "text", "text": "A dog."}]}]
        """), "messages");

    /// <summary>Refused only where Jinja2 computes a constant beforehand, in another way than when the template runs.</summary>
    private const string Constant = "cannot be sliced";

    /// <summary>The differences, and which refusals were met.</summary>
    public static (List<string> Wrong, HashSet<string> Refused) Differences(IEnumerable<JsonElement> rows)
    {
        var (wrong, refused) = (new List<string>(), new HashSet<string>(StringComparer.Ordinal));
        foreach (var row in rows)
        {
            var template = row.GetProperty("t").GetString()!;
            var expected = row.TryGetProperty("o", out var output) ? output.GetString() : null;
            // An object printed with its address, which no template can intend.
            if (expected?.Contains(" at 0x", StringComparison.OrdinalIgnoreCase) is true) continue;
            try
            {
                var found = Render(template);
                if (found != expected)
                    wrong.Add($"{JsonSerializer.Serialize(template)}: {JsonSerializer.Serialize(found)} and not "
                        + $"{(expected is null ? row.GetProperty("e").GetString() : JsonSerializer.Serialize(expected))}");
            }
            catch (InputException e)
            {
                var known = Refusals.FirstOrDefault(part => e.Message.Contains(part, StringComparison.Ordinal));
                if (known is not null) refused.Add(known);
                if (expected is not null && known is null
                    && !e.Message.EndsWith(Constant,
                    StringComparison.Ordinal))
                    wrong.Add($"{JsonSerializer.Serialize(template)}: {e.Message} and not {JsonSerializer.Serialize(expected)}");
            }
        }
        return (wrong, refused);
    }

    private static string Render(string template) =>
        new ChatTemplate(template, "t", new Dictionary<string, string> { ["bos_token"] = "<s>" }).Render(Messages).Text;
}
