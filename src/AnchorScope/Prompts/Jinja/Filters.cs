using System.Globalization;
using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>The filters of the supported subset.</summary>
internal static class Filters
{
    private const string Supported =
        "abs, batch, capitalize, center, count, d, default, dictsort, first, float, groupby, indent, int, items, join, last, " +
        "length, list, lower, map, max, min, reject, rejectattr, replace, reverse, round, safe, select, selectattr, slice, sort, string, " +
        "sum, title, tojson, trim, unique, upper";

    public static object? Apply(object? value, Arguments arguments)
    {
        var site = arguments.Site;
        arguments.Budget.SpendOn(site, value);
        switch (arguments.Name)
        {
            case "trim": return Methods.Strip(Text(), arguments.Only("chars").FindText(0, "chars"));
            case "upper" when arguments.IsEmpty: return Text().WithText(UnicodeCasing.Upper(Text().Text));
            case "lower" when arguments.IsEmpty: return Text().WithText(UnicodeCasing.Lower(Text().Text));
            case "capitalize" when arguments.IsEmpty: return Methods.Capitalize(Text());
            case "title" when arguments.IsEmpty: return Text().WithText(Title(Text().Text));
            case "string" or "safe" when arguments.IsEmpty: return Text();
                        case "replace":
                return Methods.Replace(Text(), arguments.Only("old", "new", "count").GetText(0, "old").Text,
                    arguments.GetText(1, "new"), arguments.FindInteger(2, "count"), arguments);
            case "join": return Join(value, arguments.Only("d", "attribute"));
            case "tojson": return new SourcedText(Json.Of(arguments).Write(site, value));
            case "int": return Numbers.ToInteger(value, arguments.Only("default", "base"));
            case "float": return Numbers.ToReal(value, arguments.Only("default"));
            case "round": return Numbers.Round(value, arguments.Only("precision", "method"));
            case "center": return Methods.Padded(Text(), arguments.Only("width").FindInteger(0, "width") ?? 80, ' ', Side.Both, arguments);
            case "indent": return Indented(value as SourcedText ?? throw arguments.Fail($"needs a string, not {Values.Describe(value)}"),
                arguments.Only("width", "first", "blank"));
            case "sort" or "dictsort" or "min" or "max" or "unique" or "batch" or "slice" or "groupby"
                or "sum": return Sequences.Apply(value, arguments);
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
                return new PythonGenerator(LaterItems());
            case "list" when arguments.IsEmpty: return Items().ToList();
            case "first" when arguments.IsEmpty && value is PythonGenerator generator:
                return generator.Next() is (true, var next) ? next : new Undefined("first of nothing");
            case "last" or "reverse" or "length" or "count" when arguments.IsEmpty && value is PythonGenerator:
                throw arguments.Fail($"needs a list, not {Values.Describe(value)}");
            case "length" or "count" when arguments.IsEmpty: return Values.Length(site, value);
            case "first" when arguments.IsEmpty: return Items() is [var head, ..] ? head : new Undefined("first of nothing");
            case "last" when arguments.IsEmpty: return Items() is [.., var tail] ? tail : new Undefined("last of nothing");
            case "reverse" when arguments.IsEmpty:
                var reversed = Items().Reverse().ToList();
                return value is SourcedText ? SourcedText.Concat(reversed.Cast<SourcedText>()) : new PythonGenerator(reversed);
            case "map": return OneByOne(items => items.Select(item => Mapped(item, arguments)));
            case "select": return OneByOne(items => items.Where(item => Passes(item, arguments, 0)));
            case "reject": return OneByOne(items => items.Where(item => !Passes(item, arguments, 0)));
            case "selectattr": return OneByOne(items => items.Where(item => Passes(Attribute(item, arguments), arguments, 1)));
            case "rejectattr": return OneByOne(items => items.Where(item => !Passes(Attribute(item, arguments), arguments, 1)));
            default: throw site.Fail($"the filter '{arguments.Name}' is not supported; supported are {Supported}");
        }

        SourcedText Text() => Values.ToText(site, value);

        IReadOnlyList<object?> Items() => Values.Iterate(site, value);

        IEnumerable<object?> LaterItems()
        {
            if (value is not (Mapping or Undefined)) throw arguments.Fail($"needs a dictionary, not {Values.Describe(value)}");
            foreach (var pair in value is Mapping mapping ? Methods.Items(mapping) : []) yield return pair;
        }

