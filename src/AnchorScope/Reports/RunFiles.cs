using AnchorScope.Figures;

namespace AnchorScope.Reports;

/// <summary>The section of a page with links to the files in its folder and their descriptions.</summary>
internal static class RunFiles
{
    private static readonly (string Path, string What)[] Known =
    [
        ("diagnosis.json", "every number of this page, with definitions, tests and intervals"),
        ("summary.csv", "the same numbers, one a row"),
        ("results.jsonl", "what every run gave under every condition, a line for each run and condition"),
        ("heads-necessary.json", "the necessary heads as a set, for ascope bake, suppress and tune"),
        ("steering.json", "every number of this page, with definitions, tests and intervals"),
        ("directions.safetensors", "the directions, for ascope trace, sweep and diagnose"),
        ("series.json", "every number of this page"),
        ("series.csv", "the same numbers, one a row"),
        ("tune.json", "every number of this page, with learning curves"),
        ("settings.json", "what decides every number of the tuning"),
        ("manifest.json", "model, data and settings that the rows belong to; a resumed run has to have the same"),
        ("diagnosis-before/report.html", "the diagnosis of the original"),
        ("diagnosis-after/report.html", "the diagnosis of the tuned model"),
        ("model/README.md", "the model card of the tuned checkpoint"),
        ("adapter/README.md", "the model card of the adapter"),
    ];

    /// <summary>Adds the section. Only existing files have a link.</summary>
    /// <param name="further">Other files in the folder, with descriptions.</param>
    public static void Write(
        HtmlPage page, string folder, IReadOnlyDictionary<string, Figure> figures,
            IReadOnlyList<(string Path, string What)>? further = null)
    {
        page.Heading(2, "Files of this run");
        page.Files([.. Known.Concat(further ?? []).Where(file => File.Exists(Path.Combine(folder, file.Path)))]);
        page.Details($"{Plural.Of(figures.Count, "figure")} as SVG, for papers", p =>
            p.Files([.. figures.Select(figure => ($"figures/{figure.Key}.svg", figure.Value.Name))]));
    }
}
