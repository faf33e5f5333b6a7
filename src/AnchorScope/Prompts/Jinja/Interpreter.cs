using System.Runtime.CompilerServices;

namespace AnchorScope.Prompts.Jinja;

/// <summary>Runs the statements of a template.</summary>
internal sealed class Interpreter
{
    private const int LongestRange = 100_000;

    private readonly Budget budget = new();
    private readonly Evaluator evaluator;
    private int callDepth;

    private Interpreter() => evaluator = new(budget);

    private enum Flow { Next, Break, Continue }

    /// <summary>The template's output for these variables.</summary>
    /// <param name="template">The statements of the template.</param>
    /// <param name="variables">The variables available to it.</param>
    /// <param name="clock">The clock used by <c>strftime_now</c>.</param>
    public static SourcedText Run(IReadOnlyList<Statement> template, IEnumerable<KeyValuePair<string, object?>> variables,
        TimeProvider clock)
    {
        var globals = new Scope(null);
        globals.Set("raise_exception", new Callable("raise_exception", RaiseException));
        globals.Set("namespace", new Callable("namespace", NewNamespace));
        globals.Set("range", new Callable("range", Range));
        globals.Set("dict", new Callable("dict", NewMapping));
        globals.Set("strftime_now", new Callable("strftime_now", arguments =>
            new SourcedText(Dates.Format(clock.GetLocalNow().DateTime, arguments.Only("format").GetText(0, "format").Text, arguments))));
        foreach (var name in (string[])["lipsum", "cycler", "joiner"])
            globals.Set(name, new Callable(name, arguments => throw arguments.Site.Fail($"'{name}' is not supported")));
        foreach (var (name, value) in variables) globals.Set(name, value);
        var output = new SourcedText.Builder();
        new Interpreter().Run(template, new Scope(globals), output);
        return output.Build();
    }

    private Flow Run(IReadOnlyList<Statement> body, Scope scope, SourcedText.Builder output)
    {
        foreach (var statement in body)
            if (Run(statement, scope, output) is var flow and not Flow.Next) return flow;
        return Flow.Next;
    }

    private Flow Run(Statement statement, Scope scope, SourcedText.Builder output)
    {
        budget.SpendNode(statement.Site);
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw statement.Site.Fail("blocks are nested too deeply");
        switch (statement)
        {
            case TextOutput text:
                Write(text.Site, text.Text, output);
                return Flow.Next;
            case Output shown:
                Write(shown.Site, Values.ToText(shown.Site, evaluator.Evaluate(shown.Value, scope)), output);
                return Flow.Next;
            case If branches:
                foreach (var (condition, body) in branches.Branches)
                    if (evaluator.IsTrue(condition, scope)) return Run(body, scope, output);
                return Run(branches.Otherwise, scope, output);
            case For loop:
                return Run(loop, scope, output);
            case Set set:
                Assign(set.Site, set.Target, evaluator.Evaluate(set.Value, scope), scope);
                return Flow.Next;
            case SetMember set:
                if (scope.Get(set.Name) is not Namespace space)
                    throw set.Site.Fail($"members can only be set of a namespace, which '{set.Name}' is not");
                space.Members[set.Member] = evaluator.Evaluate(set.Value, scope);
                return Flow.Next;
            case SetBlock set:
                var captured = new SourcedText.Builder();
                var flow = Run(set.Body, new Scope(scope), captured);
                scope.Set(set.Name, evaluator.Filter(captured.Build(), set.Filters, scope));
                return flow;
            case FilterBlock block:
                var inside = new SourcedText.Builder();
                var ended = Run(block.Body, new Scope(scope), inside);
                Write(block.Site, Values.ToText(block.Site, evaluator.Filter(inside.Build(), block.Filters, scope)), output);
                return ended;
            case With with:
                var inner = new Scope(scope);
                foreach (var (target, value) in with.Values) Assign(with.Site, target, evaluator.Evaluate(value, scope), inner);
                return Run(with.Body, inner, output);
            case CallBlock block:
                var caller = new Callable("caller", arguments => Invoke(block.Body, scope, arguments));
                Write(block.Site, Values.ToText(block.Site, evaluator.CallWith(block.Call, "caller", caller, scope)), output);
                return Flow.Next;
            case Macro macro:
                scope.Set(macro.Name, new Callable(macro.Name, arguments => Invoke(macro, scope, arguments)));
                return Flow.Next;
            case Transparent transparent:
                return Run(transparent.Body, scope, output);
            case Break:
                return Flow.Break;
            case Continue:
                return Flow.Continue;
            default:
                throw statement.Site.Fail("this statement is not supported");
        }
    }

    private Flow Run(For loop, Scope scope, SourcedText.Builder output) =>
        Run(loop, evaluator.Evaluate(loop.Items, scope), scope, output, depth: 1);

    private Flow Run(For loop, object? value, Scope scope, SourcedText.Builder output, int depth)
    {
        budget.SpendOn(loop.Site, value);
        var items = Values.Iterate(loop.Site, value);
        if (loop.Filter is not null) items = [.. items.Where(item => evaluator.IsTrue(loop.Filter, Inner(item)))];
        if (items.Count == 0) return Run(loop.Otherwise, scope, output);
        var state = new LoopState();
        for (var i = 0; i < items.Count; i++)
        {
            var inner = Inner(items[i]);
            inner.Set("loop", new Loop(items, i, depth, state, loop.IsRecursive ? Recurse : null));
            if (Run(loop.Body, inner, output) == Flow.Break) break;
        }
        return Flow.Next;

        Scope Inner(object? item)
        {
            var inner = new Scope(scope);
            Assign(loop.Site, loop.Target, item, inner);
            return inner;
        }

        SourcedText Recurse(object? further)
        {
            if (++callDepth > Budget.DeepestCall) throw loop.Site.Fail($"loop calls itself more than {Budget.DeepestCall} deep");
            var part = new SourcedText.Builder();
            Run(loop, further, scope, part, depth + 1);
            callDepth--;
            return part.Build();
        }
    }

