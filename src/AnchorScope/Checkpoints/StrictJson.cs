using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace AnchorScope.Checkpoints;

/// <summary>
/// Reads JSON that a person or this tool wrote: UTF-8 (a byte order mark is skipped), without duplicate keys, nested at most 64 deep.
/// </summary>
internal static class StrictJson
{
    private const long LongestFile = 64L << 20;
    private const int Depth = 64;

    /// <summary>The root of a file.</summary>
    /// <exception cref="InputException">The file is missing, unreadable, a folder, above 64 MiB, or not such JSON.</exception>
    public static JsonElement Read(string path, long longest = LongestFile, bool comments = false)
    {
        using var file = MappedFile.Open(path);
        if (file.Length == 0 || file.Length > longest)
            throw InputException.At(path, "file", $"JSON of 1 to {longest} bytes", $"{file.Length} bytes");
        return Parse(file.Slice(0, (int)file.Length).ToArray(), path, comments);
    }

    /// <summary>The root of a text.</summary>
    /// <param name="name">Replaces the path in messages.</param>
    public static JsonElement Parse(ReadOnlySpan<byte> utf8, string name, bool comments = false)
    {
        // Editors on Windows write a byte order mark before UTF-8, which the JSON reader does not accept.
        var text = utf8.StartsWith(Encoding.UTF8.Preamble) ? utf8[Encoding.UTF8.Preamble.Length..] : utf8;
        CheckEncoding(text, name);
        var handling = comments ? JsonCommentHandling.Skip : JsonCommentHandling.Disallow;
        CheckStrings(name, text, handling);
        try
        {
            return JsonElement.Parse(
                text, new JsonDocumentOptions { MaxDepth = Depth, AllowDuplicateProperties = false, CommentHandling = handling });
        }
        catch (JsonException e)
        {
            throw new InputException($"{name}: not valid JSON: {JsonText.Reason(e)}", e);
        }
    }

    /// <summary>Throws for text that is not UTF-8, naming the encoding it seems to have.</summary>
    public static void CheckEncoding(ReadOnlySpan<byte> text, string name)
    {
        if (text is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
            throw InputException.At(name, "encoding", "UTF-8", "UTF-16; save the file as UTF-8");
        if (Utf8.IsValid(text)) return;
        var at = 0;
        while (Rune.DecodeFromUtf8(text[at..], out _, out var length) == OperationStatus.Done) at += length;
        throw InputException.At(name, "encoding", "UTF-8",
            $"the byte {text[at]:X2} in line {1 + text[..at].Count((byte)'\n')}; save the file as UTF-8");
    }

    /// <summary>Reads the text once for its grammar and its strings, because only this reader knows the position of an error.</summary>
    private static void CheckStrings(string name, ReadOnlySpan<byte> text, JsonCommentHandling comments)
    {
        var json = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = Depth, CommentHandling = comments });
        try
        {
            while (json.Read())
            {
                if (json.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && json.ValueIsEscaped) JsonText.Read(ref json);
            }
        }
        catch (JsonException e)
        {
            int line = 1 + text[..(int)json.BytesConsumed].Count((byte)'\n');
            throw new InputException($"{name}: line {line}: not valid JSON: {JsonText.Reason(e)}", e);
        }
    }
}
