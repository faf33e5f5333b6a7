using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// A bracket expression of Oniguruma's Ruby syntax: characters, ranges, escapes, POSIX brackets, nested brackets (which are united), and
/// <c>&amp;&amp;</c>, which has the lowest precedence and intersects.
/// </summary>
internal sealed class OnigurumaBrackets(OnigurumaReader reader, bool ignoresCase)
{
    private const int DeepestNesting = 50;

    // Characters and ranges that are given explicitly.
    private readonly List<CodePointSet> named = [];

    /// <summary>Reads the set, including the closing bracket. The opening bracket has been read.</summary>
    public CodePointSet Read()
    {
        var (set, negated) = Read(0);
        // Case is ignored for the whole bracket, before its negation.
        if (ignoresCase)
        {
            if (named.Any(CaseFolding.HasLongFolding))
                throw new FormatException("brackets without regard to case with a character that stands for several");
            set = CaseFolding.Closure(set);
        }
        return negated ? set.Not() : set;
    }

    private (CodePointSet Set, bool Negated) Read(int depth)
    {
        if (depth > DeepestNesting) throw new FormatException($"brackets are nested more than {DeepestNesting} deep");
        var negated = reader.Skip("^");
        CodePointSet? intersection = null;
        var members = CodePointSet.Empty;
        var any = false;
        // A closing bracket in the first position is a character.
        if (reader.Peek() == ']')
        {
            if (!reader.Is("]") || reader.AtEnd) throw new FormatException("a [ is not closed");
            reader.Next();
            members = One(']');
            any = true;
        }
        while (!reader.Skip("]"))
        {
            if (reader.AtEnd) throw new FormatException("a [ is not closed");
            if (reader.Skip("&&"))
            {
                intersection = (intersection ?? CodePointSet.All).And(members);
                members = CodePointSet.Empty;
                any = true;
                continue;
            }
            members = members.Or(Member(depth));
            any = true;
        }
        if (!any) throw new FormatException("empty brackets, []");
        var set = intersection is null ? members : intersection.And(members);
        return (set, negated);
    }

    /// <summary>
    /// The set that an escape names, after the backslash; null, with nothing read, if it is a character or something else.
    /// </summary>
    public static CodePointSet? SetOfEscape(OnigurumaReader reader, bool outsideBrackets)
    {
        var word = outsideBrackets ? UnicodeSets.LooseWord : UnicodeSets.Word;
        CodePointSet? set = reader.Peek() switch
        {
            'w' => word,
            'W' => word.Not(),
            'd' => UnicodeSets.Digit,
            'D' => UnicodeSets.Digit.Not(),
            's' => UnicodeSets.Space,
            'S' => UnicodeSets.Space.Not(),
            'h' => UnicodeSets.HexDigit,
            'H' => UnicodeSets.HexDigit.Not(),
            _ => null,
        };
        if (set is not null)
        {
            reader.Next();
            return set;
        }
        if (!reader.Is("p{") && !reader.Is("P{")) return null;
        var negated = reader.Next() == 'P';
        reader.Next();
        if (reader.Skip("^")) negated = !negated;
        var name = reader.Until('}');
        // As a property, other than in a POSIX bracket, punct excludes symbols, and word is \w.
        set = name.ToLowerInvariant() switch { "punct" => UnicodeSets.Find("p"), "word" => word, _ =>
            UnicodeSets.Find(name) } ?? throw new FormatException($"the property {name}");
        return negated ? set.Not() : set;
    }