    private static void Assign(Site site, Target target, object? value, Scope scope)
    {
        if (target.Name is { } name)
        {
            scope.Set(name, value);
            return;
        }
        var items = Values.Iterate(site, value);
        if (items.Count != target.Parts.Count) throw site.Fail($"{target.Parts.Count} names for {items.Count} values");
        for (var i = 0; i < items.Count; i++) Assign(site, target.Parts[i], items[i], scope);
    }

    private SourcedText Invoke(Macro macro, Scope scope, Arguments arguments)
    {
        if (++callDepth > Budget.DeepestCall) throw arguments.Fail($"calls more than {Budget.DeepestCall} deep");
        var inner = new Scope(scope);
        var names = macro.Parameters.Select(parameter => parameter.Name).ToList();
        var (more, others) = (arguments.Positional.Skip(names.Count), arguments.Named.Where(named => !names.Contains(named.Key)));
        if (macro.Name != "caller") inner.Set("caller", new Undefined("caller"));
        if (macro.TakesMore.Contains("caller") && arguments.Named.TryGetValue("caller", out var caller)) inner.Set("caller", caller);
        if (macro.TakesMore.Contains("varargs")) inner.Set("varargs", new PythonTuple(more));
        if (macro.TakesMore.Contains("kwargs")) inner.Set("kwargs",
            NewMapping(arguments with { Positional = [], Named = others.Where(o => o.Key != "caller").ToDictionary() }));
        arguments = arguments with
        {
            Positional = macro.TakesMore.Contains("varargs") ? [.. arguments.Positional.Take(names.Count)] : arguments.Positional,
            Named = arguments.Named.Where(named => names.Contains(named.Key)
                || !(macro.TakesMore.Contains("kwargs") || (named.Key == "caller" && macro.TakesMore.Contains("caller")))).ToDictionary(),
        };
        arguments.Only([.. names]);
        for (var i = 0; i < macro.Parameters.Count; i++)
        {
            var (name, otherwise) = macro.Parameters[i];
            inner.Set(name, arguments.Has(i, name) ? arguments.Find(i, name)
                : otherwise is null ? new Undefined(name) : evaluator.Evaluate(otherwise, inner));
        }
        var output = new SourcedText.Builder();
        Run(macro.Body, inner, output);
        callDepth--;
        return output.Build();
    }

    private void Write(Site site, SourcedText text, SourcedText.Builder output)
    {
        if ((long)output.Length + text.Length > Budget.LongestText) throw site.Fail($"a text of more than {Budget.LongestText} characters");
        budget.SpendOn(site, text);
        output.Append(text);
    }

    private static object? RaiseException(Arguments arguments) =>
        throw arguments.Site.Fail($"the template refuses these messages: {arguments.Only("message").GetText(0, "message").Text}");

    private static object? NewNamespace(Arguments arguments)
    {
        var space = new Namespace();
        foreach (var (name, value) in NewMapping(arguments)) space.Members[name] = value;
        return space;
    }

    private static Mapping NewMapping(Arguments arguments)
    {
        var mapping = new Mapping();
        if (arguments.Positional.Count > 1 || arguments is { Positional: [not Mapping and not IReadOnlyList<object?>] })
            throw arguments.Fail("needs named arguments or one dictionary");
        if (arguments is { Positional: [Mapping given] })
            foreach (var (name, value) in given) mapping[name] = value;
        if (arguments is { Positional: [IReadOnlyList<object?> pairs] })
        {
            foreach (var pair in pairs)
            {
                if (pair is not (IReadOnlyList<object?> and [SourcedText key,
                    var value])) throw arguments.Fail("needs pairs of a string and a value");
                mapping[key.Text] = value;
            }
        }
        foreach (var (name, value) in arguments.Named) mapping[name] = value;
        return mapping;
    }

    private static object? Range(Arguments arguments)
    {
        arguments.Only("start", "stop", "step");
        if (arguments.Named.Count > 0) throw arguments.Fail("takes no named arguments");
        var first = arguments.FindInteger(0, "start") ?? throw arguments.Fail("needs an integer");
        var (start, stop) = arguments.FindInteger(1, "stop") is { } second ? (first, second) : (0, first);
        long step = arguments.FindInteger(2, "step") ?? 1;
        if (step == 0) throw arguments.Fail("needs a step other than 0");
        var count = Math.Max(0, step > 0 ? ((long)stop - start + step - 1) / step : ((long)start - stop - step - 1) / -step);
        if (count > LongestRange) throw arguments.Fail($"{count} numbers, more than the {LongestRange} that the reference allows");
        arguments.Budget.Spend(arguments.Site, Budget.ElementWork * count);
        var numbers = new List<object?>();
        for (var i = 0L; i < count; i++) numbers.Add(start + i * step);
        return new PythonRange(numbers, start, stop, step);
    }
}
