using System.Buffers;
using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Jinja;

internal enum Lexical { Text, OpenOutput, CloseOutput, OpenTag, CloseTag, Name, String, Integer, Float, Operator, End }

/// <summary>A token of the template language; for a string, <c>Text</c> is its value.</summary>
internal readonly record struct Lexeme(Lexical Kind, string Text, int Line);

/// <summary>Splits a template into text and the tokens of its tags.</summary>
/// <remarks>
/// White space is treated as when chat templates are rendered: trim_blocks and lstrip_blocks are on, a last newline is dropped, and
/// <c>-</c> or <c>+</c> at a tag overrides these.
/// </remarks>
internal sealed class Lexer
{
    private static readonly string[] Operators =
        ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ","];

    private static readonly SearchValues<char> Space =
        SearchValues.Create([.. Enumerable.Range(0, 0x10000).Select(unit => (char)unit).Where(Methods.IsSpace)]);

    private readonly string file;
    private readonly string source;
    private readonly List<Lexeme> lexemes = [];
    private int at;
    private int line = 1;
    private bool atLineStart = true;

    private Lexer(string file, string source)
    {
        this.file = file;
        source = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        this.source = source.EndsWith('\n') ? source[..^1] : source;
    }

    public static List<Lexeme> Read(string file, string source)
    {
        var lexer = new Lexer(file, source);
        lexer.Run();
        return lexer.lexemes;
    }

    private void Run()
    {
        while (at < source.Length)
        {
            var open = NextTag();
            if (open < 0)
            {
                AddText(source[at..]);
                at = source.Length;
                break;
            }
            var kind = source[open + 1];
            var sign = open + 2 < source.Length && source[open + 2] is '-' or '+' ? source[open + 2] : ' ';
            AddText(Before(source[at..open], sign, kind));
            Advance(open + (sign == ' ' ? 2 : 3));
            if (kind == '#') SkipComment();
            else if (kind == '%' && RawTag(at, "raw") is var (body, closing)) ReadRaw(body, closing);
            else ReadTag(kind);
        }
        lexemes.Add(new(Lexical.End, "", line));
    }

    /// <summary>If a tag of this one word begins here: its end and its closing sign; otherwise null.</summary>
    private (int End, char Sign)? RawTag(int from, string word)
    {
        while (from < source.Length && Methods.IsSpace(source[from])) from++;
        if (string.CompareOrdinal(source, from, word, 0, word.Length) != 0) return null;
        from += word.Length;
        while (from < source.Length && Methods.IsSpace(source[from])) from++;
        var sign = from < source.Length && source[from] is '-' or '+' ? source[from++] : ' ';
        return string.CompareOrdinal(source, from, "%}", 0, 2) == 0 ? (from + 2, sign) : null;
    }

    // Everything up to the tag endraw is text. The line end after the first tag belongs to the tag.
    private void ReadRaw(int body, char sign)
    {
        for (var open = source.IndexOf("{%", body, StringComparison.Ordinal); open >= 0; open =
            source.IndexOf("{%", open + 2, StringComparison.Ordinal))
        {
            var opening = open + 2 < source.Length && source[open + 2] is '-' or '+' ? source[open + 2] : ' ';
            if (RawTag(open + (opening == ' ' ? 2 : 3), "endraw") is not var (end, closing)) continue;
            Advance(body);
            atLineStart = false;
            var from = body;
            while (sign == '-' && from < open && Methods.IsSpace(source[from])) from++;
            AddText(Before(source[from..open], opening, '%'));
            Advance(end - 2);
            AfterTag(closing, trimsNewline: true);
            return;
        }
        // At the end of the template, Jinja does not require an endraw.
        if (body < source.Length) throw Fail("the tag raw has no endraw");
        Advance(source.Length);
    }

    private int NextTag()
    {
        for (var i = source.IndexOf('{', at); i >= 0 && i + 1 < source.Length; i = source.IndexOf('{', i + 1))
            if (source[i + 1] is '{' or '%' or '#') return i;
        return -1;
    }

    private string Before(string text, char sign, char kind)
    {
        if (sign == '-') return text[..(text.AsSpan().LastIndexOfAnyExcept(Space) + 1)];
        if (sign == '+' || kind == '{') return text;
        var lineStart = text.LastIndexOf('\n') + 1;
        return (lineStart > 0 || atLineStart) && text.AsSpan(lineStart).IndexOfAnyExcept(Space) < 0 ? text[..lineStart] : text;
    }

    private void AddText(string text)
    {
        if (text.Length > 0) lexemes.Add(new(Lexical.Text, text, line));
    }

    private void Advance(int to)
    {
        line += source.AsSpan(at, to - at).Count('\n');
        at = to;
    }

    private void SkipComment()
    {
        var end = source.IndexOf("#}", at, StringComparison.Ordinal);
        if (end < 0) throw Fail("this comment is not closed");
        var sign = end > at ? source[end - 1] : ' ';
        Advance(end);
        AfterTag(sign, trimsNewline: true);
    }

    // The two characters that close a tag are at the current position.
    private void AfterTag(char sign, bool trimsNewline)
    {
        var to = at + 2;
        if (sign == '-')
            while (to < source.Length && Methods.IsSpace(source[to])) to++;
        else if (sign != '+' && trimsNewline && to < source.Length && source[to] == '\n')
            to++;
        Advance(to);
        atLineStart = source[to - 1] == '\n';
    }

    private void ReadTag(char kind)
    {
        var closing = kind == '{' ? "}}" : "%}";
        lexemes.Add(new(kind == '{' ? Lexical.OpenOutput : Lexical.OpenTag, "", line));
        for (var depth = 0; ;)
        {
            while (at < source.Length && char.IsWhiteSpace(source[at])) Advance(at + 1);
            if (at >= source.Length) throw Fail($"a tag is not closed with {closing}");
            var sign = source[at] == '-' || (source[at] == '+' && kind == '%') ? source[at] : ' ';
            if (depth == 0 && string.CompareOrdinal(source, sign == ' ' ? at : at + 1, closing, 0, 2) == 0)
            {
                lexemes.Add(new(kind == '{' ? Lexical.CloseOutput : Lexical.CloseTag, "", line));
                Advance(sign == ' ' ? at : at + 1);
                AfterTag(sign, trimsNewline: kind == '%');
                return;
            }
            var lexeme = ReadLexeme();
            lexemes.Add(lexeme);
            if (lexeme.Kind == Lexical.Operator && lexeme.Text is "(" or "[" or "{") depth++;
            if (lexeme.Kind == Lexical.Operator && lexeme.Text is ")" or "]" or "}") depth--;
            if (depth < 0) throw Fail($"unexpected '{lexeme.Text}'");
        }
    }

    private Lexeme ReadLexeme()
    {
        var (start, startLine) = (at, line);
        var first = source[at];
        if (first is '\'' or '"') return new(Lexical.String, ReadString(first), startLine);
        if (char.IsAsciiDigit(first)) return ReadNumber();
        if (char.IsLetter(first) || first == '_')
        {
            while (at < source.Length && (char.IsLetterOrDigit(source[at]) || source[at] == '_')) at++;
            return new(Lexical.Name, source[start..at], startLine);
        }
        foreach (var text in Operators)
        {
            if (string.CompareOrdinal(source, at, text, 0, text.Length) != 0) continue;
            at += text.Length;
            return new(Lexical.Operator, text, startLine);
        }
        throw Fail($"unexpected character '{first}'");
    }

    private Lexeme ReadNumber()
    {
        var start = at;
        var isFloat = false;
        if (at + 2 < source.Length && source[at] == '0' && char.ToLowerInvariant(source[at + 1]) is 'x' or 'o'
            or 'b') return ReadRadix(char.ToLowerInvariant(source[at + 1]));
        Digits();
        if (at + 1 < source.Length && source[at] == '.' && char.IsAsciiDigit(source[at + 1]))
        {
            isFloat = true;
            at++;
            Digits();
        }
        var exponent = at + 1 < source.Length && source[at] is 'e' or 'E' ? at + 1 : -1;
        if (exponent > 0 && source[exponent] is '+' or '-') exponent++;
        if (exponent > 0 && exponent < source.Length && char.IsAsciiDigit(source[exponent]))
        {
            isFloat = true;
            at = exponent;
            Digits();
        }
        if (at < source.Length && (char.IsLetterOrDigit(source[at]) || source[at] == '_')) throw Fail("a number is followed by a letter");
        return new(isFloat ? Lexical.Float : Lexical.Integer, source[start..at].Replace("_", "", StringComparison.Ordinal), line);

        // A single underscore may separate two digits.
        void Digits()
        {
            while (at < source.Length && (char.IsAsciiDigit(source[at])
                || (source[at] == '_' && at + 1 < source.Length && char.IsAsciiDigit(source[at + 1])))) at++;
        }
    }

    private Lexeme ReadRadix(char letter)
    {
        var (radix, value) = (letter switch { 'x' => 16, 'o' => 8, _ => 2 }, 0L);
        var start = at += 2;
        for (; at < source.Length && (char.IsAsciiHexDigit(source[at]) || source[at] == '_'); at++)
        {
            if (source[at] == '_') continue;
            var digit = Convert.ToInt32(source[at].ToString(), 16);
            if (digit >= radix) break;
            if (value > (long.MaxValue - digit) / radix) throw Fail("a number is too large");
            value = value * radix + digit;
        }
        if (at == start || (at < source.Length
            && char.IsLetterOrDigit(source[at]))) throw Fail($"a number that begins with 0{letter} has a wrong digit");
        return new(Lexical.Integer, value.ToString(CultureInfo.InvariantCulture), line);
    }

    // Escapes are Python's. One that Python does not know is kept literally.
    private string ReadString(char quote)
    {
        var value = new StringBuilder();
        for (var i = at + 1; i < source.Length; i++)
        {
            if (source[i] == quote)
            {
                Advance(i + 1);
                return value.ToString();
            }
            if (source[i] != '\\' || i + 1 >= source.Length)
            {
                value.Append(source[i]);
                continue;
            }
            var escape = source[++i];
            var digits = escape switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
            if (digits > 0)
            {
                value.Append(CodePoint(i + 1, digits));
                i += digits;
                continue;
            }
            switch (escape)
            {
                case 'n': value.Append('\n'); break;
                case 't': value.Append('\t'); break;
                case 'r': value.Append('\r'); break;
                case 'a': value.Append('\a'); break;
                case 'b': value.Append('\b'); break;
                case 'f': value.Append('\f'); break;
                case 'v': value.Append('\v'); break;
                case '\n': break;
                case '\\' or '\'' or '"': value.Append(escape); break;
                case >= '0' and <= '7':
                    var octal = 0;
                    var stop = Math.Min(i + 3, source.Length);
                    for (; i < stop && source[i] is >= '0' and <= '7'; i++) octal = octal * 8 + source[i] - '0';
                    i--;
                    value.Append((char)octal);
                    break;
                case 'N': throw Fail($"the escape \\{escape} in a string is not supported");
                default: value.Append('\\').Append(escape); break;
            }
        }
        throw Fail("a string is not closed");
    }

    private string CodePoint(int from, int digits)
    {
        if (from + digits <= source.Length &&
            int.TryParse(source.AsSpan(from, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
        {
            // Half of a surrogate pair: the other half is the next escape.
            if (code is >= 0xD800 and <= 0xDFFF) return ((char)code).ToString();
            if (Rune.IsValid(code)) return new Rune(code).ToString();
        }
        throw Fail("an escape in a string is not a code point");
    }

    private InputException Fail(string what) => new Site(file, line).Fail(what);
}
