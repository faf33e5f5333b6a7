using System.Buffers.Text;
using System.CommandLine;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Cli;

/// <summary><c>ascope tokenize</c>: tokenizes texts with a checkpoint's tokenizer.</summary>
internal static class TokenizeCommand
{
    public static Command Create()
    {
        var folder = new Argument<string>("DIR") { Description = "checkpoint, or folder with tokenizer files" };
        var special = new Option<bool>("--special") { Description = "add the special tokens of the tokenizer's post-processor" };
        var command = new Command("tokenize", "Reads a JSON array of strings from standard input and prints an array of {text, ids, "
            + "tokens, offsets}; offsets count code points.") { folder, special };
        command.SetAction(parsed =>
        {
            var tokenizer = Tokenizer.Load(parsed.GetValue(folder)!);
            using var input = Console.OpenStandardInput();
            using var json = new MemoryStream();
            input.CopyTo(json);
            var texts = TextList.Parse(json.GetBuffer().AsSpan(0, (int)json.Length), "standard input");
            var (all, unknown) = (0, 0);
            foreach (var warning in tokenizer.Warnings) Terminal.Warn(warning);
            using var output = Console.OpenStandardOutput();
            using var buffered = new BufferedStream(output, 1 << 16);
            using (var writer = new Utf8JsonWriter(buffered,
                new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            {
                writer.WriteStartArray();
                // Texts are independent of each other, and a tokenizer is read-only.
                var encoded = texts.AsParallel().AsOrdered().Select(
                    text => (text, tokens: tokenizer.Encode(text, parsed.GetValue(special))));
                foreach (var (text, tokens) in encoded)
                {
                    Write(writer, tokenizer, text, tokens);
                    all += tokens.Count;
                    unknown += tokens.Count(token => token.Id == tokenizer.UnknownId);
                }
                writer.WriteEndArray();
            }
            buffered.Write("\n"u8);
            if (unknown > 0) Terminal.Warn(tokenizer.UnknownWarning(unknown, all));
            return 0;
        });
        return command;
    }

    // A text can have over half a million tokens: the arrays are built as bytes, which the writer copies unchanged.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write(Utf8JsonWriter json, Tokenizer tokenizer, string text, IReadOnlyList<Token> tokens)
    {
        var codePoints = CodePoints(text);
        var (ids, texts, offsets) = (new JsonArrayText(8 * tokens.Count), new JsonArrayText(8 * tokens.Count),
            new JsonArrayText(18 * tokens.Count));
        var written = new Dictionary<int, byte[]>();
        foreach (var token in tokens)
        {
            ids.Add(token.Id);
            if (!written.TryGetValue(token.Id, out var utf8))
                written[token.Id] = utf8 = [(byte)'"',
                    .. Encoding.UTF8.GetBytes(JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(tokenizer.TokenText(token.Id))),
                    (byte)'"'];
            texts.Add(utf8);
            offsets.Add(codePoints is null ? token.Start : codePoints[token.Start], codePoints is null ? token.End : codePoints[token.End]);
        }
        json.WriteStartObject();
        json.WriteString("text", text);
        json.WritePropertyName("ids");
        json.WriteRawValue(ids.End(), skipInputValidation: true);
        json.WritePropertyName("tokens");
        json.WriteRawValue(texts.End(), skipInputValidation: true);
        json.WritePropertyName("offsets");
        json.WriteRawValue(offsets.End(), skipInputValidation: true);
        json.WriteEndObject();
    }

    /// <summary>Number of code points before each UTF-16 unit; null if the two counts are always equal.</summary>
    private static int[]? CodePoints(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return null;
        var before = new int[text.Length + 1];
        for (var i = 0; i < text.Length; i++)
            before[i + 1] = before[i] + (char.IsLowSurrogate(text[i]) && i > 0 && char.IsHighSurrogate(text[i - 1]) ? 0 : 1);
        return before;
    }

    /// <summary>A JSON array as bytes.</summary>
    private sealed class JsonArrayText(int capacity)
    {
        private byte[] _bytes = new byte[capacity + 64];
        private int _count;

        public void Add(int number)
        {
            Begin(16);
            Number(number);
        }

        public void Add(int first, int second)
        {
            Begin(32);
            _bytes[_count++] = (byte)'[';
            Number(first);
            _bytes[_count++] = (byte)',';
            Number(second);
            _bytes[_count++] = (byte)']';
        }

        public void Add(byte[] value)
        {
            Begin(value.Length);
            value.CopyTo(_bytes, _count);
            _count += value.Length;
        }

        public ReadOnlySpan<byte> End()
        {
            if (_count == 0) _bytes[_count++] = (byte)'[';
            _bytes[_count++] = (byte)']';
            return _bytes.AsSpan(0, _count);
        }

        private void Begin(int size)
        {
            if (_bytes.Length - _count < size + 2) Array.Resize(ref _bytes, 2 * _bytes.Length + size);
            _bytes[_count] = _count == 0 ? (byte)'[' : (byte)',';
            _count++;
        }

        private void Number(int number)
        {
            _ = Utf8Formatter.TryFormat(number, _bytes.AsSpan(_count), out var length);
            _count += length;
        }
    }
}
