using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// Parses a regular expression in Oniguruma's Ruby syntax to the pieces of a .NET one: text, sets of characters, opening parentheses of
/// groups.
/// </summary>
internal sealed class OnigurumaParser(string expression)
{
    private static readonly CodePointSet LineEnd = CodePointSet.Of('\n');

    // Line feed, vertical tab, form feed, carriage return, and the three line ends of Unicode.
    private static readonly CodePointSet AnyLineEnd = CodePointSet.Range('\n', '\r').Or(CodePointSet.Of(0x85, 0x2028, 0x2029));

    private readonly OnigurumaReader reader = new(expression);
    private readonly List<object> pieces = [];
    private readonly Dictionary<string, int> names = new(StringComparer.Ordinal);
    private readonly List<(int Number, string? Name)> references = [];
    private readonly StringBuilder literals = new();
    private Options options;
    private int groups;
    private int depth;

    [Flags]
    private enum Options
    {
        None = 0,
        IgnoreCase = 1,
        DotTakesLineEnds = 2,
        Extended = 4,
    }

    public bool HasBackreferences => references.Count > 0;

    private bool IgnoresCase => options.HasFlag(Options.IgnoreCase);

    public IReadOnlyList<object> Parse()
    {
        Alternatives();
        if (!reader.AtEnd) throw new FormatException("a ) has no (");
        foreach (var (number, name) in references)
        {
            if (name is not null && !names.ContainsKey(name)) throw new FormatException($"no group is called {name}");
            if (number > groups) throw new FormatException($"there is no group {number}");
            if (name is null && names.Count > 0) throw new FormatException("a backreference by number beside named groups");
        }
        return [.. pieces.Select(piece => piece is string text && text.StartsWith(NamedReference, StringComparison.Ordinal)
            ? Invariant($"\\k<g{names[text[NamedReference.Length..]]}>") : piece)];
    }

    private const string NamedReference = "\0";

    // Parses up to the parenthesis that closes the group, or the end.
    private void Alternatives()
    {
        if (++depth > 200) throw new FormatException("its groups are nested more than 200 deep");
        var outer = options;
        var isolated = 0;
        while (!reader.AtEnd && reader.Peek() != ')')
        {
            if (reader.Skip("|"))
            {
                EndLiteral();
                pieces.Add("|");
            }
            else if (Isolated() is { } changed)
            {
                // The options apply to the end of the group, including its alternatives.
                options = changed;
                pieces.Add("(?:");
                isolated++;
            }
            else
                Quantified();
        }
        EndLiteral();
        for (; isolated > 0; isolated--) pieces.Add(")");
        options = outer;
        depth--;
    }

    /// <summary>Reads options such as (?i) without a colon; null if there are none here.</summary>
    private Options? Isolated()
    {
        if (!reader.Is("(?")) return null;
        var close = expression.AsSpan(reader.At + 2).IndexOfAnyExcept("imx-");
        if (close < 1 || expression[reader.At + 2 + close] != ')') return null;
        reader.At += 2;
        var changed = ReadOptions();
        reader.At++;
        return changed;
    }

    private Options ReadOptions()
    {
        var (changed, on) = (options, true);
        for (; reader.Peek() is 'i' or 'm' or 'x' or '-'; reader.At++)
        {
            if (reader.Peek() == '-')
            {
                on = false;
                continue;
            }
            var option = reader.Peek() switch { 'i' => Options.IgnoreCase, 'm' => Options.DotTakesLineEnds, _ => Options.Extended };
            changed = on ? changed | option : changed & ~option;
        }
        return changed;
    }

    private void Quantified()
    {
        if (options.HasFlag(Options.Extended))
        {
            if (char.IsWhiteSpace((char)reader.Peek()) && reader.Peek() < 0x80)
            {
                reader.Next();
                return;
            }
            if (reader.Peek() == '#')
            {
                while (!reader.AtEnd && reader.Next() != '\n')
                {
                }
                return;
            }
        }
        var start = pieces.Count;
        if (!Atom()) return;
        while (Quantifier() is var (suffix, possessive))
        {
            EndLiteral();
            pieces.Insert(start, possessive ? "(?>(?:" : "(?:(?:");
            pieces.Add(")" + suffix + ")");
        }
    }

