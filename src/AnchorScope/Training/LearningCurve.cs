using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Figures;

namespace AnchorScope.Training;

/// <summary>Writes the learning curve of a run as lines of JSON and as a figure.</summary>
internal static class LearningCurve
{
    /// <summary>Writes <c>curve.jsonl</c> and <c>curve.svg</c> into <paramref name="folder"/>.</summary>
    public static void Write(string folder, Recipe recipe, IReadOnlyList<CurvePoint> curve)
    {
        WriteLines(Path.Combine(folder, "curve.jsonl"), curve);
        var first = recipe.Stages.Select((s, i) => (s.Name, From: recipe.Stages.Take(i).Sum(b => b.Steps))).ToDictionary(s => s.Name,
            s => s.From, StringComparer.Ordinal);
        LineSeries Series(IEnumerable<CurvePoint> points, string stage, Func<CurvePoint, double> value, SeriesMarks marks) =>
            new(stage, [.. points.Select(p => (double)first[stage] + p.Step)], [.. points.Select(value)]) { Marks = marks };
        var stages = curve.GroupBy(p => p.Stage).ToList();
        var figure = new LineFigure(
            $"Learning curve of {recipe.Name}",
            [
                new LinePanel("Loss", [.. stages.Select(s => Series(s, s.Key, p => p.Loss, SeriesMarks.Curve))])
                    { XLabel = "step", YLabel = "loss", ZeroLine = true },
                new LinePanel("Right answers on unseen samples",
                    [.. stages.Select(s => Series(s.Where(p => p.Accuracy is not null), s.Key, p => p.Accuracy!.Value,
                        SeriesMarks.CurveAndMarkers))]) { XLabel = "step", YLabel = "share", YRange = (0, 1) },
            ]);
        AtomicFile.Write(Path.Combine(folder, "curve.svg"), stream => stream.Write(Encoding.UTF8.GetBytes(figure.ToSvg(standalone: true))));
    }

    /// <summary>One line of JSON for each point.</summary>
    public static void WriteLines(string file, IReadOnlyList<CurvePoint> curve) => AtomicFile.Write(file, stream =>
    {
        foreach (var point in curve) stream.Write([.. JsonSerializer.SerializeToUtf8Bytes(point), (byte)'\n']);
    });
}
