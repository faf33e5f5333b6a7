using AnchorScope.Figures;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>The figures of an adjudication: how often each method is right, and which roles it flags.</summary>
internal static class AdjudicationFigures
{
    /// <summary>The figures by file name.</summary>
    public static IReadOnlyDictionary<string, Figure> Of(AdjudicationSummary summary)
    {
        string[] methods = [.. summary.Methods.Select(m => m.Method.Replace('_', ' '))];
        var planted = summary.Truth == "planted";
        var models = Plural.Of(summary.Models.Count, "model");
        return new Dictionary<string, Figure>(StringComparer.Ordinal)
        {
            [$"methods-{summary.Truth}"] = new IntervalFigure($"Flagged heads against {summary.Truth} arbiters, {models}", methods,
            [
                new(planted ? "precision: flagged heads that are arbiters" : "flagged heads that are arbiters by diagnosis",
                    [.. summary.Methods.Select(m => m.Precision)]),
                new(planted ? "recall: arbiters that are flagged" : "arbiters by diagnosis that are flagged",
                    [.. summary.Methods.Select(m => m.Recall)]),
            ])
            {
                XLabel = $"Share over {models}, 95 % interval",
            },
            [$"roles-{summary.Truth}"] = new ShareTableFigure($"Heads flagged by method and {summary.Truth} role, {models}", methods,
                [.. summary.Methods[0].Roles.Select(r => RoleName.For(r.Role))],
                [.. summary.Methods.Select(m => m.Roles.Select(r => new CountOf(r.Flagged, r.Heads)).ToList())]),
        };
    }

    /// <summary>Writes figures/*.svg into <paramref name="folder"/>, each atomically.</summary>
    public static void Write(string folder, IReadOnlyList<AdjudicationSummary> summaries)
    {
        Directory.CreateDirectory(Path.Combine(folder, "figures"));
        foreach (var (name, figure) in summaries.SelectMany(Of))
            DiagnosisFiles.Text(Path.Combine(folder, "figures", name + ".svg"), figure.ToSvg(standalone: true));
    }
}
