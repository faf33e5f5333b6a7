using System.Globalization;
using System.Runtime.CompilerServices;

namespace AnchorScope.Prompts.Jinja;

/// <summary>Parses expressions by recursive descent, one method per level of precedence, the loosest first.</summary>
internal sealed class ExpressionParser(string file, IReadOnlyList<Lexeme> lexemes)
{
    private int at;

    public Lexeme Current => lexemes[at];

    /// <summary>Number of lexemes that were read.</summary>
    public int At => at;

    /// <summary>Whether a name was read since lexeme <paramref name="from"/>.</summary>
    public bool Mentions(int from, string name) =>
        lexemes.Skip(from).Take(at - from).Any(lexeme => lexeme.Kind == Lexical.Name && lexeme.Text == name);

    public Site Here => new(file, Current.Line);

    public Lexeme Next() => lexemes[Current.Kind == Lexical.End ? at : at++];

    public bool IsOperator(string text) => Current is { Kind: Lexical.Operator } && Current.Text == text;

    public bool IsName(string text) => Current is { Kind: Lexical.Name } && Current.Text == text;

    public bool SkipOperator(string text)
    {
        if (!IsOperator(text)) return false;
        at++;
        return true;
    }

    public bool SkipName(string text)
    {
        if (!IsName(text)) return false;
        at++;
        return true;
    }

    public void Expect(Lexical kind, string what)
    {
        if (Current.Kind != kind) throw Unexpected(what);
        Next();
    }

    public void ExpectOperator(string text)
    {
        if (!SkipOperator(text)) throw Unexpected($"'{text}'");
    }

    public string ExpectName()
    {
        if (Current.Kind != Lexical.Name) throw Unexpected("a name");
        return Next().Text;
    }

    public InputException Unexpected(string expected)
    {
        var found = Current.Kind switch
        {
            Lexical.CloseOutput or Lexical.CloseTag => "the end of the tag",
            Lexical.End => "the end of the template",
            _ => $"'{Current.Text}'",
        };
        return Here.Fail($"expected {expected}, found {found}");
    }

    /// <summary>A filter by name, with or without arguments.</summary>
    public NamedFilter ParseFilter() => new(Here, ExpectName(), SkipOperator("(") ? ParseArguments() : ArgumentList.None);

    /// <summary>An expression, or several separated by commas, which are a tuple.</summary>
    public Expression ParseList(bool withConditional = true)
    {
        var site = Here;
        var first = withConditional ? Parse() : ParseOr();
        if (!IsOperator(",")) return first;
        var items = new List<Expression> { first };
        while (SkipOperator(","))
        {
            if (Current.Kind is Lexical.CloseTag or Lexical.CloseOutput || IsOperator(")")) break;
            items.Add(withConditional ? Parse() : ParseOr());
        }
        return new ListLiteral(site, items, IsTuple: true);
    }

