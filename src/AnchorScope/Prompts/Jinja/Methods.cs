namespace AnchorScope.Prompts.Jinja;

/// <summary>Methods of Python's strings and dictionaries, and what string filters share with them.</summary>
internal static class Methods
{
    private const string OfStrings =
        "upper, lower, capitalize, title, strip, lstrip, rstrip, split, startswith, endswith, replace, join, find, count";

    private const string OfDictionaries = "items, keys, values, get";

    public static object? Call(object? target, Arguments arguments) => target switch
    {
        SourcedText text => OfString(text, arguments),
        Mapping mapping => OfMapping(mapping, arguments),
        Undefined undefined => throw arguments.Site.Fail($"'{undefined.Name}' is undefined and has no method '{arguments.Name}'"),
        _ => throw arguments.Site.Fail($"{Values.Describe(target)} has no method '{arguments.Name}'"),
    };

    public static SourcedText Capitalize(SourcedText text) =>
        text.Length == 0 ? text : text.WithText(text.Text[..1].ToUpperInvariant() + text.Text[1..].ToLowerInvariant());

    public static SourcedText Strip(SourcedText text, string? characters, bool left = true, bool right = true) =>
        text.Trim(characters is null ? IsSpace : characters.Contains, left, right);

    public static SourcedText Replace(SourcedText text, string old, SourcedText by, int? most, Arguments arguments)
    {
        if (old.Length == 0) throw arguments.Fail("replacing the empty string is not supported");
        var result = new SourcedText.Builder();
        var from = 0;
        for (var left = most is null or < 0 ? int.MaxValue : most.Value; left > 0; left--)
        {
            var at = text.Text.IndexOf(old, from, StringComparison.Ordinal);
            if (at < 0) break;
            if (at > from) result.Append(text.Slice(from, at - from));
            result.Append(by);
            if (result.Length > Budget.LongestText) throw arguments.Fail($"a text of more than {Budget.LongestText} characters");
            from = at + old.Length;
        }
        if (from == 0) return text;
        if (from < text.Length) result.Append(text.Slice(from, text.Length - from));
        arguments.Budget.Spend(arguments.Site, result.Length);
        return result.Build();
    }

    /// <summary>str.isspace of Python, which adds the four information separators to Unicode's white space.</summary>
    private static bool IsSpace(char unit) => char.IsWhiteSpace(unit) || unit is >= '\x1c' and <= '\x1f';

    private static object? OfString(SourcedText text, Arguments arguments) => arguments.Name switch
    {
        "upper" when arguments.IsEmpty => text.WithText(text.Text.ToUpperInvariant()),
        "lower" when arguments.IsEmpty => text.WithText(text.Text.ToLowerInvariant()),
        "capitalize" when arguments.IsEmpty => Capitalize(text),
        "title" when arguments.IsEmpty => text.WithText(Title(text.Text)),
        "strip" => Strip(text, arguments.Only("chars").FindText(0, "chars")),
        "lstrip" => Strip(text, arguments.Only("chars").FindText(0, "chars"), right: false),
        "rstrip" => Strip(text, arguments.Only("chars").FindText(0, "chars"), left: false),
        "split" => Split(text, arguments.Only("sep", "maxsplit")),
        "startswith" => Affixes(arguments).Any(affix => text.Text.StartsWith(affix, StringComparison.Ordinal)),
        "endswith" => Affixes(arguments).Any(affix => text.Text.EndsWith(affix, StringComparison.Ordinal)),
        "replace" => Replace(text, arguments.Only("old", "new", "count").GetText(0, "old").Text, arguments.GetText(1, "new"),
            arguments.FindInteger(2, "count"), arguments),
        "join" => Join(text, Values.Iterate(arguments.Site, arguments.Only("iterable").Get(0, "iterable")), arguments),
        "find" => CodePoints(text, text.Text.IndexOf(arguments.Only("sub").GetText(0, "sub").Text, StringComparison.Ordinal)),
        "count" => Count(text.Text, arguments.Only("sub").GetText(0, "sub").Text),
        _ => throw arguments.Site.Fail($"a string has no method '{arguments.Name}' here; supported are {OfStrings}"),
    };