        PythonGenerator OneByOne(Func<IEnumerable<object?>, IEnumerable<object?>> chosen) => new(Later(chosen));

        // Lazy: items are evaluated only when they are requested.
        IEnumerable<object?> Later(Func<IEnumerable<object?>, IEnumerable<object?>> chosen)
        {
            foreach (var item in chosen(Items())) yield return item;
        }
    }

    private static SourcedText Join(object? value, Arguments arguments)
    {
        var items = Values.Iterate(arguments.Site, value);
        if (arguments.FindText(1, "attribute") is { } path) items = [.. items.Select(item => Attribute(item, path, arguments))];
        return Methods.Join(arguments.Has(0, "d") ? arguments.GetText(0, "d") : SourcedText.Empty, items, arguments);
    }

    private static SourcedText Indented(SourcedText text, Arguments arguments)
    {
        var indent = arguments.Find(0, "width") switch
        {
            null => new string(' ', 4),
            SourcedText given => given.Text,
            var width when Values.IsInteger(width) && Values.AsInteger(width!) is >= 0 and <= 1000 and var spaces =>
                new string(' ', (int)spaces),
            _ => throw arguments.Fail("'width' is to be a string, or a number of 0 to 1000"),
        };
        var lines = Methods.Lines(text, keepEnds: false);
        // A line end at the end of the text begins an empty line.
        if (text.Length == 0 || Methods.IsLineEnd(text.Text[^1])) lines.Add(SourcedText.Empty);
        var result = new SourcedText.Builder();
        for (var i = 0; i < lines.Count; i++)
        {
            if (i > 0) result.Append(new("\n"));
            if (i == 0 ? arguments.Flag(1, "first") : lines[i].Length > 0 || arguments.Flag(2, "blank")) result.Append(new(indent));
            result.Append(lines[i]);
            if (result.Length > Budget.LongestText) throw arguments.Fail($"a text of more than {Budget.LongestText} characters");
        }
        arguments.Budget.Spend(arguments.Site, result.Length);
        return result.Build();
    }

    // map('name', ...) applies a filter, map(attribute='name', default=...) reads an attribute.
    private static object? Mapped(object? item, Arguments arguments)
    {
        if (arguments.Positional.Count > 0)
            return Apply(item, arguments.From(1) with { Name = arguments.GetText(0, "filter").Text });
        var attribute = arguments.Only("attribute", "default").Get(0, "attribute");
        var member = attribute is SourcedText path ? Attribute(item, path.Text, arguments)
            : Operators.Index(arguments.Site, item, attribute);
        return member is Undefined && arguments.Has(1, "default") ? arguments.Find(1, "default") : member;
    }

    // The name of the test is at testAt and is followed by its arguments. Without a name, truth is tested.
    private static bool Passes(object? value, Arguments arguments, int testAt) =>
        arguments.Positional.Count <= testAt
            ? Values.IsTrue(value)
            : TemplateTests.Passes(value, arguments.From(testAt + 1) with { Name = arguments.GetText(testAt, "test").Text });

    private static object? Attribute(object? item, Arguments arguments) =>
        Attribute(item, arguments.GetText(0, "attribute").Text, arguments);

    public static object? Attribute(object? item, string path, Arguments arguments)
    {
        foreach (var name in path.Split('.'))
            item = Operators.Index(arguments.Site, item,
                long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var at) ? at : new SourcedText(name));
        return item;
    }

    // A word follows white space, a hyphen or an opening bracket. Its first character is upper case, not title case.
    private static string Title(string text)
    {
        var result = new System.Text.StringBuilder(text.Length);
        for (var from = 0; from < text.Length;)
        {
            var to = from;
            while (to < text.Length && !Separates(text[to])) to++;
            if (to > from)
            {
                var first = char.IsSurrogate(text[from]) && to > from + 1 ? 2 : 1;
                result.Append(UnicodeCasing.Upper(text.Substring(from, first))).Append(UnicodeCasing.Lower(text[(from + first)..to]));
            }
            for (; to < text.Length && Separates(text[to]); to++) result.Append(text[to]);
            from = to;
        }
        return result.ToString();

        static bool Separates(char unit) => Methods.IsSpace(unit) || unit is '-' or '(' or '{' or '[' or '<';
    }
}
