using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// Measures the attention to every image token at the instruction and at the last position, as a mean over the span's positions and over
/// all heads of all layers. A head that is blocked at a position counts as 0, because its attention has no effect.
/// </summary>
internal sealed class ImageReader(ConflictPrompts built, IReadOnlyList<SpanKind> instruction, ISession session)
{
    /// <summary>
    /// The regions of the picture, and the attention of each run of <paramref name="sample"/> to them under each of the conditions.
    /// </summary>
    /// <param name="conditions">Interventions on one run, each with its name for readers.</param>
    public (IReadOnlyList<PixelBox?> Boxes, IReadOnlyList<IReadOnlyList<ImageReading>> Runs) Read(
        ConflictSample sample, Func<ConflictRun, Prompt, IReadOnlyList<(string Name, Intervention Intervention)>> conditions)
    {
        if (sample.Image is null) return ([], [.. sample.Runs.Select(_ => Array.Empty<ImageReading>())]);
        var prompts = sample.Runs.Select(built.Of).ToList();
        IReadOnlyList<ImageReading>[] readings = [.. sample.Runs.Zip(prompts, (run, prompt) =>
            (IReadOnlyList<ImageReading>)[.. conditions(run, prompt).SelectMany(c => Read(prompt, c.Name, c.Intervention))])];
        return ([.. prompts[0].Places.Select(place => place.Box)], readings);
    }

    /// <inheritdoc cref="Read(ISession, Prompt, IReadOnlyList{SpanKind}, string, Intervention)"/>
    public IReadOnlyList<ImageReading> Read(Prompt prompt, string name, Intervention intervention) =>
        Read(session, prompt, instruction, name, intervention);

    /// <summary>Runs one full pass. The spans are in the order instruction, last.</summary>
    public static IReadOnlyList<ImageReading> Read(
        ISession session, Prompt prompt, IReadOnlyList<SpanKind> instruction, string name, Intervention intervention)
    {
        var shape = session.Engine.Shape;
        intervention.Validate(shape, prompt.Length);
        (SpanKind Kind, int[] Positions)[] spans = [(SpanKind.Instruction, prompt.Union(instruction)),
            (SpanKind.Last, [prompt.Length - 1])];
        int[] watched = [.. spans.SelectMany(s => s.Positions).Distinct().Order()];
        var trace = new Trace([Site.AttnPattern], watched);
        session.Forward(prompt, intervention, trace);
        int[] image = [.. prompt.Span(SpanKind.Image)];
        return [.. spans.Where(s => s.Positions.Length > 0).Select(
            s => new ImageReading(EnumName.Of(s.Kind), name,
                Mean(trace, shape, intervention, watched, s.Positions, image, prompt.Length)))];
    }

    private static double[] Mean(Trace trace, DecoderShape shape, Intervention intervention, int[] watched,
        int[] positions, int[] image, int keys)
    {
        var sums = new double[image.Length];
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var pattern = trace[Site.AttnPattern, layer];                    // [head, watched, key]
            for (var head = 0; head < shape.Heads; head++)
            {
                foreach (var position in positions)
                {
                    if (Blocked(intervention, layer, head, position)) continue;
                    var row = pattern.AsSpan((head * watched.Length + Array.BinarySearch(watched, position)) * keys, keys);
                    for (var i = 0; i < image.Length; i++) sums[i] += row[image[i]];
                }
            }
        }
        return [.. sums.Select(sum => sum / ((double)shape.Layers * shape.Heads * positions.Length))];
    }

    private static bool Blocked(Intervention intervention, int layer, int head, int position) => intervention.Edits.Any(e =>
        e.Site == Site.HeadOut && (e.Operation == Operation.Set || (e.Operation == Operation.Scale && e.Factor == 0)) && e.Layer == layer
            && e.Components is null && (e.Heads is null || e.Heads.Contains(head)) && e.Positions.Contains(position));
}
