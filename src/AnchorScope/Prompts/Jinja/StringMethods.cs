using System.Globalization;
using System.Text;
using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>Methods of Python's strings.</summary>
internal static class StringMethods
{
    private const string Supported =
        "upper, lower, capitalize, title, swapcase, casefold, strip, lstrip, rstrip, split, rsplit, splitlines, partition, rpartition, " +
        "startswith, endswith, removeprefix, removesuffix, replace, join, find, rfind, index, rindex, count, center, ljust, rjust, zfill, "
            +
        "isalpha, isalnum, isdigit, isdecimal, isnumeric, isspace, isupper, islower, istitle, isascii, isprintable";

    public static object? Call(SourcedText text, Arguments arguments) => arguments.Name switch
    {
        "upper" when arguments.IsEmpty => text.WithText(UnicodeCasing.Upper(text.Text)),
        "lower" when arguments.IsEmpty => text.WithText(UnicodeCasing.Lower(text.Text)),
        "capitalize" when arguments.IsEmpty => Methods.Capitalize(text),
        "title" when arguments.IsEmpty => text.WithText(UnicodeCasing.Title(text.Text)),
        "swapcase" when arguments.IsEmpty => text.WithText(UnicodeCasing.Swap(text.Text)),
        "casefold" when arguments.IsEmpty => text.WithText(UnicodeCasing.Fold(text.Text)),
        "strip" => Methods.Strip(text, arguments.Only("chars").FindText(0, "chars")),
        "lstrip" => Methods.Strip(text, arguments.Only("chars").FindText(0, "chars"), right: false),
        "rstrip" => Methods.Strip(text, arguments.Only("chars").FindText(0, "chars"), left: false),
        "split" => Methods.Split(text, arguments.Only("sep", "maxsplit")),
        "rsplit" => SplitFromTheRight(text, arguments.Only("sep", "maxsplit")),
        "splitlines" => Methods.Lines(text, arguments.Only("keepends").Flag(0, "keepends")).Cast<object?>().ToList(),
        "partition" => Partition(text, Separator(arguments), text.Text.IndexOf(Separator(arguments), StringComparison.Ordinal),
            fromRight: false),
        "rpartition" => Partition(text, Separator(arguments), text.Text.LastIndexOf(Separator(arguments), StringComparison.Ordinal),
            fromRight: true),
        "startswith" => Affixes(arguments).Any(affix => Within(text, arguments) is { } part
            && part.StartsWith(affix, StringComparison.Ordinal)),
        "endswith" => Affixes(arguments).Any(affix => Within(text, arguments) is { } part
            && part.EndsWith(affix, StringComparison.Ordinal)),
        "removeprefix" => Part(arguments) is var prefix && text.Text.StartsWith(prefix, StringComparison.Ordinal)
            ? text.Slice(prefix.Length, text.Length - prefix.Length) : text,
        "removesuffix" => Part(arguments) is var suffix && text.Text.EndsWith(suffix, StringComparison.Ordinal)
            ? text.Slice(0, text.Length - suffix.Length) : text,
        "replace" => Methods.Replace(text, arguments.Only("old", "new", "count").GetText(0, "old").Text, arguments.GetText(1, "new"),
            arguments.FindInteger(2, "count"), arguments),
        "join" => Join(text, arguments.Only("iterable")),
        "find" => Find(text, arguments, last: false),
        "rfind" => Find(text, arguments, last: true),
        "index" => Found(Find(text, arguments, last: false), arguments),
        "rindex" => Found(Find(text, arguments, last: true), arguments),
        "count" => Count(Within(text, arguments.Only("sub", "start", "end")), arguments.GetText(0, "sub").Text),
        "center" => Padded(text, Side.Both, arguments.Only("width", "fillchar")),
        "ljust" => Padded(text, Side.Right, arguments.Only("width", "fillchar")),
        "rjust" => Padded(text, Side.Left, arguments.Only("width", "fillchar")),
        "zfill" => ZeroFilled(text, arguments.Only("width")),
        "isalpha" when arguments.IsEmpty => All(text, rune => Rune.IsLetter(rune)),
        "isalnum" when arguments.IsEmpty => All(text, rune => Rune.IsLetter(rune) || IsNumeric(rune)),
        "isdigit" when arguments.IsEmpty => All(text, IsDigit),
        "isdecimal" when arguments.IsEmpty => All(text, Rune.IsDigit),
        "isnumeric" when arguments.IsEmpty => All(text, IsNumeric),
        "isspace" when arguments.IsEmpty => All(text, rune => rune.IsBmp && Methods.IsSpace((char)rune.Value)),
        "isupper" when arguments.IsEmpty => UnicodeCasing.HasCase(text.Text)
            && text.Text.EnumerateRunes().All(rune => UnicodeCasing.IsUpper(rune) is true || !UnicodeCasing.HasCase(rune.ToString())),
        "islower" when arguments.IsEmpty => UnicodeCasing.HasCase(text.Text)
            && text.Text.EnumerateRunes().All(rune => UnicodeCasing.IsUpper(rune) is false || !UnicodeCasing.HasCase(rune.ToString())),
        "istitle" when arguments.IsEmpty => UnicodeCasing.HasCase(text.Text) && UnicodeCasing.Title(text.Text) == text.Text,
        "isascii" when arguments.IsEmpty => text.Text.All(char.IsAscii),
        "isprintable" when arguments.IsEmpty => text.Text.EnumerateRunes().All(Python.IsPrintable),
        _ => throw arguments.Site.Fail($"a string has no method '{arguments.Name}' here, or none that is supported; " +
            $"supported are {Supported}"),
    };

