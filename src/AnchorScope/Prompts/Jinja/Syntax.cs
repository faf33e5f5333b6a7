namespace AnchorScope.Prompts.Jinja;

/// <summary>An expression of the template language.</summary>
internal abstract record Expression(Site Site);

internal sealed record Literal(Site Site, object? Value) : Expression(Site);

internal sealed record Variable(Site Site, string Name) : Expression(Site);

/// <summary><c>[a, b]</c>, or <c>(a, b)</c> for a tuple.</summary>
internal sealed record ListLiteral(Site Site, IReadOnlyList<Expression> Items, bool IsTuple) : Expression(Site);

internal sealed record DictionaryLiteral(Site Site, IReadOnlyList<(Expression Key, Expression Value)> Entries) : Expression(Site);

/// <summary><c>target.name</c></summary>
internal sealed record Member(Site Site, Expression Target, string Name) : Expression(Site);

/// <summary><c>target[index]</c></summary>
internal sealed record Subscript(Site Site, Expression Target, Expression Index) : Expression(Site);

/// <summary><c>target[from:to:step]</c></summary>
internal sealed record Slice(Site Site, Expression Target, Expression? From, Expression? To, Expression? Step) : Expression(Site);

internal sealed record ArgumentList(IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Named)
{
    public static ArgumentList None { get; } = new([], []);
}

/// <summary><c>callee(arguments)</c>; a method call if the callee is a <see cref="Member"/>.</summary>
internal sealed record Call(Site Site, Expression Callee, ArgumentList Arguments) : Expression(Site);

/// <summary><c>target | name(arguments)</c></summary>
internal sealed record Filtered(Site Site, Expression Target, string Name, ArgumentList Arguments) : Expression(Site);

/// <summary><c>target is name(arguments)</c></summary>
internal sealed record Tested(Site Site, Expression Target, string Name, ArgumentList Arguments, bool Negated) : Expression(Site);

internal sealed record Unary(Site Site, string Operator, Expression Operand) : Expression(Site);

internal sealed record Binary(Site Site, string Operator, Expression Left, Expression Right) : Expression(Site);

/// <summary><c>a &lt; b &lt;= c</c>: every comparison of two neighbours must hold.</summary>
internal sealed record Comparison(Site Site, Expression First, IReadOnlyList<(string Operator, Expression Operand)> Rest)
    : Expression(Site);

/// <summary><c>then if condition else otherwise</c></summary>
internal sealed record Conditional(Site Site, Expression Condition, Expression Then, Expression? Otherwise) : Expression(Site);

/// <summary>A statement of the template language.</summary>
internal abstract record Statement(Site Site);

internal sealed record TextOutput(Site Site, SourcedText Text) : Statement(Site);

internal sealed record Output(Site Site, Expression Value) : Statement(Site);

internal sealed record If(Site Site, IReadOnlyList<(Expression Condition, IReadOnlyList<Statement> Body)> Branches,
    IReadOnlyList<Statement> Otherwise) : Statement(Site);

internal sealed record For(Site Site, Target Target, Expression Items, Expression? Filter,
    IReadOnlyList<Statement> Body, IReadOnlyList<Statement> Otherwise, bool IsRecursive) : Statement(Site);

/// <summary>The target of an assignment: a name, or several in parentheses or separated by commas.</summary>
internal sealed record Target(string? Name, IReadOnlyList<Target> Parts);

/// <summary><c>set name = value</c> or <c>set name, name = value</c></summary>
internal sealed record Set(Site Site, Target Target, Expression Value) : Statement(Site);

/// <summary><c>set name.member = value</c> of a namespace.</summary>
internal sealed record SetMember(Site Site, string Name, string Member, Expression Value) : Statement(Site);

/// <summary><c>set name | filter</c> ... <c>endset</c></summary>
internal sealed record SetBlock(Site Site, string Name, IReadOnlyList<Statement> Body, IReadOnlyList<NamedFilter> Filters)
    : Statement(Site);

/// <summary>A filter without its operand.</summary>
internal sealed record NamedFilter(Site Site, string Name, ArgumentList Arguments);

/// <summary><c>filter name | name</c> ... <c>endfilter</c></summary>
internal sealed record FilterBlock(Site Site, IReadOnlyList<Statement> Body, IReadOnlyList<NamedFilter> Filters) : Statement(Site);

/// <summary><c>with name = value, ...</c> ... <c>endwith</c></summary>
internal sealed record With(Site Site, IReadOnlyList<(Target Target, Expression Value)> Values, IReadOnlyList<Statement> Body)
    : Statement(Site);

/// <summary><c>call(parameters) callee(arguments)</c> ... <c>endcall</c>: the macro can call the body by the name "caller".</summary>
internal sealed record CallBlock(Site Site, Macro Body, Call Call) : Statement(Site);

/// <param name="TakesMore">Which of "varargs", "kwargs" and "caller" the body uses. Only these may be passed.</param>
internal sealed record Macro(Site Site, string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters,
    IReadOnlyList<Statement> Body, IReadOnlyList<string> TakesMore) : Statement(Site);

/// <summary>A block without effect on its body, such as <c>generation</c>.</summary>
internal sealed record Transparent(Site Site, IReadOnlyList<Statement> Body) : Statement(Site);

internal sealed record Break(Site Site) : Statement(Site);

internal sealed record Continue(Site Site) : Statement(Site);
