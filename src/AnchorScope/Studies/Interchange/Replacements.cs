using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// Creates the values that replace removed activations: zeros, means of the ranking split, or those of a random other run of it. One
/// instance per thread.
/// </summary>
/// <param name="means">Null if no means are needed.</param>
/// <param name="others">Runs of the ranking split.</param>
internal sealed class Replacements(
    VisionLanguageModel model, ConflictPrompts prompts, SpanMeans? means, IReadOnlyList<ConflictRun> others, ulong seed, ISession session)
{
    private DecoderShape Shape => model.Engine.Shape;

    /// <summary>The replacement for a run.</summary>
    /// <param name="sites">Sites that will be read from it.</param>
    /// <param name="spans">Spans that will be read from it.</param>
    public IReplacement Of(AblationVariant variant, ConflictRun run, IReadOnlyList<Site> sites, IEnumerable<SpanKind?> spans) =>
        variant switch
        {
            AblationVariant.Mean => means!,
            AblationVariant.Resample => Recorded(OtherOf(run), sites, spans).Run,
            _ => new Zeros(Shape),
        };

    /// <summary>Adds the values of a run at the sites and spans of <paramref name="places"/> to the sums.</summary>
    public void AddTo(
        Dictionary<(Site Site, int Layer, SpanKind? Span), (double[] Sum, int Count)> sums, ConflictRun run,
        IReadOnlyList<(Site Site, SpanKind? Span)> places)
    {
        var (prompt, own) = Recorded(run, [.. places.Select(p => p.Site).Distinct()], places.Select(p => p.Span).Distinct());
        foreach (var (site, span) in places)
        {
            var positions = SpanPlace.Of(prompt, [span]);
            if (positions.Count == 0) continue;
            for (var layer = 0; layer < Shape.Layers; layer++)
            {
                var (sum, count) = sums.GetValueOrDefault((site, layer, span), (new double[Shape.Width(site)], 0));
                foreach (var place in positions)
                {
                    var row = own.Row(site, layer, place);
                    for (var i = 0; i < row.Length; i++) sum[i] += row[i];
                }
                sums[(site, layer, span)] = (sum, count + positions.Count);
            }
        }
    }

    /// <summary>Builds the prompt of a run.</summary>
    public Prompt PromptOf(ConflictRun run) => prompts.Of(run);

    private (Prompt Prompt, OtherRun Run) Recorded(ConflictRun run, IReadOnlyList<Site> sites, IEnumerable<SpanKind?> spans)
    {
        var prompt = PromptOf(run);
        var last = prompt.Length - 1;
        using var baseline = session.Record(prompt, new RecordOptions
        {
            Sites = [.. sites], Positions = [.. SpanPlace.Of(prompt, spans).Select(p => p.Position).Append(last)], From = last,
        });
        return (prompt, new OtherRun(prompt, baseline.Trace!));
    }

    /// <summary>A run of another sample, determined by the seed and the run's id.</summary>
    private ConflictRun OtherOf(ConflictRun run)
    {
        var mixed = seed;
        foreach (var c in run.Id) mixed = SplitMix.At(mixed ^ c, 1);
        var pool = others.Where(o => o.Sample.Id != run.Sample.Id).ToList();
        return pool.Count > 0 ? pool[new SplitMix(mixed).Below(pool.Count)] : run;
    }
}
