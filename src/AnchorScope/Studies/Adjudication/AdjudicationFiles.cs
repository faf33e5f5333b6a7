using System.Globalization;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Adjudications as files: JSON and Markdown tables.</summary>
internal static class AdjudicationFiles
{
    /// <summary>Version of the format of adjudication.json.</summary>
    public const int Schema = 2;

    /// <summary>Writes adjudication.json and adjudication.md.</summary>
    public static void Write(string folder, IReadOnlyList<Adjudication> found, IReadOnlyList<AdjudicationSummary> summaries)
    {
        var json = DiagnosisFiles.Json(new { Schema, Models = found, Summaries = summaries });
        DiagnosisFiles.Text(Path.Combine(folder, "adjudication.json"), json);
        string[] tables = [.. found.Select(Markdown), .. summaries.Select(Markdown)];
        DiagnosisFiles.Text(Path.Combine(folder, "adjudication.md"), string.Join("\n", tables));
    }

    /// <summary>The table of one model.</summary>
    public static string Markdown(Adjudication found)
    {
        var lines = new List<string>
        {
            $"**{found.Model}**, arbiters {(found.Truth == "planted" ? "planted" : "by its own diagnosis")}: "
                + $"{(found.Arbiters.Count == 0 ? "none" : string.Join(" ", found.Arbiters))}",
            "",
            "| method | flagged | precision | recall | among the k best | best head | runs |",
            "|---|---|---|---|---|---|---|",
        };
        lines.AddRange(found.Methods.Select(m =>
            $"| {Plain(m.Method)} | {Names(m.Flagged)} | {Share(m.Precision)} | {Share(m.Recall)} "
                + $"| {(m.Hits is { } hits ? $"{hits} of {found.Arbiters.Count}" : "")} | {m.Best}, {Plain(m.BestRole)} | {m.Runs} |"));
        return string.Join('\n', lines) + "\n";
    }

    /// <summary>The table of all methods over the models with one kind of truth, and of the roles they flag.</summary>
    public static string Markdown(AdjudicationSummary summary)
    {
        var roles = summary.Methods[0].Roles;
        var lines = new List<string>
        {
            $"**All models, arbiters {(summary.Truth == "planted" ? "planted" : "by their own diagnosis")}**: "
                + string.Join(", ", summary.Models),
            "",
            "| method | right | found | first | runs |",
            "|---|---|---|---|---|",
        };
        lines.AddRange(summary.Methods.Select(m =>
            $"| {Plain(m.Method)} | {Counted(m.Hits, m.Flagged, m.Precision)} | {Counted(m.Hits, m.Arbiters, m.Recall)} "
                + $"| {m.First} of {summary.WithArbiters} | {m.Runs} |"));
        lines.AddRange(["", Row("method", roles.Select(r => Plain(r.Role))), Row("---", roles.Select(_ => "---"))]);
        lines.AddRange(summary.Methods.Select(m => Row(Plain(m.Method), m.Roles.Select(r => $"{r.Flagged} of {r.Heads}"))));
        return string.Join('\n', lines) + "\n";
    }

    private static string Row(string first, IEnumerable<string> rest) => $"| {first} | {string.Join(" | ", rest)} |";

    private static string Counted(int count, int of, Estimate share) =>
        of == 0 ? "none" : $"{count} of {of} ({Share(share.Low)} to {Share(share.High)})";

    private static string Plain(string name) => name.Replace('_', ' ');

    private static string Names(IReadOnlyList<HeadId> heads) => heads.Count switch
    {
        0 => "none",
        <= 8 => string.Join(" ", heads),
        _ => Plural.Of(heads.Count, "head"),
    };

    private static string Share(double value) => double.IsNaN(value) ? "" : value.ToString("0.00", CultureInfo.InvariantCulture);
}
