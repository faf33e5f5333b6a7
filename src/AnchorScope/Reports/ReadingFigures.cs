using System.Globalization;
using AnchorScope.Figures;
using AnchorScope.Prompts;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>
/// The attention of a diagnosis's examples to their pictures, one figure per span: "reading-instruction", "reading-last". A row is an
/// example under one condition: its picture, a map for each instruction, and their difference.
/// </summary>
internal static class ReadingFigures
{
    public static IEnumerable<(string Name, Figure Figure)> Of(Diagnosis diagnosis, string data)
    {
        var pictures = new Dictionary<string, Picture>(StringComparer.Ordinal);
        foreach (var example in diagnosis.Examples)
        {
            if (example.Picture is { } file && example.ImageBoxes.Count > 0 && Path.Combine(data, file) is var path && File.Exists(path))
                pictures[example.Id] = Picture.Load(path);
        }
        foreach (var (span, name) in new[] { ("instruction", "instruction tokens"), ("last", "the last position") })
        {
            var panels = diagnosis.Examples.Where(e => pictures.ContainsKey(e.Id)).SelectMany(e => Rows(e, span, pictures[e.Id])).ToList();
            if (panels.Count > 0)
            {
                yield return ($"reading-{span}", new OverlayFigure($"What {name} read of the picture", panels)
                {
                    Columns = 4, ScaleLabel = "Share of attention over share of area",
                        DifferenceLabel = "Difference: told picture minus told text",
                });
            }
        }
    }

    private static IEnumerable<OverlayPanel> Rows(ExampleConflict example, string span, Picture picture)
    {
        var read = example.Runs.SelectMany(run => run.Readings.Where(r => r.Span == span).Select(r => (run.Modality, Reading: r))).ToList();
        PixelBox?[] boxes = [.. example.ImageBoxes.Select(b => b is null ? (PixelBox?)null : new PixelBox(b[0], b[1], b[2], b[3]))];
        foreach (var condition in read.GroupBy(r => r.Reading.Condition))
        {
            yield return new OverlayPanel("picture", "", picture, [], []) { Row = $"{example.Id}, {condition.Key}" };
            var (vision, text) = (Find("vision"), Find("text"));
            if (vision is not null) yield return new OverlayPanel("told to trust the picture", Share(vision.Total), picture, boxes,
                vision.Tokens);
            if (text is not null) yield return new OverlayPanel("told to trust the text", Share(text.Total), picture, boxes, text.Tokens);
            if (vision is null || text is null) continue;
            yield return new OverlayPanel("difference", Points(vision.Total - text.Total), picture, boxes,
                [.. vision.Tokens.Zip(text.Tokens, (v, t) => v - t)])
            {
                IsDifference = true,
            };

            ImageReading? Find(string modality) => condition.Where(r => r.Modality == modality).Select(r => r.Reading).FirstOrDefault();
        }
    }

    private static string Share(double total) => string.Create(CultureInfo.InvariantCulture, $"{total * 100:0.0} %");

    private static string Points(double difference) => $"{Numbers.Change(difference * 100, 1)} points";
}
