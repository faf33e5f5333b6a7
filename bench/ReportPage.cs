using System.Globalization;

namespace AnchorScope.Bench;

/// <summary>
/// Writes the tables and dates of docs/performance.md from the results; its text, its summary and its figure are edited by hand.
/// </summary>
internal static class ReportPage
{
    public static void Write()
    {
        var path = Path.Combine(Repository.Root, "docs", "performance.md");
        var lines = File.ReadAllLines(path).ToList();
        foreach (var results in Results.LoadAll()) Replace(lines, results);
        File.WriteAllText(path, string.Join('\n', lines) + "\n");
        Console.WriteLine($"{path}: the tables are those of bench/results; check the summary and its figure against them");
    }

    /// <summary>The table of a section: the first one after the line with its name and date.</summary>
    private static void Replace(List<string> lines, Results results)
    {
        var name = $"`{results.Name}`, ";
        var at = lines.FindIndex(line => line.StartsWith(name, StringComparison.Ordinal));
        var first = at < 0 ? -1 : lines.FindIndex(at, line => line.EndsWith("| ratio | bar | met |", StringComparison.Ordinal));
        if (first < 0)
            throw new InvalidOperationException(
                $"docs/performance.md: expected a section with {name}and a table with ratio, bar and met, found none");
        lines[at] = $"{name}{results.Date}{lines[at][(name.Length + "yyyy-MM-dd".Length)..]}";
        var count = lines.Skip(first).TakeWhile(line => line.StartsWith('|')).Count();
        lines.RemoveRange(first, count);
        lines.InsertRange(first, [
            string.Create(CultureInfo.InvariantCulture, $"| | {results.Columns[0]} | {results.Columns[1]} | ratio | bar | met |"),
            "|---|---:|---:|---:|---:|---|",
            .. results.Lines.Select(line => $"| {string.Join(" | ", Results.Cells(line))} |"),
        ]);
    }
}
