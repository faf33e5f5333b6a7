using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>The four Unicode normalisation forms (UAX #15), which keep the origin of every character.</summary>
internal sealed class UnicodeNormalization
{
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28, HangulCount = LeadCount * VowelCount * TailCount;

    // Created once, because reading the tables takes some milliseconds and they are the same for every tokenizer.
    private static readonly Lazy<UnicodeNormalization> Nfc = new(() => new(compose: true, compatibility: false));
    private static readonly Lazy<UnicodeNormalization> Nfd = new(() => new(compose: false, compatibility: false));
    private static readonly Lazy<UnicodeNormalization> Nfkc = new(() => new(compose: true, compatibility: true));
    private static readonly Lazy<UnicodeNormalization> Nfkd = new(() => new(compose: false, compatibility: true));

    private readonly Dictionary<int, int[]> decompositions = [];
    private readonly Dictionary<(int First, int Second), int> compositions = [];
    private readonly HashSet<int> seconds = [];
    private readonly Dictionary<int, byte> classes = [];
    private readonly bool compose;

    private UnicodeNormalization(bool compose, bool compatibility)
    {
        this.compose = compose;
        foreach (var (code, targets, excluded) in Entries(CanonicalTable.Decompositions))
        {
            decompositions[code] = targets;
            if (targets.Length != 2 || excluded) continue;
            compositions[(targets[0], targets[1])] = code;
            seconds.Add(targets[1]);
        }
        if (compatibility)
            foreach (var (code, targets, _) in Entries(CompatibilityTable.Decompositions)) decompositions[code] = targets;
        foreach (var entry in Words(CanonicalTable.CombiningClasses))
        {
            var (first, last, value) = Split(entry);
            for (var code = first; code <= last; code++) classes[code] = byte.Parse(value, CultureInfo.InvariantCulture);
        }
        for (var i = 0; i < VowelCount; i++) seconds.Add(VowelBase + i);
        for (var i = 1; i < TailCount; i++) seconds.Add(TailBase + i);
    }

    /// <param name="compose">NFC and NFKC compose again, NFD and NFKD do not.</param>
    /// <param name="compatibility">NFKC and NFKD also replace compatibility characters.</param>
    public static UnicodeNormalization Form(bool compose, bool compatibility) => (compose, compatibility) switch
    {
        (true, false) => Nfc.Value,
        (false, false) => Nfd.Value,
        (true, true) => Nfkc.Value,
        (false, true) => Nfkd.Value,
    };

    /// <summary>
    /// Normalises run by run. A run contains characters that can interact: a starter and everything that may be reordered or composed with
    /// it. Characters of a run that changes are all aligned to the whole run.
    /// </summary>
    public AlignedText Apply(AlignedText input)
    {
        var result = new AlignedText.Builder(input.Length);
        var run = new List<int>();
        var text = input.Text;
        for (int from = 0, to; from < text.Length; from = to)
        {
            run.Clear();
            to = from;
            do
            {
                var rune = Rune.GetRuneAt(text, to);
                Decompose(rune.Value, run);
                to += rune.Utf16SequenceLength;
            }
            while (to < text.Length && ContinuesRun(Rune.GetRuneAt(text, to).Value));
            if (run.Count == 1 && to - from == 1 && run[0] == text[from])
            {
                result.Append(input, from, 1);
                continue;
            }
            Reorder(run);
            if (compose) Compose(run);
            var changed = string.Concat(run.Select(code => new Rune(code).ToString()));
            if (text.AsSpan(from, to - from).SequenceEqual(changed)) result.Append(input, from, to - from);
            else result.Append(changed, input.StartOf(from), input.EndOf(to - 1));
        }
        return result.Build();
    }

    private bool ContinuesRun(int code)
    {
        if (code < 0x300) return false;
        var first = code;
        while (decompositions.TryGetValue(first, out var targets)) first = targets[0];
        return Class(first) != 0 || (compose && seconds.Contains(first));
    }

    private byte Class(int code) => classes.GetValueOrDefault(code);

    private void Decompose(int code, List<int> run)
    {
        var syllable = code - HangulBase;
        if (syllable is >= 0 and < HangulCount)
        {
            run.Add(LeadBase + syllable / (VowelCount * TailCount));
            run.Add(VowelBase + syllable / TailCount % VowelCount);
            if (syllable % TailCount != 0) run.Add(TailBase + syllable % TailCount);
        }
        else if (decompositions.TryGetValue(code, out var targets))
            foreach (var target in targets) Decompose(target, run);
        else
            run.Add(code);
    }

    private void Reorder(List<int> run)
    {
        for (int from = 0, to; from < run.Count; from = to)
        {
            for (to = from + 1; to < run.Count && Class(run[to]) != 0;) to++;
            var first = Class(run[from]) == 0 ? from + 1 : from;
            if (to - first < 2) continue;
            var marks = run.GetRange(first, to - first).OrderBy(Class).ToList(); // stable, as the standard demands
            for (var i = 0; i < marks.Count; i++) run[first + i] = marks[i];
        }
    }

    private void Compose(List<int> run)
    {
        int starter = -1, count = 0, lastClass = 0;
        foreach (var code in run.ToArray())
        {
            var ownClass = Class(code);
            var unblocked = starter >= 0 && (count - 1 == starter || lastClass < ownClass);
            if (unblocked && Composed(run[starter], code) is { } whole)
            {
                run[starter] = whole;
                continue;
            }
            if (ownClass == 0) starter = count;
            lastClass = ownClass;
            run[count++] = code;
        }
        run.RemoveRange(count, run.Count - count);
    }

    private int? Composed(int first, int second)
    {
        var (lead, vowel, tail) = (first - LeadBase, second - VowelBase, second - TailBase);
        if (lead is >= 0 and < LeadCount && vowel is >= 0 and < VowelCount)
            return HangulBase + (lead * VowelCount + vowel) * TailCount;
        var syllable = first - HangulBase;
        if (syllable is >= 0 and < HangulCount && syllable % TailCount == 0 && tail is > 0 and < TailCount)
            return first + tail;
        return compositions.TryGetValue((first, second), out var whole) ? whole : null;
    }

    private static IEnumerable<(int Code, int[] Targets, bool Excluded)> Entries(string table)
    {
        foreach (var entry in Words(table))
        {
            var (first, last, value) = Split(entry);
            var targets = value.TrimEnd('!').Split('+').Select(Hex).ToArray();
            for (var code = first; code <= last; code++)
                yield return (code, [targets[0] + code - first, .. targets[1..]], value[^1] == '!');
        }
    }

    private static string[] Words(string table) => table.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries);

    private static (int First, int Last, string Value) Split(string entry)
    {
        var sides = entry.Split('=');
        var codes = sides[0].Split('-');
        return (Hex(codes[0]), Hex(codes[^1]), sides[1]);
    }

    private static int Hex(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
