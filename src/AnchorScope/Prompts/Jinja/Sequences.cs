using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>The filters that sort, group or sum.</summary>
internal static class Sequences
{
    public static object? Apply(object? value, Arguments arguments)
    {
        switch (arguments.Name)
        {
            case "sort":
                arguments.Only("reverse", "case_sensitive", "attribute");
                return Sorted(Items(), Keys(arguments.FindText(2, "attribute"), arguments.Flag(1, "case_sensitive")),
                    arguments.Flag(0, "reverse"), arguments);
            case "dictsort":
                return SortedDictionary(value, arguments.Only("case_sensitive", "by", "reverse"));
            case "min" or "max":
                arguments.Only("case_sensitive", "attribute");
                var key = Keys(arguments.FindText(1, "attribute"), arguments.Flag(0, "case_sensitive"));
                var sign = arguments.Name == "min" ? -1 : 1;
                return Items() is [var head, .. var rest]
                    ? rest.Aggregate(head, (best, item) => Math.Sign(Values.Compare(arguments.Site, key(item), key(best))) == sign ? item
                        : best)
                    : new Undefined("No aggregated item, sequence was empty.");
            case "unique":
                arguments.Only("case_sensitive", "attribute");
                return Later(() => Unique(Items(), Keys(arguments.FindText(1, "attribute"), arguments.Flag(0, "case_sensitive")),
                    arguments));
            case "batch":
                return Later(() => Batches(Items(), Count(arguments.Only("linecount", "fill_with"), "linecount"), arguments));
            case "slice":
                return Later(() => Slices(Items(), Count(arguments.Only("slices", "fill_with"), "slices"), arguments));
            case "groupby":
                return Groups(Items(), arguments.Only("attribute", "default", "case_sensitive"));
            default:
                return Sum(Items(), arguments.Only("attribute", "start"));
        }

        // Lazy: items are evaluated only when they are requested.
        PythonGenerator Later(Func<List<object?>> make)
        {
            return new(Items());

            IEnumerable<object?> Items()
            {
                foreach (var item in make()) yield return item;
            }
        }

        List<object?> Items() => [.. Values.Iterate(arguments.Site, value)];

        // Several attributes, separated by commas, are compared one after the other.
        Func<object?, object?> Keys(string? attributes, bool caseSensitive) => item => attributes is null ? Folded(item, caseSensitive)
            : attributes.Split(',') is [var one] ? Folded(Filters.Attribute(item, one, arguments), caseSensitive)
            : new List<object?>(attributes.Split(',').Select(name => Folded(Filters.Attribute(item, name, arguments), caseSensitive)));
    }

    private static object? Folded(object? value, bool caseSensitive) => value is SourcedText text && !caseSensitive
        ? new SourcedText(UnicodeCasing.Lower(text.Text)) : value;

    // The sort is stable, in reverse order too.
    private static List<object?> Sorted(List<object?> items, Func<object?, object?> key, bool reverse, Arguments arguments)
    {
        var sorted = new List<(object? Key, object? Item)>(items.Count);
        foreach (var item in items)
        {
            var own = key(item);
            var (low, high) = (0, sorted.Count);
            while (low < high)
            {
                arguments.Budget.Spend(arguments.Site, Budget.ElementWork);
                var middle = (low + high) / 2;
                var order = Values.Compare(arguments.Site, own, sorted[middle].Key);
                if (reverse ? order > 0 : order < 0) high = middle;
                else low = middle + 1;
            }
            // Moving the items after the insertion point has a cost too.
            arguments.Budget.Spend(arguments.Site, (sorted.Count - low) / 8);
            sorted.Insert(low, (own, item));
        }
        return [.. sorted.Select(entry => entry.Item)];
    }

    private static List<object?> SortedDictionary(object? value, Arguments arguments)
    {
        if (value is not Mapping mapping) throw arguments.Fail($"needs a dictionary, not {Values.Describe(value)}");
        var place = (arguments.FindText(1, "by") ?? "key") switch { "key" => 0, "value" => 1, _ =>
            throw arguments.Fail("'by' is to be \"key\" or \"value\"") };
        var sensitive = arguments.Flag(0, "case_sensitive");
        return Sorted(Methods.Items(mapping), pair => Folded(((PythonTuple)pair!)[place], sensitive), arguments.Flag(2, "reverse"),
            arguments);
    }

