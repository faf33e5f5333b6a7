using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Cli;

/// <summary><c>ascope tokenize</c>: what a checkpoint's tokenizer makes of texts.</summary>
internal static class TokenizeCommand
{
    public static Command Create()
    {
        var folder = new Argument<string>("DIR") { Description = "checkpoint, or folder with tokenizer files" };
        var special = new Option<bool>("--special") { Description = "add the special tokens of the tokenizer's post-processor" };
        var command = new Command("tokenize", "Reads a JSON array of strings on standard input, prints an array of {text, ids, tokens, offsets}; offsets count code points.") { folder, special };
        command.SetAction(parsed =>
        {
            var tokenizer = Tokenizer.Load(parsed.GetValue(folder)!);
            using var input = Console.OpenStandardInput();
            var texts = Read(input);
            using var output = Console.OpenStandardOutput();
            using var buffered = new BufferedStream(output, 1 << 16);
            using (var json = new Utf8JsonWriter(buffered, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            {
                json.WriteStartArray();
                // Texts are independent of each other, and a tokenizer only reads.
                var encoded = texts.AsParallel().AsOrdered().Select(text => (text, tokens: tokenizer.Encode(text, parsed.GetValue(special))));
                foreach (var (text, tokens) in encoded) Write(json, tokenizer, text, tokens);
                json.WriteEndArray();
            }
            buffered.Write("\n"u8);
            return 0;
        });
        return command;
    }

    private static List<string> Read(Stream input)
    {
        try
        {
            using var json = JsonDocument.Parse(input, new JsonDocumentOptions { MaxDepth = 4 });
            if (json.RootElement.ValueKind != JsonValueKind.Array) throw new InputException($"standard input: expected a JSON array of strings, found {json.RootElement.ValueKind}");
            return [.. json.RootElement.EnumerateArray().Select((item, i) => item.ValueKind == JsonValueKind.String
                ? item.GetString()!
                : throw new InputException($"standard input: item {i}: expected a string, found {item.ValueKind}"))];
        }
        catch (JsonException e)
        {
            throw new InputException($"standard input: not valid JSON: {e.Message}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new InputException("standard input: a string has an escape that is half of a surrogate pair", e);
        }
    }

    private static void Write(Utf8JsonWriter json, Tokenizer tokenizer, string text, IReadOnlyList<Token> tokens)
    {
        json.WriteStartObject();
        json.WriteString("text", text);
        json.WriteStartArray("ids");
        foreach (var token in tokens) json.WriteNumberValue(token.Id);
        json.WriteEndArray();
        json.WriteStartArray("tokens");
        foreach (var token in tokens) json.WriteStringValue(tokenizer.TokenText(token.Id));
        json.WriteEndArray();
        json.WriteStartArray("offsets");
        var codePoints = CodePoints(text);
        foreach (var token in tokens)
        {
            json.WriteStartArray();
            json.WriteNumberValue(codePoints is null ? token.Start : codePoints[token.Start]);
            json.WriteNumberValue(codePoints is null ? token.End : codePoints[token.End]);
            json.WriteEndArray();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Code points before each UTF-16 unit; null where the two are the same.</summary>
    private static int[]? CodePoints(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return null;
        var before = new int[text.Length + 1];
        for (var i = 0; i < text.Length; i++) before[i + 1] = before[i] + (char.IsLowSurrogate(text[i]) && i > 0 && char.IsHighSurrogate(text[i - 1]) ? 0 : 1);
        return before;
    }
}