    /// <summary>The character that an escape represents, after the backslash.</summary>
    public static int Character(OnigurumaReader reader)
    {
        var letter = reader.Next();
        switch (letter)
        {
            case 't': return '\t';
            case 'n': return '\n';
            case 'r': return '\r';
            case 'f': return '\f';
            case 'v': return '\v';
            case 'a': return '\a';
            case 'e': return 0x1B;
            case 'x': return reader.Skip("{") ? Hexadecimal(reader.Until('}')) : Hexadecimal(Digits(reader, 2));
            case 'u': return Hexadecimal(Exactly(reader, 4));
            case 'c':
                var control = reader.Next();
                return control < 0x80 && control != '\\' ? control & 0x1F : throw new FormatException("\\c");
            case 'o' when reader.Skip("{"): return Octal(reader.Until('}'));
            case >= '0' and <= '7':
                reader.At--;
                return Octal(Digits(reader, 3));
            case 'C' or 'M' or 'k' or 'g':
                throw new FormatException($"\\{(char)letter}");
            default:
                return letter;
        }
    }

    private CodePointSet Member(int depth)
    {
        if (reader.Skip("[:")) return Posix();
        if (reader.Skip("["))
        {
            var (inner, negated) = Read(depth + 1);
            return negated ? inner.Not() : inner;
        }
        if (reader.Peek() == '\\')
        {
            reader.Next();
            if (reader.AtEnd) throw new FormatException("it ends with \\");
            if (SetOfEscape(reader, outsideBrackets: false) is { } set)
            {
                if (reader.Is("-") && !reader.Is("-]")
                    && !reader.Is("-&&")) throw new FormatException("a range in brackets that begins with a set");
                return set;
            }
            return Range(Escaped());
        }
        return Range(reader.Next());
    }

    private CodePointSet Range(int first)
    {
        if (!reader.Is("-") || reader.Is("-]") || reader.Is("-[") || reader.Is("-&&")) return One(first);
        reader.Next();
        if (reader.AtEnd) throw new FormatException("a [ is not closed");
        int last;
        if (reader.Peek() == '\\')
        {
            reader.Next();
            if (SetOfEscape(reader,
                outsideBrackets: false) is not null) throw new FormatException("a range in brackets that ends with a set");
            last = Escaped();
        }
        else
            last = reader.Next();
        if (last < first) throw new FormatException("a range in brackets whose ends are in the wrong order");
        return Written(CodePointSet.Range(first, last));
    }

    private CodePointSet One(int code) => Written(CodePointSet.Of(code));

    private CodePointSet Written(CodePointSet set)
    {
        named.Add(set);
        return set;
    }

    private int Escaped()
    {
        if (reader.Peek() is 'R' or 'X' or 'N' or 'O' or 'K' or 'A' or 'z' or 'Z' or 'B' or 'G' or 'y' or 'Y')
            throw new FormatException($"\\{(char)reader.Peek()} in brackets");
        if (!reader.Is("b")) return Character(reader);
        reader.Next();
        return '\b';
    }

    private CodePointSet Posix()
    {
        var negated = reader.Skip("^");
        var name = reader.Until(':');
        if (!UnicodeSets.IsPosix(name) || !reader.Skip("]")) throw new FormatException($"the bracket [:{name}:]");
        var set = UnicodeSets.Find(name)!;
        return negated ? set.Not() : set;
    }

    private static string Digits(OnigurumaReader reader, int most)
    {
        var digits = new StringBuilder();
        while (digits.Length < most && reader.Peek() is var next and >= 0 and < 0x80 && char.IsAsciiHexDigit((char)next)
            && (most == 2 || next is >= '0' and <= '7'))
            digits.Append((char)reader.Next());
        return digits.ToString();
    }

    private static string Exactly(OnigurumaReader reader, int count)
    {
        var digits = new StringBuilder();
        while (digits.Length < count) digits.Append(new Rune(reader.Next()));
        return digits.ToString();
    }

    private static int Hexadecimal(string digits) =>
        Valid(int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) ? code : -1, digits);

    private static int Octal(string digits)
    {
        if (digits.Length is 0 or > 7 || digits.Any(digit => digit is < '0' or > '7')) return Valid(-1, digits);
        return Valid(digits.Aggregate(0, (code, digit) => code * 8 + digit - '0'), digits);
    }

    private static int Valid(int code, string digits) => Rune.IsValid(code) ? code
        : throw new FormatException($"an escape with {digits}, which is no code point");
}
