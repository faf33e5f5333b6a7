using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace AnchorScope.Bench;

/// <summary>One measured line.</summary>
/// <param name="What">What was run.</param>
/// <param name="Ours">Our figure, with its unit.</param>
/// <param name="Theirs">The peer's figure, with its unit; "" if there is none.</param>
/// <param name="Ratio">The ratio that is compared with the bar.</param>
/// <param name="Bar">The smallest acceptable ratio, or the largest one if <paramref name="AtMost"/>; null: for information only.</param>
/// <param name="AtMost">Whether the bar is an upper bound.</param>
internal sealed record Line(string What, string Ours, string Theirs, double? Ratio, double? Bar, bool AtMost = false)
{
    public string Met => Ratio is not { } ratio || Bar is not { } bar ? "" : (AtMost ? ratio <= bar : ratio >= bar) ? "yes" : "no";
}

/// <summary>The results of one benchmark.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Title">The question that it answers.</param>
/// <param name="Method">How it was measured, in enough detail for a sceptic.</param>
/// <param name="Columns">Headings of the columns for ours and theirs.</param>
/// <param name="Notes">What a reader needs to know to interpret the lines.</param>
internal sealed record Results(string Name, string Title, string Method, string[] Columns, IReadOnlyList<Line> Lines,
    IReadOnlyList<string> Notes)
{
    public string Date { get; init; } = DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    public Machine? Machine { get; init; }

    /// <summary>Path of a figure of the lines, relative to docs/performance.md.</summary>
    public string? Figure { get; init; }

    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Folder { get; } = Path.Combine(Repository.Root, "bench", "results");

    public void Save()
    {
        Directory.CreateDirectory(Folder);
        File.WriteAllText(Path.Combine(Folder, Name + ".json"), JsonSerializer.Serialize(this, Indented) + "\n");
    }

    public static IReadOnlyList<Results> LoadAll() =>
        [.. Directory.GetFiles(Folder, "*.json").Order(StringComparer.Ordinal)
            .Select(path => JsonSerializer.Deserialize<Results>(File.ReadAllText(path))!)];

    public void Print()
    {
        var table = new Table().Border(TableBorder.Rounded).Title(Title.EscapeMarkup()).AddColumn("")
            .AddColumn(new TableColumn(Columns[0]).RightAligned())
            .AddColumn(new TableColumn(Columns[1]).RightAligned()).AddColumn(new TableColumn("ratio").RightAligned())
            .AddColumn(new TableColumn("bar").RightAligned()).AddColumn("met");
        foreach (var line in Lines) table.AddRow([.. Cells(line).Select(cell => new Markup(cell.EscapeMarkup()))]);
        AnsiConsole.Write(table);
        foreach (var note in Notes) AnsiConsole.WriteLine(note);
    }

    public static string[] Cells(Line line) =>
    [
        line.What, line.Ours, line.Theirs, line.Ratio?.ToString(line.Ratio >= 20 ? "0.0" : "0.00", CultureInfo.InvariantCulture) ?? "",
        line.Bar is { } bar ? (line.AtMost ? "at most " : "") + bar.ToString("0.##", CultureInfo.InvariantCulture) : "", line.Met,
    ];
}
