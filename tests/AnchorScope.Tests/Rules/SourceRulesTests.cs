using System.Text.RegularExpressions;

namespace AnchorScope.Tests.Rules;

/// <summary>Rules for the source code. Each states its reason.</summary>
public sealed partial class SourceRulesTests
{
    private const int LongestFile = 400;
    private const int WidestLine = 140;

    private static readonly string[] Sources = [.. new[] { "src", "tests", "tools", "bench", "samples" }.SelectMany(folder =>
        Directory.EnumerateFiles(Path.Combine(Fixtures.Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj")))];

    /// <summary>Folders that contain sentences shown to users.</summary>
    private static readonly string[] Speaking =
        ["src/AnchorScope/Reports/", "src/AnchorScope/Studies/", "src/AnchorScope/Tuning/", "src/AnchorScope/Baking/",
            "src/AnchorScope/Figures/", "src/AnchorScope.Cli/"];

    [Fact]
    public void NoFileIsLongerThanAReaderKeepsInMind() =>
        Empty(Sources.Select(path => (path, lines: File.ReadLines(path).Count())).Where(f => f.lines > LongestFile)
            .Select(f => $"{Name(f.path)} has {f.lines} lines: split it by idea"));

    /// <summary>A line that has to be scrolled is not read. Texts between triple quotes are written as they are printed.</summary>
    [Fact]
    public void NoLineIsWiderThanAScreen() => Empty(
        from path in Sources
        let raw = RawText(File.ReadAllText(path))
        from line in File.ReadLines(path).Index()
        where line.Item.Length > WidestLine && !raw.Contains(line.Index)
        select $"{Name(path)}:{line.Index + 1} has {line.Item.Length} columns, more than {WidestLine}");

    [Fact]
    public void TripleQuotesCount_WhereATextBegins()
    {
        const string Three = "\"\"\"";
        Assert.Equal([1, 2, 3], RawText($"a\nf({Three}\n  // \"text\n  {Three});\nb").Order());
        Assert.Equal([0], RawText($"var text = {Three}one line{Three};\nb").Order());
        Assert.Equal([1, 2], RawText($"$\"{{f(\"a\")}}\";\n${Three}\"\n x {Three}\"\nb").Order());
        // In a comment, a character and another text they mean nothing.
        Assert.Empty(RawText($"// as in {Three}\nb /* {Three} */ 'x'\n'\"' + '\\'' + \"\\\"\" + @\"{Three}\"\"\"\"\nb"));
    }

    /// <summary>Private words that once stood here, with the field's own beside them.</summary>
    [Fact]
    public void CommentsUseTheWordsOfTheField() => Empty(
        Matches(PrivateWords(), "say backward pass, gradient with respect to, packed, prefix, prefetch, after or before")
            .Where(line => !line.StartsWith("tests/AnchorScope.Tests/Rules/", StringComparison.Ordinal)));

    [Fact]
    public void DocumentsUseTheWordsOfTheField() => Empty(
        Directory.EnumerateFiles(Path.Combine(Fixtures.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Append(Path.Combine(Fixtures.Root, "README.md")).Append(Path.Combine(Fixtures.Root, "CONTRIBUTING.md"))
            .Where(path => Path.GetFileName(path) != "log.md")
            .SelectMany(
                path => File.ReadLines(path).Where(line => PrivateWords().IsMatch(line)).Select(line => $"{Name(path)}: {line.Trim()}")));

    [Fact]
    public void NoTypeIsNamedForNothing() => Empty(Matches(Vague(), "names a role, not a concept: say what it is"));

    [Fact]
    public void NothingIsLeftForLater() => Empty(Matches(Unfinished(), "unfinished work belongs in the issue list"));

    [Fact]
    public void NoRegionsAndNoPartialClasses() => Empty(Matches(Folding(), "folding hides length: split the file instead")
        .Where(line => !line.StartsWith("tests/AnchorScope.Tests/Rules/", StringComparison.Ordinal)
            // Generated calls of native libraries need it.
            && !line.StartsWith("bench/OpenBlas.cs", StringComparison.Ordinal)));

    [Fact]
    public void TheLibraryWritesToNoConsole() =>
        Empty(Matches(ConsoleUse(), "the library returns what it found; commands print it")
            .Where(line => line.StartsWith("src/AnchorScope/", StringComparison.Ordinal)));

    /// <summary>Counts in output must be grammatical when they are one. Error messages are exempt: they quote what was found.</summary>
    [Fact]
    public void CountsInSentencesKnowOneFromMany() => Empty(
        Matches(Counted(), "use Plural.Of, which says \"1 head\"").Where(line => !line.Contains("Exception(", StringComparison.Ordinal)
            && Speaking.Any(folder => line.StartsWith(folder, StringComparison.Ordinal))));

    [Fact]
    public void EveryPackageVersionIsCentral() => Empty(
        Directory.EnumerateFiles(Fixtures.Root, "*.csproj", SearchOption.AllDirectories)
            .Where(path => PackageVersion().IsMatch(File.ReadAllText(path)))
            .Select(path => $"{Name(path)}: versions belong in Directory.Packages.props"));

    [Fact]
    public void DocumentsNameNoPathOfAMachine() => Empty(
        Directory.EnumerateFiles(Path.Combine(Fixtures.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Append(Path.Combine(Fixtures.Root, "README.md"))
            .SelectMany(
                path => File.ReadLines(path).Where(line => MachinePath().IsMatch(line)).Select(line => $"{Name(path)}: {line.Trim()}")));

    private static IEnumerable<string> Matches(Regex rule, string why) =>
        Sources.SelectMany(path => File.ReadLines(path).Select((line, i) => (line, i)).Where(l => rule.IsMatch(l.line))
            .Select(l => $"{Name(path)}:{l.i + 1}: {l.line.Trim()}: {why}"));

    /// <summary>Which lines of a file, from 0, belong to a text in triple quotes.</summary>
    private static HashSet<int> RawText(string code)
    {
        var (lines, line, at) = (new HashSet<int>(), 0, 0);
        foreach (Match part in CommentsAndTexts().Matches(code))
        {
            line += code.AsSpan(at..part.Index).Count('\n');
            var high = part.ValueSpan.Count('\n');
            if (part.Groups["quotes"].Success) lines.UnionWith(Enumerable.Range(line, high + 1));
            (line, at) = (line + high, part.Index + part.Length);
        }
        return lines;
    }

    private static string Name(string path) => Path.GetRelativePath(Fixtures.Root, path).Replace('\\', '/');

    /// <summary>Fails with every line: Assert.Empty would cut them off.</summary>
    internal static void Empty(IEnumerable<string> found)
    {
        var all = found.ToList();
        Assert.True(all.Count == 0, string.Join('\n', all));
    }

    [GeneratedRegex(@"\b(class|record|struct|interface)\s+\w+(Manager|Helper|Utils|Service|Processor|Core|Factory)\b",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Vague();

    [GeneratedRegex(@"\b(TO" + @"DO|FIX" + @"ME|HA" + @"CK)\b|NotImplemented" + "Exception",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"^\s*#region|\bpartial\s+(class|record|struct)\b", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Folding();

    [GeneratedRegex(@"\bConsole\.", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ConsoleUse();

    [GeneratedRegex(@"\{[^{}""]*(Count(\(\))?|Length|Runs|Samples|Draws|Failed|Shared|Pairs|Layers|Heads|Size)\} "
        + @"(samples|runs|heads|pairs|draws|layers|rows|tokens|variants|positions|others|models|checkpoints|sets|steps|lines|files|"
        + @"pictures|answers|tensors|prompts|arrays|edits|values|numbers)\b",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Counted();

    /// <summary>Comments, texts with and without an at sign, texts in triple quotes, characters: whichever begins first.</summary>
    [GeneratedRegex(
        @"//[^\n]*|/\*.*?\*/|(@\$?|\$@)""([^""]|"""")*""|(?<quotes>""{3,}).*?\k<quotes>|""(\\.|[^""\\\n])*""|'(\\.|[^'\\\n])+'",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.Singleline, 1000)]
    private static partial Regex CommentsAndTexts();

    [GeneratedRegex(
        @"\b(way back|derivatives? by|laid together|looks? back at|(turned|turning) of weights|one trip through|asking beyond|speaks? "
            + @"for|stands? behind)\b",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex PrivateWords();

    [GeneratedRegex("<PackageReference[^>]*\\sVersion=", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex PackageVersion();

    [GeneratedRegex(@"(?<![\w.])/(work|root|home|tmp)/", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex MachinePath();
}