    private static object? OfMapping(Mapping mapping, Arguments arguments) => arguments.Name switch
    {
        "items" when arguments.IsEmpty => Items(mapping),
        "keys" when arguments.IsEmpty => (List<object?>)[.. mapping.Keys.Select(key => new SourcedText(key))],
        "values" when arguments.IsEmpty => (List<object?>)[.. mapping.Values],
        "get" => mapping.TryGetValue(arguments.Only("key", "default").GetText(0, "key").Text, out var value)
            ? value
            : arguments.Find(1, "default"),
        _ => throw arguments.Site.Fail($"a dictionary has no method '{arguments.Name}' here; supported are {OfDictionaries}"),
    };

    public static List<object?> Items(Mapping mapping) =>
        [.. mapping.Select(entry => (List<object?>)[new SourcedText(entry.Key), entry.Value])];

    public static SourcedText Join(SourcedText separator, IReadOnlyList<object?> items, Arguments arguments)
    {
        var result = new SourcedText.Builder();
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0) result.Append(separator);
            result.Append(Values.ToText(arguments.Site, items[i]));
            if (result.Length > Budget.LongestText) throw arguments.Fail($"a text of more than {Budget.LongestText} characters");
        }
        arguments.Budget.Spend(arguments.Site, result.Length);
        return result.Build();
    }

    // str.title: a letter after a letter is small, any other is a capital.
    private static string Title(string text)
    {
        var units = text.ToCharArray();
        for (var i = 0; i < units.Length; i++)
            units[i] = i > 0 && char.IsLetter(units[i - 1]) ? char.ToLowerInvariant(units[i]) : char.ToUpperInvariant(units[i]);
        return new(units);
    }

    private static List<object?> Split(SourcedText text, Arguments arguments)
    {
        var separator = arguments.FindText(0, "sep");
        var left = arguments.FindInteger(1, "maxsplit") is { } most and >= 0 ? most : int.MaxValue;
        if (separator is { Length: 0 }) throw arguments.Fail("an empty separator");
        arguments.Budget.Spend(arguments.Site, text.Length);
        return separator is null ? SplitAtSpace(text, left) : SplitAt(text, separator, left);
    }

    private static List<object?> SplitAt(SourcedText text, string separator, int left)
    {
        var parts = new List<object?>();
        var from = 0;
        for (; left > 0; left--)
        {
            var at = text.Text.IndexOf(separator, from, StringComparison.Ordinal);
            if (at < 0) break;
            parts.Add(text.Slice(from, at - from));
            from = at + separator.Length;
        }
        parts.Add(text.Slice(from, text.Length - from));
        return parts;
    }

    private static List<object?> SplitAtSpace(SourcedText text, int left)
    {
        var parts = new List<object?>();
        for (var from = 0; ;)
        {
            while (from < text.Length && IsSpace(text.Text[from])) from++;
            if (from == text.Length) return parts;
            var to = from;
            while (to < text.Length && !IsSpace(text.Text[to])) to++;
            if (left-- == 0)
            {
                parts.Add(Strip(text.Slice(from, text.Length - from), null, left: false));
                return parts;
            }
            parts.Add(text.Slice(from, to - from));
            from = to;
        }
    }

    private static IEnumerable<string> Affixes(Arguments arguments) => arguments.Only("affix").Get(0, "affix") switch
    {
        SourcedText text => [text.Text],
        IReadOnlyList<object?> list when list.All(item => item is SourcedText) => list.Select(item => ((SourcedText)item!).Text),
        var other => throw arguments.Fail($"needs a string or several, not {Values.Describe(other)}"),
    };

    private static long CodePoints(SourcedText text, int unit) => unit < 0 ? -1 : text.Text[..unit].EnumerateRunes().LongCount();

    private static long Count(string text, string part)
    {
        if (part.Length == 0) return text.EnumerateRunes().LongCount() + 1;
        var count = 0L;
        for (var at = text.IndexOf(part, StringComparison.Ordinal); at >= 0;
             at = text.IndexOf(part, at + part.Length, StringComparison.Ordinal))
            count++;
        return count;
    }
}
