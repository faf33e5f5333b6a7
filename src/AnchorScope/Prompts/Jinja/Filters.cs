using System.Globalization;
using System.Text.RegularExpressions;

namespace AnchorScope.Prompts.Jinja;

/// <summary>The filters of the supported subset.</summary>
internal static class Filters
{
    private const string Supported =
        "abs, capitalize, count, d, default, first, float, int, items, join, last, length, list, lower, map, reject, rejectattr, " +
        "replace, reverse, safe, select, selectattr, string, title, tojson, trim, upper";

    public static object? Apply(object? value, Arguments arguments)
    {
        var site = arguments.Site;
        arguments.Budget.SpendOn(site, value);
        switch (arguments.Name)
        {
            case "trim": return Methods.Strip(Text(), arguments.Only("chars").FindText(0, "chars"));
            case "upper" when arguments.IsEmpty: return Text().WithText(Text().Text.ToUpperInvariant());
            case "lower" when arguments.IsEmpty: return Text().WithText(Text().Text.ToLowerInvariant());
            case "capitalize" when arguments.IsEmpty: return Methods.Capitalize(Text());
            case "title" when arguments.IsEmpty: return Text().WithText(Title(Text().Text));
            case "string" or "safe" when arguments.IsEmpty: return Text();
            case "length" or "count" when arguments.IsEmpty: return Values.Length(site, value);
            case "replace":
                return Methods.Replace(Text(), arguments.Only("old", "new", "count").GetText(0, "old").Text,
                    arguments.GetText(1, "new"), arguments.FindInteger(2, "count"), arguments);
            case "join": return Join(value, arguments.Only("d", "attribute"));
            case "tojson": return new SourcedText(Json.Write(site, value, Indent(arguments.Only("indent"))));
            case "int": return ToInteger(value, arguments.Only("default"));
            case "float": return ToReal(value, arguments.Only("default"));
            case "abs" when arguments.IsEmpty:
                return Values.IsNumber(value)
                    ? value is double real ? Math.Abs(real) : (object)Math.Abs(Math.Max(Values.AsInteger(value!), -long.MaxValue))
                    : throw arguments.Fail($"needs a number, not {Values.Describe(value)}");
            case "default" or "d":
                arguments.Only("default_value", "boolean");
                return value is Undefined || (arguments.Flag(1, "boolean") && !Values.IsTrue(value))
                    ? arguments.Has(0, "default_value") ? arguments.Find(0, "default_value") : SourcedText.Empty
                    : value;
            case "items" when arguments.IsEmpty:
                return value switch
                {
                    Mapping mapping => Methods.Items(mapping),
                    Undefined => new List<object?>(),
                    _ => throw arguments.Fail($"needs a dictionary, not {Values.Describe(value)}"),
                };
            case "list" when arguments.IsEmpty: return Items().ToList();
            case "first" when arguments.IsEmpty: return Items() is [var head, ..] ? head : new Undefined("first of nothing");
            case "last" when arguments.IsEmpty: return Items() is [.., var tail] ? tail : new Undefined("last of nothing");
            case "reverse" when arguments.IsEmpty:
                var reversed = Items().Reverse().ToList();
                return value is SourcedText ? SourcedText.Concat(reversed.Cast<SourcedText>()) : reversed;
            case "map": return Items().Select(item => Mapped(item, arguments)).ToList();
            case "select": return Items().Where(item => Passes(item, arguments, 0)).ToList();
            case "reject": return Items().Where(item => !Passes(item, arguments, 0)).ToList();
            case "selectattr": return Items().Where(item => Passes(Attribute(item, arguments), arguments, 1)).ToList();
            case "rejectattr": return Items().Where(item => !Passes(Attribute(item, arguments), arguments, 1)).ToList();
            default: throw site.Fail($"the filter '{arguments.Name}' is not supported; supported are {Supported}");
        }

        SourcedText Text() => Values.ToText(site, value);

        IReadOnlyList<object?> Items() => Values.Iterate(site, value);
    }

    private static SourcedText Join(object? value, Arguments arguments)
    {
        var items = Values.Iterate(arguments.Site, value);
        if (arguments.FindText(1, "attribute") is { } path) items = [.. items.Select(item => Attribute(item, path, arguments))];
        return Methods.Join(arguments.Has(0, "d") ? arguments.GetText(0, "d") : SourcedText.Empty, items, arguments);
    }

    private static int? Indent(Arguments arguments) => arguments.FindInteger(0, "indent") switch
    {
        null => null,
        var width and >= 0 and <= 16 => width,
        var width => throw arguments.Fail($"an indent of 0 to 16, not {width}"),
    };

    private static object? ToInteger(object? value, Arguments arguments) => value switch
    {
        _ when Values.IsInteger(value) => Values.AsInteger(value!),
        double real when Math.Abs(real) < 1e18 => (long)real,
        SourcedText text when long.TryParse(text.Text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) => number,
        SourcedText text when double.TryParse(text.Text, CultureInfo.InvariantCulture, out var real) && Math.Abs(real) < 1e18 => (long)real,
        Undefined => throw arguments.Fail($"{Values.Describe(value)} is not a number"),
        _ => arguments.Has(0, "default") ? arguments.Find(0, "default") : 0L,
    };

    private static object? ToReal(object? value, Arguments arguments) => value switch
    {
        _ when Values.IsNumber(value) => Values.AsDouble(value!),
        SourcedText text when double.TryParse(text.Text, CultureInfo.InvariantCulture, out var real) => real,
        Undefined => throw arguments.Fail($"{Values.Describe(value)} is not a number"),
        _ => arguments.Has(0, "default") ? arguments.Find(0, "default") : 0.0,
    };

    // map('name', ...) applies a filter, map(attribute='name', default=...) takes a member.
    private static object? Mapped(object? item, Arguments arguments)
    {
        if (arguments.Positional.Count > 0)
            return Apply(item, arguments.From(1) with { Name = arguments.GetText(0, "filter").Text });
        var member = Attribute(item, arguments.Only("attribute", "default").GetText(0, "attribute").Text, arguments);
        return member is Undefined && arguments.Has(1, "default") ? arguments.Find(1, "default") : member;
    }

    // The test's name stands at a position, its own arguments follow; without a name, truth is tested.
    private static bool Passes(object? value, Arguments arguments, int testAt) =>
        arguments.Positional.Count <= testAt
            ? Values.IsTrue(value)
            : Tests.Passes(value, arguments.From(testAt + 1) with { Name = arguments.GetText(testAt, "test").Text });

    private static object? Attribute(object? item, Arguments arguments) =>
        Attribute(item, arguments.GetText(0, "attribute").Text, arguments);

    private static object? Attribute(object? item, string path, Arguments arguments)
    {
        foreach (var name in path.Split('.'))
            item = Operators.Index(arguments.Site, item,
                long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var at) ? at : new SourcedText(name));
        return item;
    }

    // A word follows white space, a hyphen or an opening bracket.
    private static string Title(string text) =>
        Regex.Replace(text, @"[^-\s({\[<]+", match => match.Value[..1].ToUpperInvariant() + match.Value[1..].ToLowerInvariant());
}