    private static bool All(SourcedText text, Func<Rune, bool> holds) => text.Length > 0 && text.Text.EnumerateRunes().All(holds);

    private static bool IsNumeric(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber
        or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber
        || CharUnicodeInfo.GetNumericValue(rune.ToString(), 0) >= 0;

    private static bool IsDigit(Rune rune) => CharUnicodeInfo.GetDigitValue(rune.ToString(), 0) >= 0;

    private static string Part(Arguments arguments) => arguments.Only("affix").GetText(0, "affix").Text;

    private static string Separator(Arguments arguments) =>
        arguments.Only("sep").GetText(0, "sep").Text is { Length: > 0 } separator ? separator : throw arguments.Fail("an empty separator");

    private static PythonTuple Partition(SourcedText text, string separator, int at, bool fromRight) => at >= 0
        ? new([text.Slice(0, at), text.Slice(at, separator.Length), text.Slice(at + separator.Length, text.Length - at - separator.Length)])
        : fromRight ? new([SourcedText.Empty, SourcedText.Empty, text]) : new([text, SourcedText.Empty, SourcedText.Empty]);

    // Python's method joins only strings. The filter of this name converts every item to text.
    private static SourcedText Join(SourcedText separator, Arguments arguments)
    {
        var items = Values.Iterate(arguments.Site, arguments.Get(0, "iterable"));
        for (var i = 0; i < items.Count; i++)
            if (items[i] is not SourcedText) throw arguments.Fail($"item {i} is to be a string, not {Values.Describe(items[i])}");
        return Methods.Join(separator, items, arguments);
    }

    private static List<object?> SplitFromTheRight(SourcedText text, Arguments arguments)
    {
        if (arguments.FindInteger(1, "maxsplit") is not { } most || most < 0) return Methods.Split(text, arguments);
        arguments.Budget.Spend(arguments.Site, text.Length);
        var parts = new List<object?>();
        var end = text.Length;
        if (arguments.FindText(0, "sep") is { } separator)
        {
            if (separator.Length == 0) throw arguments.Fail("an empty separator");
            for (; most > 0; most--)
            {
                var at = end >= separator.Length ? text.Text.LastIndexOf(separator, end - 1, end, StringComparison.Ordinal) : -1;
                if (at < 0) break;
                parts.Insert(0, text.Slice(at + separator.Length, end - at - separator.Length));
                end = at;
            }
            parts.Insert(0, text.Slice(0, end));
            return parts;
        }
        while (true)
        {
            while (end > 0 && Methods.IsSpace(text.Text[end - 1])) end--;
            if (end == 0) return parts;
            var from = end;
            while (from > 0 && !Methods.IsSpace(text.Text[from - 1])) from--;
            if (most-- == 0)
            {
                parts.Insert(0, Methods.Strip(text.Slice(0, end), null, right: false));
                return parts;
            }
            parts.Insert(0, text.Slice(from, end - from));
            end = from;
        }
    }

    /// <summary>
    /// The text between the arguments start and end, which count code points; null if the start is beyond the end of the text.
    /// </summary>
    private static string? Within(SourcedText text, Arguments arguments) => Bounds(text, arguments) is var (from, to) ? text.Text[from..to]
        : null;

    // In UTF-16 units.
    private static (int From, int To)? Bounds(SourcedText text, Arguments arguments)
    {
        var length = (int)Values.Length(arguments.Site, text);
        var (from, to) = (Place(arguments.FindInteger(1, "start") ?? 0),
            Math.Min(Place(arguments.FindInteger(2, "end") ?? length), length));
        return from > to ? null : (Unit(from), Unit(to));

        int Place(int given) => given < 0 ? Math.Max(0, given + length) : given;

        int Unit(int count) => length == text.Length ? count : Values.Characters(text, 0, count).Length;
    }

    private static long Find(SourcedText text, Arguments arguments, bool last)
    {
        var wanted = arguments.Only("sub", "start", "end").GetText(0, "sub").Text;
        if (Bounds(text, arguments) is not var (from, to)) return -1;
        var part = text.Text[from..to];
        var at = last ? wanted.Length == 0 ? part.Length : part.LastIndexOf(wanted, StringComparison.Ordinal)
            : part.IndexOf(wanted, StringComparison.Ordinal);
        return at < 0 ? -1 : text.Text[..(from + at)].EnumerateRunes().LongCount();
    }

    private static long Found(long at, Arguments arguments) => at >= 0 ? at : throw arguments.Fail("the string is not found");

    private static IEnumerable<string> Affixes(Arguments arguments) => arguments.Only("affix", "start", "end").Get(0, "affix") switch
    {
        SourcedText text => [text.Text],
        PythonTuple list when list.All(item => item is SourcedText) => list.Select(item => ((SourcedText)item!).Text),
        var other => throw arguments.Fail($"needs a string or a tuple of strings, not {Values.Describe(other)}"),
    };

    private static long Count(string? text, string part)
    {
        if (text is null) return 0;
        if (part.Length == 0) return text.EnumerateRunes().LongCount() + 1;
        var count = 0L;
        for (var at = text.IndexOf(part, StringComparison.Ordinal); at >= 0;
             at = text.IndexOf(part, at + part.Length, StringComparison.Ordinal))
            count++;
        return count;
    }

    private static SourcedText Padded(SourcedText text, Side side, Arguments arguments)
    {
        var fill = arguments.FindText(1, "fillchar") ?? " ";
        if (fill.Length != 1) throw arguments.Fail("'fillchar' is to be one character of the basic plane");
        return Methods.Padded(text, arguments.FindInteger(0, "width") ?? throw arguments.Fail("needs a width"), fill[0], side, arguments);
    }

    private static SourcedText ZeroFilled(SourcedText text, Arguments arguments)
    {
        var width = arguments.FindInteger(0, "width") ?? throw arguments.Fail("needs a width");
        if (text.Length == 0 || text.Text[0] is not ('+' or '-')) return Methods.Padded(text, width, '0', Side.Left, arguments);
        return SourcedText.Concat(text.Slice(0, 1), Methods.Padded(text.Slice(1, text.Length - 1), width - 1, '0', Side.Left, arguments));
    }
}
