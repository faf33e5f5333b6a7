using System.Runtime.CompilerServices;

namespace AnchorScope.Prompts.Jinja;

/// <summary>Parses a whole template: text, output and the statements of the supported subset.</summary>
internal sealed class TemplateParser
{
    private const string Supported = "for, if, set, macro, call, filter, with, raw, generation, break, continue";

    private readonly ExpressionParser tokens;
    private int loops;

    private TemplateParser(string file, string source) => tokens = new(file, Lexer.Read(file, source));

    /// <exception cref="InputException">A construct outside the supported subset, with its line.</exception>
    public static IReadOnlyList<Statement> Parse(string file, string source)
    {
        var parser = new TemplateParser(file, source);
        var (body, _) = parser.Body([]);
        return body;
    }

    // Statements up to a tag with one of these names, including the name; up to the end of the template if there are none.
    private (List<Statement> Body, string End) Body(string[] ends)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw tokens.Here.Fail("blocks are nested too deeply");
        var opened = tokens.Here;
        var body = new List<Statement>();
        while (true)
        {
            var site = tokens.Here;
            switch (tokens.Current.Kind)
            {
                case Lexical.Text:
                    body.Add(new TextOutput(site, new(tokens.Next().Text)));
                    break;
                case Lexical.OpenOutput:
                    tokens.Next();
                    body.Add(new Output(site, tokens.ParseList()));
                    tokens.Expect(Lexical.CloseOutput, "'}}'");
                    break;
                case Lexical.OpenTag:
                    tokens.Next();
                    var name = tokens.ExpectName();
                    if (ends.Contains(name)) return (body, name);
                    body.Add(Statement(site, name));
                    break;
                default:
                    if (ends.Length == 0) return (body, "");
                    throw opened.Fail($"the block that starts here has no {string.Join(" or ", ends)}");
            }
        }
    }

    private Statement Statement(Site site, string name)
    {
        switch (name)
        {
            case "for": return ParseFor(site);
            case "if": return ParseIf(site);
            case "set": return ParseSet(site);
            case "macro": return ParseMacro(site, tokens.ExpectName());
            case "call": return ParseCall(site);
            case "with": return ParseWith(site);
            case "filter":
                var filters = new List<NamedFilter> { tokens.ParseFilter() };
                while (tokens.SkipOperator("|")) filters.Add(tokens.ParseFilter());
                CloseTag();
                return new FilterBlock(site, ClosedBody("endfilter"), filters);
            case "generation":
                CloseTag();
                return new Transparent(site, ClosedBody("endgeneration"));
            case "break" or "continue" when loops > 0:
                CloseTag();
                return name == "break" ? new Break(site) : new Continue(site);
            default: throw site.Fail($"the tag '{name}' is not expected here or not supported; supported are {Supported}");
        }
    }

    private void CloseTag() => tokens.Expect(Lexical.CloseTag, "'%}'");

    private List<Statement> ClosedBody(string end)
    {
        var (body, _) = Body([end]);
        CloseTag();
        return body;
    }

    private For ParseFor(Site site)
    {
        var target = ParseTarget(ParseOneTarget());
        if (!tokens.SkipName("in")) throw tokens.Unexpected("'in'");
        var items = tokens.ParseList(withConditional: false);
        var filter = tokens.SkipName("if") ? tokens.Parse() : null;
        var recursive = tokens.SkipName("recursive");
        CloseTag();
        loops++;
        var (body, end) = Body(["else", "endfor"]);
        loops--;
        CloseTag();
        return new(site, target, items, filter, body, end == "else" ? ClosedBody("endfor") : [], recursive);
    }

    private If ParseIf(Site site)
    {
        var branches = new List<(Expression, IReadOnlyList<Statement>)>();
        while (true)
        {
            var condition = tokens.ParseList();
            CloseTag();
            var (body, end) = Body(["elif", "else", "endif"]);
            branches.Add((condition, body));
            if (end == "elif") continue;
            CloseTag();
            return new(site, branches, end == "else" ? ClosedBody("endif") : []);
        }
    }

    private Target ParseOneTarget()
    {
        if (!tokens.SkipOperator("(")) return new(tokens.ExpectName(), []);
        var inner = ParseTarget(ParseOneTarget());
        tokens.ExpectOperator(")");
        return inner;
    }

    /// <summary>Parses further targets after commas. The first target has been read.</summary>
    private Target ParseTarget(Target first)
    {
        if (!tokens.IsOperator(",")) return first;
        var parts = new List<Target> { first };
        while (tokens.SkipOperator(","))
        {
            if (tokens.IsName("in") || tokens.IsOperator("=") || tokens.IsOperator(")")) break;
            parts.Add(ParseOneTarget());
        }
        return new(null, parts);
    }

    private With ParseWith(Site site)
    {
        var values = new List<(Target, Expression)>();
        while (tokens.Current.Kind != Lexical.CloseTag)
        {
            if (values.Count > 0) tokens.ExpectOperator(",");
            var target = ParseOneTarget();
            tokens.ExpectOperator("=");
            values.Add((target, tokens.Parse()));
        }
        CloseTag();
        return new(site, values, ClosedBody("endwith"));
    }

    private CallBlock ParseCall(Site site)
    {
        var parameters = tokens.SkipOperator("(") ? ParseParameters() : [];
        var call = tokens.Parse() as Call ?? throw tokens.Here.Fail("a call block needs a call");
        CloseTag();
        return new(site, new Macro(site, "caller", parameters, ClosedBody("endcall"), []), call);
    }

    private Statement ParseSet(Site site)
    {
        if (tokens.IsOperator("(")) return Assigned(ParseOneTarget());
        var name = tokens.ExpectName();
        if (tokens.SkipOperator("."))
        {
            var member = tokens.ExpectName();
            tokens.ExpectOperator("=");
            var value = tokens.ParseList();
            CloseTag();
            return new SetMember(site, name, member, value);
        }
        if (tokens.Current.Kind == Lexical.CloseTag || tokens.IsOperator("|"))
        {
            var filters = new List<NamedFilter>();
            while (tokens.SkipOperator("|")) filters.Add(tokens.ParseFilter());
            CloseTag();
            return new SetBlock(site, name, ClosedBody("endset"), filters);
        }
        return Assigned(new(name, []));

        Set Assigned(Target first)
        {
            var target = ParseTarget(first);
            tokens.ExpectOperator("=");
            var value = tokens.ParseList();
            CloseTag();
            return new(site, target, value);
        }
    }

    /// <summary>Parses parameters. The opening parenthesis has been read.</summary>
    private List<(string Name, Expression? Default)> ParseParameters()
    {
        var parameters = new List<(string, Expression?)>();
        while (!tokens.SkipOperator(")"))
        {
            if (parameters.Count > 0) tokens.ExpectOperator(",");
            parameters.Add((tokens.ExpectName(), tokens.SkipOperator("=") ? tokens.Parse() : null));
        }
        return parameters;
    }

    private Macro ParseMacro(Site site, string name)
    {
        tokens.ExpectOperator("(");
        var parameters = ParseParameters();
        CloseTag();
        var (outer, from) = (loops, tokens.At);
        loops = 0;
        var body = ClosedBody("endmacro");
        loops = outer;
        return new(site, name, parameters, body, [.. new[] { "varargs", "kwargs", "caller" }.Where(word => tokens.Mentions(from, word))]);
    }
}