    public Expression Parse()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw Here.Fail("the expression is nested too deeply");
        var value = ParseOr();
        while (IsName("if"))
        {
            var site = Here;
            Next();
            var condition = ParseOr();
            value = new Conditional(site, condition, value, SkipName("else") ? Parse() : null);
        }
        return value;
    }

    private Expression ParseOr() => LeftToRight(ParseAnd, parser => parser.IsName("or"));

    private Expression ParseAnd() => LeftToRight(ParseNot, parser => parser.IsName("and"));

    private Expression ParseNot()
    {
        if (!IsName("not")) return ParseComparison();
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw Here.Fail("the expression is nested too deeply");
        var site = Here;
        Next();
        return new Unary(site, "not", ParseNot());
    }

    private Expression ParseComparison()
    {
        var site = Here;
        var first = ParseSum();
        var rest = new List<(string, Expression)>();
        while (ComparisonOperator() is { } text) rest.Add((text, ParseSum()));
        return rest.Count == 0 ? first : new Comparison(site, first, rest);
    }

    private string? ComparisonOperator()
    {
        if (Current is { Kind: Lexical.Operator, Text: "==" or "!=" or "<" or "<=" or ">" or ">=" }) return Next().Text;
        if (SkipName("in")) return "in";
        if (!IsName("not") || lexemes[at + 1] is not { Kind: Lexical.Name, Text: "in" }) return null;
        at += 2;
        return "not in";
    }

    private Expression ParseSum() => LeftToRight(ParseConcatenation, parser => parser.IsOperator("+") || parser.IsOperator("-"));

    private Expression ParseConcatenation() => LeftToRight(ParseProduct, parser => parser.IsOperator("~"));

    private Expression ParseProduct() =>
        LeftToRight(ParsePower, parser => parser.Current is { Kind: Lexical.Operator, Text: "*" or "/" or "//" or "%" });

    // As in Jinja: left-associative, with lower precedence than a sign.
    private Expression ParsePower() => LeftToRight(() => ParseUnary(), parser => parser.IsOperator("**"));

    private Expression LeftToRight(Func<Expression> operand, Func<ExpressionParser, bool> isOperator)
    {
        var left = operand();
        while (isOperator(this))
        {
            var site = Here;
            left = new Binary(site, Next().Text, left, operand());
        }
        return left;
    }

    private Expression ParseUnary(bool withFilters = true)
    {
        var site = Here;
        Expression value;
        if (Current is { Kind: Lexical.Operator, Text: "-" or "+" })
        {
            if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw Here.Fail("the expression is nested too deeply");
            value = new Unary(site, Next().Text, ParseUnary(withFilters: false));
        }
        else
            value = ParsePrimary();
        value = ParsePostfix(value);
        return withFilters ? ParseFilters(value) : value;
    }

    private Expression ParsePrimary()
    {
        var site = Here;
        if (Current.Kind == Lexical.Operator)
        {
            if (SkipOperator("(")) return ParseParentheses(site);
            if (SkipOperator("[")) return new ListLiteral(site, ParseItems("]"), IsTuple: false);
            if (SkipOperator("{")) return ParseDictionary(site);
            throw Unexpected("an expression");
        }
        var lexeme = Current;
        switch (lexeme.Kind)
        {
            case Lexical.Name:
                Next();
                if (lexeme.Text == "self") throw site.Fail("'self' is not supported");
                return lexeme.Text switch
                {
                    "true" or "True" => new Literal(site, true),
                    "false" or "False" => new Literal(site, false),
                    "none" or "None" => new Literal(site, null),
                    _ => new Variable(site, lexeme.Text),
                };
            case Lexical.String:
                var text = "";
                while (Current.Kind == Lexical.String) text += Next().Text; // adjacent strings are concatenated
                return new Literal(site, new SourcedText(text));
            case Lexical.Integer:
                Next();
                return long.TryParse(lexeme.Text, CultureInfo.InvariantCulture, out var integer)
                    ? new Literal(site, integer)
                    : throw site.Fail($"the number {lexeme.Text} is too large");
            case Lexical.Float:
                Next();
                return new Literal(site, double.Parse(lexeme.Text, CultureInfo.InvariantCulture));
            default:
                throw Unexpected("an expression");
        }
    }

    private Expression ParseParentheses(Site site)
    {
        if (SkipOperator(")")) return new ListLiteral(site, [], IsTuple: true);
        var value = ParseList();
        ExpectOperator(")");
        return value;
    }

    private List<Expression> ParseItems(string close)
    {
        var items = new List<Expression>();
        while (!SkipOperator(close))
        {
            if (items.Count > 0)
            {
                ExpectOperator(",");
                if (SkipOperator(close)) break;
            }
            items.Add(Parse());
        }
        return items;
    }

    private DictionaryLiteral ParseDictionary(Site site)
    {
        var entries = new List<(Expression, Expression)>();
        while (!SkipOperator("}"))
        {
            if (entries.Count > 0)
            {
                ExpectOperator(",");
                if (SkipOperator("}")) break;
            }
            var key = Parse();
            ExpectOperator(":");
            entries.Add((key, Parse()));
        }
        return new(site, entries);
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
        {
            var site = Here;
            if (SkipOperator("."))
                value = Current.Kind == Lexical.Integer
                    ? new Subscript(site, value, ParsePrimary())
                    : new Member(site, value, ExpectName());
            else if (SkipOperator("["))
                value = ParseSubscript(site, value);
            else if (SkipOperator("("))
                value = new Call(site, value, ParseArguments());
            else
                return value;
        }
    }

    private Expression ParseSubscript(Site site, Expression target)
    {
        var from = IsOperator(":") ? null : Parse();
        if (SkipOperator("]")) return new Subscript(site, target, from!);
        ExpectOperator(":");
        var to = IsOperator(":") || IsOperator("]") ? null : Parse();
        var step = SkipOperator(":") && !IsOperator("]") ? Parse() : null;
        ExpectOperator("]");
        return new Slice(site, target, from, to, step);
    }

    private ArgumentList ParseArguments()
    {
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        while (!SkipOperator(")"))
        {
            if (positional.Count + named.Count > 0)
            {
                ExpectOperator(",");
                if (SkipOperator(")")) break;
            }
            if (Current.Kind == Lexical.Name && lexemes[at + 1] is { Kind: Lexical.Operator, Text: "=" })
            {
                var name = ExpectName();
                ExpectOperator("=");
                named.Add((name, Parse()));
            }
            else if (named.Count > 0)
                throw Unexpected("a named argument");
            else
                positional.Add(Parse());
        }
        return new(positional, named);
    }

    private Expression ParseFilters(Expression value)
    {
        while (true)
        {
            var site = Here;
            if (SkipOperator("|"))
                value = new Filtered(site, value, ExpectName(), SkipOperator("(") ? ParseArguments() : ArgumentList.None);
            else if (SkipName("is"))
                value = ParseTest(site, value);
            else if (SkipOperator("("))
                value = new Call(site, value, ParseArguments());
            else
                return value;
        }
    }

    private Tested ParseTest(Site site, Expression value)
    {
        var negated = SkipName("not");
        var name = ExpectName();
        var arguments = ArgumentList.None;
        if (SkipOperator("("))
            arguments = ParseArguments();
        else if (Current.Kind is Lexical.String or Lexical.Integer or Lexical.Float || IsOperator("[") || IsOperator("{") ||
                 (Current is { Kind: Lexical.Name, Text: not ("else" or "or" or "and" or "is" or "not" or "in") }))
            arguments = new([ParsePostfix(ParsePrimary())], []);
        return new(site, value, name, arguments, negated);
    }
}
