using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>A step of tokenizer.json's <c>decoder</c>: rewrites the list of token texts that will be joined.</summary>
internal abstract class TokenDecoder
{
    public abstract IReadOnlyList<string> Apply(IReadOnlyList<string> tokens);

    public static TokenDecoder Read(JsonField field) => field.Get("type").Text() switch
    {
        "Sequence" => new InSequence([.. field.Get("decoders").Items().Select(Read)]),
        "Replace" => new Replace(new Pattern(field.Get("pattern")), field.Get("content").Text()),
        "ByteFallback" => new ByteFallback(),
        "Fuse" => new Fuse(),
        "Strip" => new Strip(
            field.Get("content").Text(), field.Get("start").Integer(0, int.MaxValue), field.Get("stop").Integer(0, int.MaxValue)),
        "Metaspace" => new Metaspace(field.Get("replacement").Text(), DropsFirst(field)),
        "ByteLevel" => new Bytes(),
        _ => throw field.Get("type").Unsupported("decoders Sequence, Replace, ByteFallback, Fuse, Strip, Metaspace, ByteLevel"),
    };

    private static bool DropsFirst(JsonField field) =>
        field.Find("prepend_scheme")?.Text() != "never" && field.Flag("add_prefix_space", true);

    private sealed class InSequence(TokenDecoder[] steps) : TokenDecoder
    {
        public override IReadOnlyList<string> Apply(IReadOnlyList<string> tokens) =>
            steps.Aggregate(tokens, (current, step) => step.Apply(current));
    }

    private sealed class Replace(Pattern pattern, string content) : TokenDecoder
    {
        public override IReadOnlyList<string> Apply(IReadOnlyList<string> tokens) =>
            [.. tokens.Select(token => pattern.Replace(token, content))];
    }

    /// <summary>Runs of <c>&lt;0xNN&gt;</c> become text; each byte of a run that is not UTF-8 becomes U+FFFD.</summary>
    private sealed class ByteFallback : TokenDecoder
    {
        private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

        public override IReadOnlyList<string> Apply(IReadOnlyList<string> tokens)
        {
            var result = new List<string>();
            var bytes = new List<byte>();
            foreach (var token in tokens)
            {
                if (IsByte(token, out var value))
                {
                    bytes.Add(value);
                    continue;
                }
                Flush();
                result.Add(token);
            }
            Flush();
            return result;

            void Flush()
            {
                if (bytes.Count == 0) return;
                try
                {
                    result.Add(Strict.GetString([.. bytes]));
                }
                catch (DecoderFallbackException)
                {
                    result.AddRange(bytes.Select(_ => "\uFFFD"));
                }
                bytes.Clear();
            }
        }

        private static bool IsByte(string token, out byte value)
        {
            value = 0;
            return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' &&
                byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
        }
    }

    private sealed class Fuse : TokenDecoder
    {
        public override IReadOnlyList<string> Apply(IReadOnlyList<string> tokens) => [string.Concat(tokens)];
    }

    /// <summary>Takes up to so many copies of a text from either end of every token.</summary>
    private sealed class Strip(string content, int start, int stop) : TokenDecoder
    {
        public override IReadOnlyList<string> Apply(IReadOnlyList<string> tokens) => [.. tokens.Select(Stripped)];

        private string Stripped(string token)
        {
            if (content.Length == 0) return token;
            for (var i = 0; i < start && token.StartsWith(content, StringComparison.Ordinal); i++) token = token[content.Length..];
            for (var i = 0; i < stop && token.EndsWith(content, StringComparison.Ordinal); i++) token = token[..^content.Length];
            return token;
        }
    }

    private sealed class Metaspace(string mark, bool dropsFirst) : TokenDecoder
    {
        public override IReadOnlyList<string> Apply(IReadOnlyList<string> tokens) =>
            [.. tokens.Select((token, i) => token.Replace(mark, i == 0 && dropsFirst ? "" : " ", StringComparison.Ordinal))];
    }

    private sealed class Bytes : TokenDecoder
    {
        public override IReadOnlyList<string> Apply(IReadOnlyList<string> tokens) =>
            [Encoding.UTF8.GetString([.. tokens.SelectMany(ByteAlphabet.Read)])];
    }
}
