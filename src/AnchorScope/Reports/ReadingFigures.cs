using System.Globalization;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>What the examples of a diagnosis read of their pictures, one figure by span: "reading-instruction", "reading-last".</summary>
internal static class ReadingFigures
{
    private const string Before = "no intervention";

    public static IEnumerable<(string Name, Figure Figure)> Of(Diagnosis diagnosis, string data)
    {
        var pictures = new Dictionary<string, Picture>(StringComparer.Ordinal);
        foreach (var example in diagnosis.Examples)
        {
            if (example.Picture is { } file && example.ImageBoxes.Count > 0 && Path.Combine(data, file) is var path && File.Exists(path)) pictures[example.Id] = Picture.Load(path);
        }
        foreach (var (span, name) in new[] { ("instruction", "instruction tokens"), ("last", "the last position") })
        {
            var panels = diagnosis.Examples.Where(e => pictures.ContainsKey(e.Id)).SelectMany(e => e.Runs.SelectMany(run => run.Readings.Where(r => r.Span == span).Select(r => Panel(e, run, r, pictures[e.Id])))).ToList();
            if (panels.Count > 0)
                yield return ($"reading-{span}", new OverlayFigure($"What {name} read of the picture", panels) { Columns = 4, ScaleLabel = "Share of attention over share of area" });
        }
    }

    /// <summary>"before" and "after" in words.</summary>
    public static string Conditions(Diagnosis diagnosis) =>
        diagnosis.Examples.SelectMany(e => e.Runs).SelectMany(r => r.Readings).Select(r => r.Condition).FirstOrDefault(c => c != Before) is { } after
            ? $"before and after the {after.Replace(" blocked", " are blocked", StringComparison.Ordinal)}"
            : "with no head blocked";

    private static OverlayPanel Panel(ExampleConflict example, ExampleRun run, ImageReading reading, Picture picture) => new(
        $"{(run.Modality == "vision" ? "trust picture" : "trust text")}, {(reading.Condition == Before ? "before" : "after")}",
        string.Create(CultureInfo.InvariantCulture, $"{reading.Total * 100:0.0} %"), picture,
        [.. example.ImageBoxes.Select(b => b is null ? (PixelBox?)null : new PixelBox(b[0], b[1], b[2], b[3]))], reading.Tokens);
}
