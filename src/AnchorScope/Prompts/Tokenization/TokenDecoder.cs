using System.Globalization;
using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>A piece of a token's text between the steps of a decoder. Most tokens are one piece.</summary>
/// <param name="Starts">Whether it is the first piece of its token.</param>
/// <param name="Ends">Whether it is the last piece of its token.</param>
internal readonly record struct Stretch(string Text, bool Starts, bool Ends)
{
    public static Stretch Whole(string text) => new(text, true, true);
}

/// <summary>
/// A step of tokenizer.json's <c>decoder</c>: rewrites the list of token texts that will be joined, one after the other, and holds back
/// what later tokens may still change.
/// </summary>
internal sealed class TokenDecoder(Func<IDecoding> begin)
{
    /// <summary>The default without a decoder: tokens separated by spaces.</summary>
    public static TokenDecoder Spaced { get; } = new(() => new Joined());

    /// <summary>The step in its state at the beginning of a text.</summary>
    public IDecoding Begin() => begin();

    /// <summary>The bytes of a token, if the step takes it for bytes; null if it takes it for text.</summary>
    public Func<string, byte[]?> RawBytes { get; private init; } = _ => null;

    public static TokenDecoder Read(JsonField field) => field.Get("type").Text() switch
    {
        "Sequence" => InSequence([.. field.Get("decoders").Items().Select(Read)]),
        "Replace" => Replacing(new Pattern(field.Get("pattern")), field.Get("content").Text()),
        "ByteFallback" => new(() => new ByteFallback()) { RawBytes = ByteFallback.RawBytes },
        "Fuse" => new(() => new Fuse()),
        "Strip" =>
            Stripping(field.Get("content").Text(), field.Get("start").Integer(0, int.MaxValue), field.Get("stop").Integer(0, int.MaxValue)),
        "Metaspace" => Spacing(field.Get("replacement").Text(), DropsFirst(field)),
        "ByteLevel" => new(() => new Bytes()) { RawBytes = token => [.. ByteAlphabet.Read(token)] },
        _ => throw field.Get("type").Unsupported("decoders Sequence, Replace, ByteFallback, Fuse, Strip, Metaspace, ByteLevel"),
    };

    private static TokenDecoder InSequence(TokenDecoder[] steps) => new(() => new Chain([.. steps.Select(step => step.Begin())]))
    {
        RawBytes = token => steps.Select(step => step.RawBytes(token)).FirstOrDefault(bytes => bytes is not null),
    };

    private static TokenDecoder Replacing(Pattern pattern, string content) => new(() => new Replace(pattern, content));

    private static TokenDecoder Stripping(string content, int start, int stop) => new(() => new Strip(content, start, stop));

    private static TokenDecoder Spacing(string mark, bool dropsFirst) => new(() => new Metaspace(mark, dropsFirst));

    private static bool DropsFirst(JsonField field) =>
        field.Find("prepend_scheme")?.Text() != "never" && field.Flag("add_prefix_space", true);

    private sealed class Chain(IDecoding[] steps) : IDecoding
    {
        public IEnumerable<Stretch> Next(Stretch stretch) => From(0, [stretch]);

        // What a step still holds passes through all later steps before they end.
        public IEnumerable<Stretch> End() => [.. Enumerable.Range(0, steps.Length).SelectMany(i => From(i + 1, steps[i].End()))];

        private IEnumerable<Stretch> From(int first, IEnumerable<Stretch> stretches)
        {
            for (var i = first; i < steps.Length; i++)
            {
                var step = steps[i];
                stretches = [.. stretches.SelectMany(step.Next)];
            }
            return stretches;
        }
    }

    /// <summary>A step that needs whole tokens.</summary>
    private abstract class WholeTokens : IDecoding
    {
        private string held = "";

        public IEnumerable<Stretch> Next(Stretch stretch)
        {
            held += stretch.Text;
            if (!stretch.Ends) return [];
            var token = held;
            held = "";
            return Token(token);
        }

        public virtual IEnumerable<Stretch> End() => [];

        protected abstract IEnumerable<Stretch> Token(string token);
    }