    /// <summary>The quantifier after an atom, in .NET's syntax, and whether it is possessive.</summary>
    private (string Suffix, bool Possessive)? Quantifier()
    {
        if (reader.AtEnd) return null;
        if (reader.Peek() is '*' or '+' or '?')
        {
            var sign = ((char)reader.Next()).ToString();
            if (reader.Skip("?")) return (sign + "?", false);
            return (sign, reader.Skip("+"));
        }
        if (reader.Peek() != '{') return null;
        var close = expression.IndexOf('}', reader.At);
        if (close < 0) return null;
        var parts = expression[(reader.At + 1)..close].Split(',');
        if (parts.Length > 2 || parts.All(part => part.Length == 0) || parts.Any(part => !part.All(char.IsAsciiDigit))) return null;
        if (parts.Any(part =>
            part.Length > 5)) throw new FormatException($"a repetition of more than 99999 times: {expression[reader.At..(close + 1)]}");
        var least = parts[0].Length == 0 ? "0" : parts[0];
        if (parts.Length == 2 && parts[1].Length > 0
            && int.Parse(least, CultureInfo.InvariantCulture) > int.Parse(parts[1], CultureInfo.InvariantCulture))
            throw new FormatException($"the repetition {expression[reader.At..(close + 1)]}, whose bounds are in the wrong order");
        reader.At = close + 1;
        // A fixed number is always greedy; a ? after it makes it optional; a + after an interval repeats the whole.
        var lazy = parts.Length == 2 && reader.Skip("?") ? "?" : "";
        return ((parts.Length == 1 ? $"{{{least}}}" : $"{{{least},{parts[1]}}}") + lazy, false);
    }

    /// <summary>Parses one element that can be repeated; false after a comment.</summary>
    private bool Atom()
    {
        switch (reader.Peek())
        {
            case '(':
                return Group();
            case '[':
                EndLiteral();
                reader.Next();
                pieces.Add(new OnigurumaBrackets(reader, IgnoresCase).Read());
                return true;
            case '.':
                EndLiteral();
                reader.Next();
                pieces.Add(options.HasFlag(Options.DotTakesLineEnds) ? CodePointSet.All : LineEnd.Not());
                return true;
            case '^':
                EndLiteral();
                reader.Next();
                // At the beginning of every line; after a final line end there is no line.
                Add(@"(?:\A|(?<=\n)(?!\z))");
                return true;
            case '$':
                EndLiteral();
                reader.Next();
                Add(@"(?=\n|\z)");
                return true;
            case '\\':
                Escape();
                return true;
            case '*' or '+' or '?':
                throw new FormatException($"nothing stands before the {(char)reader.Peek()} that could be repeated");
            default:
                Literal(reader.Next());
                return true;
        }
    }

    private void Add(string text) => pieces.Add(text);

    private void Literal(int code)
    {
        if (!IgnoresCase)
        {
            pieces.Add(CodePointSet.Of(code));
            return;
        }
        literals.Append(new Rune(code));
        pieces.Add(CaseFolding.Closure(CodePointSet.Of(code)));
    }

    /// <summary>
    /// Throws if, ignoring case, one character can match several: "ss" would also match "ß". Such expressions are not supported.
    /// </summary>
    private void EndLiteral()
    {
        if (CaseFolding.FoldsFromOneCharacter(literals.ToString()) is { } several)
            throw new FormatException($"\"{several}\" without regard to case, for which one character may stand, too");
        literals.Clear();
    }

