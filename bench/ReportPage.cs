using System.Globalization;
using System.Text;

namespace AnchorScope.Bench;

/// <summary>Writes docs/performance.md from the results alone.</summary>
internal static class ReportPage
{
    public static void Write()
    {
        var all = Results.LoadAll();
        var page = new StringBuilder();
        page.AppendLine("# Performance").AppendLine();
        page.AppendLine("Written by `dotnet run -c Release --project bench -- report` from `bench/results/*.json`; the numbers are measured again by `dotnet run -c Release --project bench -- all`, or by the name of a section (`large`, which takes half an hour and 14 GB of disk, by its name only). What it compares with");
        page.AppendLine("comes from Debian (`libopenblas0-pthread`, `python3-torch`) and is installed if that can be done. A ratio above 1 is for us; every ratio is from one run, in which the contenders took turns; what is predicted, derived or estimated is called so. No test depends on a time.").AppendLine();
        foreach (var group in all.GroupBy(r => r.Machine! with { Peak = 0, Bandwidth = 0, Load = 0 }))
        {
            page.AppendLine(CultureInfo.InvariantCulture, $"Machine of {string.Join(", ", group.Select(r => $"`{r.Name}`"))}: {group.Key.Processor}, {group.Key.Cores} cores, vectors of {group.Key.VectorBits} bits, {group.Key.Runtime}. Measured beside each: fused multiply-adds {Span(group.Select(r => r.Machine!.Peak))} GFLOP/s a core, reading memory {Span(group.Select(r => r.Machine!.Bandwidth))} GB/s a core, load average at the start {Span(group.Select(r => r.Machine!.Load))}.").AppendLine();
        }
        foreach (var results in all)
        {
            page.AppendLine(CultureInfo.InvariantCulture, $"## {results.Title}").AppendLine();
            page.AppendLine(CultureInfo.InvariantCulture, $"`{results.Name}`, {results.Date}. {results.Method}").AppendLine();
            page.AppendLine(CultureInfo.InvariantCulture, $"| | {results.Columns[0]} | {results.Columns[1]} | ratio | bar | met |").AppendLine("|---|---:|---:|---:|---:|---|");
            foreach (var line in results.Lines) page.AppendLine(CultureInfo.InvariantCulture, $"| {string.Join(" | ", Results.Cells(line))} |");
            page.AppendLine();
            if (results.Figure is { } figure) page.AppendLine(CultureInfo.InvariantCulture, $"![{results.Title}]({figure})").AppendLine();
            foreach (var note in results.Notes) page.AppendLine(note).AppendLine();
        }
        var notes = Path.Combine(Repository.Root, "bench", "notes.md");
        if (File.Exists(notes)) page.Append(File.ReadAllText(notes));
        File.WriteAllText(Path.Combine(Repository.Root, "docs", "performance.md"), page.ToString());
    }

    private static string Span(IEnumerable<double> values)
    {
        var list = values.ToList();
        return list.Max() - list.Min() < 0.05 ? list[0].ToString("0.0", CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{list.Min():0.0} to {list.Max():0.0}");
    }
}