    private sealed class Replace(Pattern pattern, string content) : WholeTokens
    {
        protected override IEnumerable<Stretch> Token(string token) => [Stretch.Whole(pattern.Replace(token, content))];
    }

    /// <summary>Converts sequences of <c>&lt;0xNN&gt;</c> to text; each byte of a sequence that is not UTF-8 becomes U+FFFD.</summary>
    private sealed class ByteFallback : WholeTokens
    {
        private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

        private readonly List<byte> run = [];

        public override IEnumerable<Stretch> End()
        {
            if (run.Count == 0) return [];
            byte[] bytes = [.. run];
            run.Clear();
            try
            {
                return [Stretch.Whole(Strict.GetString(bytes))];
            }
            catch (DecoderFallbackException)
            {
                return [.. bytes.Select(_ => Stretch.Whole("\uFFFD"))];
            }
        }

        protected override IEnumerable<Stretch> Token(string token)
        {
            if (!IsByte(token, out var value)) return [.. End(), Stretch.Whole(token)];
            run.Add(value);
            return [];
        }

        public static byte[]? RawBytes(string token) => IsByte(token, out var value) ? [value] : null;

        private static bool IsByte(string token, out byte value)
        {
            value = 0;
            return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' &&
                byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
        }
    }

    /// <summary>Joins all tokens into one.</summary>
    private sealed class Fuse : IDecoding
    {
        private bool begun;

        public IEnumerable<Stretch> Next(Stretch stretch)
        {
            var starts = !begun;
            begun = true;
            return [new(stretch.Text, starts, false)];
        }

        public IEnumerable<Stretch> End() => [new("", !begun, true)];
    }

    /// <summary>Removes up to a given number of copies of a text from either end of every token.</summary>
    private sealed class Strip(string content, int start, int stop) : IDecoding
    {
        private string held = "";
        private int left;

        public IEnumerable<Stretch> Next(Stretch stretch)
        {
            if (stretch.Starts) (held, left) = ("", content.Length == 0 ? 0 : start);
            held += stretch.Text;
            for (; left > 0 && held.StartsWith(content, StringComparison.Ordinal); left--) held = held[content.Length..];
            if (stretch.Ends)
            {
                for (var i = 0; content.Length > 0 && i < stop && held.EndsWith(content, StringComparison.Ordinal); i++)
                    held = held[..^content.Length];
            }
            // While the token is incomplete, hold back a possible prefix of the removed text at its start, and as much as may be removed at
            // its end.
            if (left > 0 && !stretch.Ends && content.StartsWith(held, StringComparison.Ordinal)) return [new("", stretch.Starts, false)];
            left = 0;
            var certain = stretch.Ends ? held.Length : (int)Math.Max(0, held.Length - (long)stop * content.Length);
            var text = held[..certain];
            held = held[certain..];
            return [new(text, stretch.Starts, stretch.Ends)];
        }

        public IEnumerable<Stretch> End() => [];
    }

    private sealed class Metaspace(string mark, bool dropsFirst) : WholeTokens
    {
        private bool begun;

        protected override IEnumerable<Stretch> Token(string token)
        {
            var replacement = !begun && dropsFirst ? "" : " ";
            begun = true;
            return [Stretch.Whole(token.Replace(mark, replacement, StringComparison.Ordinal))];
        }
    }

    /// <summary>Converts characters to bytes, and all tokens to one text.</summary>
    private sealed class Bytes : IDecoding
    {
        private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
        private bool begun;

        public IEnumerable<Stretch> Next(Stretch stretch)
        {
            var starts = !begun;
            begun = true;
            return [new(Read([.. ByteAlphabet.Read(stretch.Text)], last: false), starts, false)];
        }

        public IEnumerable<Stretch> End() => [new(Read([], last: true), !begun, true)];

        private string Read(byte[] bytes, bool last)
        {
            var text = new char[decoder.GetCharCount(bytes, last)];
            return new string(text, 0, decoder.GetChars(bytes, text, last));
        }
    }

    private sealed class Joined : WholeTokens
    {
        private bool begun;

        protected override IEnumerable<Stretch> Token(string token)
        {
            var space = begun ? " " : "";
            begun = true;
            return [Stretch.Whole(space + token)];
        }
    }
}