    private bool Group()
    {
        if (reader.Skip("(?#"))
        {
            while (reader.Next() != ')')
            {
            }
            return false;
        }
        EndLiteral();
        var outer = options;
        reader.Next();
        if (!reader.Skip("?"))
        {
            if (reader.Peek() == '*') throw new FormatException("a callout, (*...)");
            groups++;
            pieces.Add(names.Count > 0 ? "(?:" : new CapturingGroup(groups));
        }
        else if (reader.Skip(":")) Add("(?:");
        else if (reader.Skip("=")) Add("(?=");
        else if (reader.Skip("!")) Add("(?!");
        else if (reader.Skip(">")) Add("(?>");
        else if (reader.Skip("<=")) Add("(?<=");
        else if (reader.Skip("<!")) Add("(?<!");
        else if (reader.Skip("<") || reader.Skip("'"))
        {
            var close = expression[reader.At - 1] == '<' ? '>' : '\'';
            var name = reader.Until(close);
            if (!names.TryAdd(name, ++groups)) throw new FormatException($"two groups called {name}");
            pieces.Add(new CapturingGroup(groups));
        }
        else if (reader.Peek() is 'i' or 'm' or 'x' or '-')
        {
            options = ReadOptions();
            if (!reader.Skip(":")) throw new FormatException("unknown options of a group");
            Add("(?:");
        }
        else
        {
            throw new FormatException((char)reader.Peek() switch
            {
                '~' => "an absent operator, (?~...)",
                '(' => "a condition, (?(...)...)",
                '{' => "a callout, (?{...})",
                var other => $"a group that begins with (?{other}",
            });
        }
        Alternatives();
        if (!reader.Skip(")")) throw new FormatException("a ( is not closed");
        options = outer;
        Add(")");
        return true;
    }

    private void Escape()
    {
        reader.Next();
        if (reader.AtEnd) throw new FormatException("it ends with \\");
        var letter = reader.Peek();
        if (OnigurumaBrackets.SetOfEscape(reader, outsideBrackets: true) is { } set)
        {
            EndLiteral();
            pieces.Add(set);
            return;
        }
        switch (letter)
        {
            case 'A': Anchor(@"\A"); return;
            case 'z': Anchor(@"\z"); return;
            case 'Z': Anchor(@"(?=\n?\z)"); return;
            case 'b' or 'B':
                reader.Next();
                EndLiteral();
                Boundary(letter == 'b');
                return;
            case 'R':
                reader.Next();
                EndLiteral();
                Add(@"(?>\r\n|");
                pieces.Add(AnyLineEnd);
                Add(")");
                return;
            case 'N':
                reader.Next();
                EndLiteral();
                pieces.Add(LineEnd.Not());
                return;
            case 'O':
                reader.Next();
                EndLiteral();
                pieces.Add(CodePointSet.All);
                return;
            case 'X' or 'K' or 'G' or 'g' or 'y' or 'Y' or 'M' or 'C':
                throw new FormatException($"\\{(char)letter}");
            case 'k':
                reader.Next();
                Reference();
                return;
            case >= '1' and <= '9':
                if (reader.At + 1 < expression.Length && char.IsAsciiDigit(expression[reader.At + 1]))
                    goto default;
                EndLiteral();
                reader.Next();
                Refer(letter - '0', null);
                return;
            default:
                Literal(OnigurumaBrackets.Character(reader));
                return;
        }

        void Anchor(string text)
        {
            reader.Next();
            EndLiteral();
            Add(text);
        }
    }

    private void Reference()
    {
        EndLiteral();
        var close = reader.Skip("<") ? '>' : reader.Skip("'") ? '\'' : throw new FormatException("\\k without a name");
        var name = reader.Until(close);
        if (name.Length == 0 || name.Any(character => !char.IsLetterOrDigit(character)
            && character != '_')) throw new FormatException($"\\k<{name}>");
        if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) Refer(number, null);
        else Refer(0, name);
    }

    private void Refer(int number, string? name)
    {
        if (IgnoresCase) throw new FormatException("a backreference without regard to case");
        references.Add((number, name));
        Add(name is null ? Invariant($"\\k<g{number}>") : NamedReference + name);
    }

    private void Boundary(bool at)
    {
        var word = UnicodeSets.LooseWord;
        foreach (var piece in at ? (object[])["(?:(?<=", word, ")(?!", word, ")|(?<!", word, ")(?=", word, "))"]
            : ["(?:(?<=", word, ")(?=", word, ")|(?<!", word, ")(?!", word, "))"])
            pieces.Add(piece);
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