    private static List<object?> Unique(List<object?> items, Func<object?, object?> key, Arguments arguments)
    {
        var (kept, keys) = (new List<object?>(), new List<object?>());
        foreach (var item in items)
        {
            arguments.Budget.Spend(arguments.Site, Budget.ElementWork * (keys.Count + 1));
            var own = key(item);
            if (keys.Any(other => Values.AreEqual(arguments.Site, other, own))) continue;
            keys.Add(own);
            kept.Add(item);
        }
        return kept;
    }

    private static int Count(Arguments arguments, string name) =>
        arguments.FindInteger(0, name) is { } count and > 0 and <= 100_000 ? count
            : throw arguments.Fail($"'{name}' is to be a number from 1 to 100000");

    private static List<object?> Batches(List<object?> items, int count, Arguments arguments)
    {
        var batches = items.Chunk(count).Select(chunk => (object?)chunk.ToList()).ToList();
        if (arguments.Find(1, "fill_with") is { } fill && batches is [.., List<object?> last])
        {
            arguments.Budget.Spend(arguments.Site, Budget.ElementWork * count);
            while (last.Count < count) last.Add(fill);
        }
        return batches;
    }

    private static List<object?> Slices(List<object?> items, int count, Arguments arguments)
    {
        arguments.Budget.Spend(arguments.Site, Budget.ElementWork * count);
        var (each, longer, from) = (items.Count / count, items.Count % count, 0);
        var slices = new List<object?>();
        for (var i = 0; i < count; i++)
        {
            var size = each + (i < longer ? 1 : 0);
            var slice = items.GetRange(from, size);
            from += size;
            if (i >= longer && arguments.Find(1, "fill_with") is { } fill) slice.Add(fill);
            slices.Add(slice);
        }
        return slices;
    }

    private static List<object?> Groups(List<object?> items, Arguments arguments)
    {
        var (path, sensitive) = (arguments.Get(0, "attribute"), arguments.Flag(2, "case_sensitive"));
        var groups = new List<object?>();
        object? last = null;
        foreach (var item in Sorted(items, item => Folded(Of(item), sensitive), reverse: false, arguments))
        {
            var key = Folded(Of(item), sensitive);
            if (groups.Count == 0 || !Values.AreEqual(arguments.Site, last,
                key)) groups.Add(new PythonTuple([Of(item), new List<object?>()]) { IsGroup = true });
            ((List<object?>)((PythonTuple)groups[^1]!)[1]!).Add(item);
            last = key;
        }
        return groups;

        object? Of(object? item)
        {
            var found = path is SourcedText text ? Filters.Attribute(item, text.Text, arguments)
                : Operators.Index(arguments.Site, item, path);
            return found is Undefined && arguments.Has(1, "default") ? arguments.Find(1, "default") : found;
        }
    }

    // Python adds floats with compensation for the error of each addition (Neumaier 1974).
    private static object? Sum(List<object?> items, Arguments arguments)
    {
        if (arguments.FindText(0, "attribute") is { } path) items = [.. items.Select(item => Filters.Attribute(item, path, arguments))];
        var total = arguments.Has(1, "start") ? arguments.Find(1, "start") : 0L;
        var carried = 0.0;
        foreach (var item in items)
        {
            if (total is double sum && Values.IsNumber(item))
            {
                var next = Values.AsDouble(item!);
                var rounded = sum + next;
                carried += Math.Abs(sum) >= Math.Abs(next) ? sum - rounded + next : next - rounded + sum;
                total = rounded;
            }
            else
                total = Operators.Apply(arguments.Site, "+", total, item, arguments.Budget);
        }
        return total is double whole && carried != 0 && double.IsFinite(carried) ? whole + carried : total;
    }
}
