using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>The side on which a text is padded.</summary>
internal enum Side { Left, Right, Both }

/// <summary>Methods of Python's dictionaries and lists, and code that string methods and filters share.</summary>
internal static class Methods
{
    private const string OfDictionaries = "items, keys, values, get, copy";

    private const string OfLists = "count, index, copy";

    public static object? Call(object? target, Arguments arguments) => target switch
    {
        SourcedText text => StringMethods.Call(text, arguments),
        Mapping mapping => OfMapping(mapping, arguments),
        IReadOnlyList<object?> list => OfList(list, arguments),
        Loop loop => loop.Call(arguments),
        Undefined undefined => throw arguments.Site.Fail(undefined.Message),
        _ => throw arguments.Site.Fail($"{Values.Describe(target)} has no method '{arguments.Name}'"),
    };

    private static readonly HashSet<string> NamesOfStrings = new(StringComparer.Ordinal)
    {
        "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map", "index", "isalnum",
            "isalpha", "isascii",
        "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust",
            "lower", "lstrip",
        "maketrans", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip",
            "split", "splitlines",
        "startswith", "strip", "swapcase", "title", "translate", "upper", "zfill",
    };

    private static readonly HashSet<string> NamesOfDictionaries = new(StringComparer.Ordinal)
        { "clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values" };

    private static readonly HashSet<string> NamesOfLists = new(StringComparer.Ordinal)
        { "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort" };

    /// <summary>Whether Python's type has a method of this name.</summary>
    public static bool IsMethod(object? target, string name) => target switch
    {
        SourcedText => NamesOfStrings.Contains(name),
        Mapping => NamesOfDictionaries.Contains(name),
        PythonTuple => name is "count" or "index",
        IReadOnlyList<object?> => NamesOfLists.Contains(name),
        _ => false,
    };

    public static SourcedText Capitalize(SourcedText text) =>
        text.WithText(UnicodeCasing.Capitalize(text.Text));

    public static SourcedText Strip(SourcedText text, string? characters, bool left = true, bool right = true) =>
        text.Trim(characters is null ? IsSpace : characters.Contains, left, right);

    public static SourcedText Replace(SourcedText text, string old, SourcedText by, int? most, Arguments arguments)
    {
        if (old.Length == 0) return BetweenCharacters(text, by, most, arguments);
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

    // The empty string matches before every character and at the end.
    private static SourcedText BetweenCharacters(SourcedText text, SourcedText by, int? most, Arguments arguments)
    {
        var result = new SourcedText.Builder();
        var left = most is null or < 0 ? int.MaxValue : most.Value;
        foreach (var character in Values.Characters(text).Append(null))
        {
            if (left-- > 0) result.Append(by);
            if (character is not null) result.Append(character);
            if (result.Length > Budget.LongestText) throw arguments.Fail($"a text of more than {Budget.LongestText} characters");
        }
        arguments.Budget.Spend(arguments.Site, result.Length);
        return result.Build();
    }

    /// <summary>str.isspace of Python, which adds the four information separators to Unicode's white space.</summary>
    public static bool IsSpace(char unit) => char.IsWhiteSpace(unit) || unit is >= '\x1c' and <= '\x1f';

    private static object? OfMapping(Mapping mapping, Arguments arguments) => arguments.Name switch
    {
        "items" when arguments.IsEmpty => Items(mapping),
        "keys" when arguments.IsEmpty => (List<object?>)[.. mapping.Keys.Select(key => new SourcedText(key))],
        "values" when arguments.IsEmpty => (List<object?>)[.. mapping.Values],
        "get" => mapping.TryGetValue(arguments.Only("key", "default").GetText(0, "key").Text, out var value)
            ? value
            : arguments.Find(1, "default"),
        "copy" when arguments.IsEmpty => Copy(mapping),
        _ => throw arguments.Site.Fail($"a dictionary has no method '{arguments.Name}' here; supported are {OfDictionaries}"),
    };

    private static object? OfList(IReadOnlyList<object?> list, Arguments arguments)
    {
        switch (arguments.Name)
        {
            case "count":
                var counted = arguments.Only("value").Get(0, "value");
                return list.LongCount(item => Values.AreEqual(arguments.Site, item, counted));
            case "index":
                var wanted = arguments.Only("value").Get(0, "value");
                for (var i = 0; i < list.Count; i++)
                    if (Values.AreEqual(arguments.Site, list[i], wanted)) return (long)i;
                throw arguments.Fail("the value is not in the list");
            case "copy" when arguments.IsEmpty && list is not PythonTuple:
                return list.ToList();
            default:
                throw arguments.Site.Fail($"{Values.Describe(list)} has no method '{arguments.Name}' here, or none that is supported; " +
                    $"supported are {OfLists}");
        }
    }

    private static Mapping Copy(Mapping mapping)
    {
        var copy = new Mapping();
        foreach (var (key, value) in mapping) copy[key] = value;
        return copy;
    }

    public static List<object?> Items(Mapping mapping) =>
        [.. mapping.Select(entry => new PythonTuple([new SourcedText(entry.Key), entry.Value]))];

    /// <summary>Whether a character ends a line. A carriage return followed by a line feed is one line end.</summary>
    public static bool IsLineEnd(char unit) => unit is (>= '\n' and <= '\r') or (>= '\x1c' and <= '\x1e') or '\x85' or '\u2028' or '\u2029';

    /// <summary>str.splitlines.</summary>
    public static List<SourcedText> Lines(SourcedText text, bool keepEnds)
    {
        var lines = new List<SourcedText>();
        for (var from = 0; from < text.Length;)
        {
            var to = from;
            while (to < text.Length && !IsLineEnd(text.Text[to])) to++;
            var next = to == text.Length ? to : to + (text.Text[to] == '\r' && to + 1 < text.Length && text.Text[to + 1] == '\n' ? 2 : 1);
            lines.Add(text.Slice(from, (keepEnds ? next : to) - from));
            from = next;
        }
        return lines;
    }

    /// <summary>The text padded to a number of characters.</summary>
    public static SourcedText Padded(SourcedText text, int width, char fill, Side side, Arguments arguments)
    {
        if (width > Budget.LongestText) throw arguments.Fail($"a text of more than {Budget.LongestText} characters");
        var missing = width - (int)Values.Length(arguments.Site, text);
        if (missing <= 0) return text;
        arguments.Budget.Spend(arguments.Site, missing);
        // If the padding cannot be split equally, Python adds one more on the left when the width is odd.
        var left = side == Side.Left ? missing : side == Side.Right ? 0 : missing / 2 + (missing & width & 1);
        return SourcedText.Concat(new(new string(fill, left)), text, new(new string(fill, missing - left)));
    }

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

    public static List<object?> Split(SourcedText text, Arguments arguments)
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
}
