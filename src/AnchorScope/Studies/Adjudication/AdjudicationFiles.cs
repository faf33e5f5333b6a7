using System.Globalization;

namespace AnchorScope.Studies;

/// <summary>Adjudications as files: JSON and Markdown tables.</summary>
public static class AdjudicationFiles
{
    /// <summary>Writes adjudication.json and adjudication.md.</summary>
    public static void Write(string folder, IReadOnlyList<Adjudication> found)
    {
        DiagnosisFiles.Text(Path.Combine(folder, "adjudication.json"), DiagnosisFiles.Json(found));
        DiagnosisFiles.Text(Path.Combine(folder, "adjudication.md"), string.Join("\n", found.Select(Markdown)));
    }

    /// <summary>One model's table.</summary>
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
            $"| {m.Method.Replace('_', ' ')} | {Names(m.Flagged)} | {Share(m.Precision)} | {Share(m.Recall)} | {(m.Hits is { } hits ? $"{hits} of {found.Arbiters.Count}" : "")} "
                + $"| {m.Best}, {m.BestRole.Replace('_', ' ')} | {m.Runs} |"));
        return string.Join('\n', lines) + "\n";
    }

    private static string Names(IReadOnlyList<HeadId> heads) => heads.Count switch
    {
        0 => "none",
        <= 8 => string.Join(" ", heads),
        _ => $"{heads.Count} heads",
    };

    private static string Share(double value) => double.IsNaN(value) ? "" : value.ToString("0.00", CultureInfo.InvariantCulture);
}
