using System.Runtime.CompilerServices;

namespace AnchorScope.Prompts.Jinja;

/// <summary>The variables of a block. Names that are not found here are looked up in the enclosing block.</summary>
internal sealed class Scope(Scope? outer)
{
    private readonly Dictionary<string, object?> variables = new(StringComparer.Ordinal);

    public object? Get(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
            if (scope.variables.TryGetValue(name, out var value)) return value;
        return new Undefined(name);
    }

    public void Set(string name, object? value) => variables[name] = value;

    private Scope? Outer => outer;
}

/// <summary>Evaluates expressions.</summary>
internal sealed class Evaluator(Budget budget)
{
    public object? Evaluate(Expression expression, Scope scope)
    {
        budget.SpendNode(expression.Site);
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw expression.Site.Fail("the expression is nested too deeply");
        var site = expression.Site;
        switch (expression)
        {
            case Literal literal:
                return literal.Value;
            case Variable variable:
                return scope.Get(variable.Name);
            case ListLiteral list:
                var values = list.Items.Select(item => Evaluate(item, scope));
                return list.IsTuple ? new PythonTuple(values) : values.ToList();
            case DictionaryLiteral dictionary:
                return Dictionary(dictionary, scope);
            case Member member:
                var owner = Evaluate(member.Target, scope);
                // With a dot Python finds a method before an item of the same name.
                if (Methods.IsMethod(owner,
                    member.Name)) throw site.Fail($"the method '{member.Name}' as a value is not supported; " +
                        $"an item of this name is ['{member.Name}']");
                return Operators.Index(site, owner, new SourcedText(member.Name));
            case Subscript subscript:
                return Subscripted(subscript, scope);
            case Slice slice:
                var sliced = Evaluate(slice.Target, scope);
                budget.SpendOn(site, sliced);
                return Operators.Slice(site, sliced, Optional(slice.From), Optional(slice.To), Optional(slice.Step));
            case Call call:
                return Called(call, scope);
            case Filtered filtered:
                return Filters.Apply(Evaluate(filtered.Target, scope), Arguments(site, filtered.Name, filtered.Arguments, scope));
            case Tested tested:
                var tests = Arguments(site, tested.Name, tested.Arguments, scope);
                return TemplateTests.Passes(Evaluate(tested.Target, scope), tests) != tested.Negated;
            case Unary { Operator: "not" } unary:
                return !IsTrue(unary.Operand, scope);
            case Unary unary:
                var operand = Evaluate(unary.Operand, scope);
                return unary.Operator == "-" ? Operators.Negate(site, operand) : Operators.Apply(site, "+", 0L, operand, budget);
            case Binary { Operator: "and" or "or" } binary:
                var left = Evaluate(binary.Left, scope);
                return Values.IsTrue(left) == (binary.Operator == "and") ? Evaluate(binary.Right, scope) : left;
            case Binary binary:
                return Operators.Apply(site, binary.Operator, Evaluate(binary.Left, scope), Evaluate(binary.Right, scope), budget);
            case Comparison comparison:
                return Holds(comparison, scope);
            case Conditional conditional:
                return IsTrue(conditional.Condition, scope)
                    ? Evaluate(conditional.Then, scope)
                    : Optional(conditional.Otherwise, new Undefined("the else of an if without else"));
            default:
                throw site.Fail("this expression is not supported");
        }

        object? Optional(Expression? part, object? otherwise = null) => part is null ? otherwise : Evaluate(part, scope);
    }

    /// <summary>Applies filters to a value, the first one first.</summary>
    public object? Filter(object? value, IReadOnlyList<NamedFilter> filters, Scope scope) =>
        filters.Aggregate(value, (current, filter) => Filters.Apply(current, Arguments(filter.Site, filter.Name, filter.Arguments, scope)));

    /// <summary>Evaluates a call with one more named argument.</summary>
    public object? CallWith(Call call, string name, object? value, Scope scope)
    {
        var callee = Evaluate(call.Callee, scope) as Callable ?? throw call.Site.Fail("a call block calls macros only");
        var arguments = Arguments(call.Site, callee.Name, call.Arguments, scope);
        return callee.Invoke(arguments with { Named = new Dictionary<string,
            object?>(arguments.Named, StringComparer.Ordinal) { [name] = value } });
    }

    public bool IsTrue(Expression expression, Scope scope) => Values.IsTrue(Evaluate(expression, scope));

    private Mapping Dictionary(DictionaryLiteral literal, Scope scope)
    {
        var mapping = new Mapping();
        foreach (var (key, value) in literal.Entries)
        {
            if (Evaluate(key, scope) is not SourcedText name) throw key.Site.Fail("only strings are supported as keys of a dictionary");
            mapping[name.Text] = Evaluate(value, scope);
        }
        return mapping;
    }

    private object? Subscripted(Subscript subscript, Scope scope)
    {
        var target = Evaluate(subscript.Target, scope);
        if (target is SourcedText) budget.SpendOn(subscript.Site, target);
        return Operators.Index(subscript.Site, target, Evaluate(subscript.Index, scope));
    }

    private bool Holds(Comparison comparison, Scope scope)
    {
        var left = Evaluate(comparison.First, scope);
        foreach (var (operation, operand) in comparison.Rest)
        {
            var (site, right) = (comparison.Site, Evaluate(operand, scope));
            budget.SpendOn(site, right);
            var holds = operation switch
            {
                "==" => Values.AreEqual(site, left, right),
                "!=" => !Values.AreEqual(site, left, right),
                "in" => Values.Contains(site, right, left),
                "not in" => !Values.Contains(site, right, left),
                "<" => Values.Compare(site, left, right) < 0,
                "<=" => Values.Compare(site, left, right) <= 0,
                ">" => Values.Compare(site, left, right) > 0,
                _ => Values.Compare(site, left, right) >= 0,
            };
            if (!holds) return false;
            left = right;
        }
        return true;
    }

    private object? Called(Call call, Scope scope)
    {
        object? callee;
        if (call.Callee is Member member)
        {
            var target = Evaluate(member.Target, scope);
            var found = target is Mapping or Namespace ? Operators.Index(member.Site, target, new SourcedText(member.Name)) : null;
            if (found is not Callable)
            {
                budget.SpendOn(call.Site, target);
                return Methods.Call(target, Arguments(call.Site, member.Name, call.Arguments, scope));
            }
            callee = found;
        }
        else
            callee = Evaluate(call.Callee, scope);
        if (callee is Loop { Recurse: { } recurse }) return recurse(Arguments(call.Site, "loop", call.Arguments,
            scope).Only("iterable").Get(0, "iterable"));
        return callee is Callable callable
            ? callable.Invoke(Arguments(call.Site, callable.Name, call.Arguments, scope))
            : throw call.Site.Fail($"{Values.Describe(callee)} cannot be called");
    }

    private Arguments Arguments(Site site, string name, ArgumentList list, Scope scope)
    {
        var named = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var (key, value) in list.Named)
            if (!named.TryAdd(key, Evaluate(value, scope))) throw site.Fail($"{name}: the argument '{key}' is given twice");
        return new(site, name, [.. list.Positional.Select(argument => Evaluate(argument, scope))], named, budget);
    }
}
