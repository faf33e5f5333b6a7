using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>The tests of the supported subset, which follow <c>is</c>.</summary>
internal static class TemplateTests
{
    private const string Supported =
        "defined, undefined, none, string, mapping, iterable, sequence, callable, number, integer, float, boolean, true, false, " +
        "lower, upper, equalto, eq, ne, gt, greaterthan, ge, lt, lessthan, le, in, sameas, odd, even, divisibleby";

    public static bool Passes(object? value, Arguments arguments)
    {
        var site = arguments.Site;
        arguments.Budget.SpendOn(site, value);
        return arguments.Name switch
        {
            "defined" => arguments.IsEmpty && value is not Undefined,
            "undefined" => arguments.IsEmpty && value is Undefined,
            "none" => arguments.IsEmpty && value is null,
            "string" => arguments.IsEmpty && value is SourcedText,
            "mapping" => arguments.IsEmpty && value is Mapping,
            // As in the reference, an undefined value is an empty sequence.
            "iterable" or "sequence" => arguments.IsEmpty && value is SourcedText or Mapping or IReadOnlyList<object?> or Undefined
                || (value is PythonGenerator && arguments.Name == "iterable"),
            "number" => arguments.IsEmpty && Values.IsNumber(value),
            "integer" => arguments.IsEmpty && value is long,
            "float" => arguments.IsEmpty && value is double,
            "boolean" => arguments.IsEmpty && value is bool,
            "true" => arguments.IsEmpty && value is true,
            "false" => arguments.IsEmpty && value is false,
            "equalto" or "eq" or "==" => Values.AreEqual(site, value, Other()),
            "ne" or "!=" => !Values.AreEqual(site, value, Other()),
            "callable" => arguments.IsEmpty && value is Callable or Loop { Recurse: not null },
            "lower" => arguments.IsEmpty && HasCase(value, UnicodeCasing.Lower),
            "upper" => arguments.IsEmpty && HasCase(value, UnicodeCasing.Upper),
            "sameas" => Same(value, Other()),
            "gt" or ">" or "greaterthan" => Values.Compare(site, value, Other()) > 0,
            "ge" or ">=" => Values.Compare(site, value, Other()) >= 0,
            "lt" or "<" or "lessthan" => Values.Compare(site, value, Other()) < 0,
            "le" or "<=" => Values.Compare(site, value, Other()) <= 0,
            "in" => Values.Contains(site, Other(), value),
            "odd" => arguments.IsEmpty && Integer(value) % 2 != 0,
            "even" => arguments.IsEmpty && Integer(value) % 2 == 0,
            "divisibleby" => IsDivisible(Integer(value), Integer(Other())),
            _ => throw site.Fail($"the test '{arguments.Name}' is not supported; supported are {Supported}"),
        };

        // Only for values of which Python has one instance. Of others a template cannot know whether they are identical.
        bool Same(object? one, object? other) => one is null or bool || other is null or bool ? Equals(one, other)
            : throw arguments.Fail("takes none, true and false; found other values");

        bool HasCase(object? item, Func<string, string> written) =>
            Values.ToText(site, item).Text is var text && written(text) == text && UnicodeCasing.HasCase(text);

        object? Other() => arguments.Only("other").Get(0, "other");

        bool IsDivisible(long number, long by) =>
            by == 0 ? throw arguments.Fail("division by zero") : by == -1 || number % by == 0; // long.MinValue % -1 overflows

        long Integer(object? number) =>
            Values.IsInteger(number) ? Values.AsInteger(number!) : throw arguments.Fail($"needs an integer, not {Values.Describe(number)}");
    }
}
