using System.Xml.Linq;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>Replacements of removed heads and edges, checked by laws without tolerance.</summary>
public sealed class AblationTests : IDisposable
{
    private static readonly DiagnosisOptions Small = new() { Model = Fixtures.Grown("relay"), Data = Fixtures.Conflicts, Limit = 12,
        Draws = 1, Windows = [3], Gains = [2] };

    private readonly TempFolder _temp = new();
    private readonly Arena _arena = new();
    private readonly Team _team = new(1);

    private Compute Compute => new(_arena, _team);

    private static Definitions With(AblationVariant ablation) => new() { Ablation = ablation };

    /// <summary>As long as this holds, a diagnosis with zero ablation gives the same rows as before ablation was configurable.</summary>
    [Fact]
    public void Zero_ScalesHeadsToZeroAndCutsEdges()
    {
        using var model = VisionLanguageModel.Open(Small.Model);
        var shape = model.Decoder.Shape;
        var conditions = new DiagnosisConditions(Small, shape);
        var run = Samples(1)[0].Runs.First();
        var replacements = Of(model, null, []);
        var prompt = replacements.PromptOf(run);
        Assert.Null(conditions.By(replacements, run, prompt, edges: true));
        var at = Positions.Of(prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix));
        var alone = Assert.Single(conditions.Alone(prompt, [(2, 1)], null));
        Assert.Equal(Intervention.HeadGain("head/2.1", [(2, 1)], 0, at).Edits, alone.Edits);
        Assert.Equal("head/2.1", alone.Name);
        foreach (var edge in conditions.Edges)
        {
            var all = Enumerable.Range(0, shape.Layers);
            var cut = conditions.Knockouts(prompt, null).Single(i => i.Name == ConditionId.KnockoutAll(edge.Name));
            Assert.Equal(Intervention.Knockout("", all, Positions.Of(prompt.Union(edge.To)), Positions.Of(prompt.Union(edge.From))).Edits,
                cut.Edits);
        }
    }

    /// <summary>Sum in double precision over the positions of the span, divided by their number, and nothing else.</summary>
    [Fact]
    public void MeansOfOneRun_AreItsOwn()
    {
        using var model = VisionLanguageModel.Open(Small.Model);
        var shape = model.Decoder.Shape;
        var run = Samples(1)[0].Runs.First();
        var places = new DiagnosisConditions(Small with { Variants = With(AblationVariant.Mean) with { Scope = GainScope.All } },
            shape).MeanPlaces;
        var (means, prompt) = MeansOf(model, places, run);
        var trace = model.Engine.On(Compute).Record(prompt,
            new RecordOptions { Sites = [Site.HeadOut, Site.Key, Site.Value], Positions = [.. Enumerable.Range(0, prompt.Length)] }).Trace!;
        var seen = 0;
        foreach (var (site, span) in places)
        {
            var at = SpanPlace.In(prompt, span);
            if (at.Count == 0) continue;
            seen++;
            for (var layer = 0; layer < shape.Layers; layer++)
            {
                var width = shape.Width(site);
                var expected = Enumerable.Range(0, width).Select(i =>
                    (float)(at.Sum(p => (double)trace[site, layer][p * width + i]) / at.Count)).ToArray();
                Assert.Equal(expected, means.Row(site, layer, new SpanPlace(at[0], span, at.Count - 1)).ToArray());
            }
        }
        Assert.Contains((Site.HeadOut, null), places);
        Assert.True(seen >= 10, $"{seen}");
    }

    /// <summary>The last position alone is a span of one position, whose mean over one run is what it has.</summary>
    [Fact]
    public void MeanOfOneRunAtOnePosition_ChangesNoBit()
    {
        using var model = VisionLanguageModel.Open(Small.Model);
        var shape = model.Decoder.Shape;
        var run = Samples(1)[0].Runs.First();
        var conditions = new DiagnosisConditions(Small with { Variants = With(AblationVariant.Mean) with { Scope = GainScope.Last } },
            shape);
        var (means, prompt) = MeansOf(model, conditions.MeanPlaces, run);
        var by = conditions.By(Of(model, means, []), run, prompt, edges: false);
        var plain = Sweep.FullPass(model.Engine.On(Compute), prompt, Intervention.None);
        foreach (var removed in conditions.Alone(prompt, conditions.EachHead, by)) Assert.Equal(plain,
            Sweep.FullPass(model.Engine.On(Compute), prompt, removed));
        // Of a longer span the mean is not what each position has.
        var relay = new DiagnosisConditions(Small with { Variants = With(AblationVariant.Mean) }, shape);
        (means, _) = MeansOf(model, relay.MeanPlaces, run);
        var longer = relay.Alone(prompt, [(2, 1)], relay.By(Of(model, means, []), run, prompt, edges: true)).Single();
        Assert.NotEqual(plain, Sweep.FullPass(model.Engine.On(Compute), prompt, longer));
    }

    /// <summary>With one sample in the ranking set there is no other run: heads and edges get their own values.</summary>
    [Theory]
    [InlineData(GainScope.Relay)]
    [InlineData(GainScope.All)]
    public void ResampleOfARunByItself_ChangesNoBit(GainScope scope)
    {
        var line = File.ReadLines(Path.Combine(Fixtures.Conflicts, "rank.jsonl")).First();
        Directory.CreateDirectory(_temp.File("data/images"));
        foreach (var set in new[] { "rank", "test" }) _temp.Write($"data/{set}.jsonl", line + "\n");
        File.Copy(Path.Combine(Fixtures.Conflicts, "images", "rank-0000.png"), _temp.File("data/images/rank-0000.png"));
        File.Copy(Path.Combine(Fixtures.Conflicts, "prompt.json"), _temp.File("data/prompt.json"));
        using var study = new DiagnosisStudy(Small with { Data = _temp.File("data"),
            Variants = With(AblationVariant.Resample) with { Scope = scope } });
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        study.Run(store);
        var seen = new HashSet<string>();
        foreach (var run in new[] { "rank", "parts", "test" }.SelectMany(phase => store.Find(phase, "rank-0000")!))
        {
            foreach (var (condition, outcome) in run.Outcomes)
            {
                var kind = condition.Split('/')[0];
                if (kind is not ("head" or "edge" or "block" or "knockout")) continue;
                seen.Add(kind);
                Assert.Equal(run.Outcomes["baseline"], outcome);
            }
        }
        Assert.Equal(["block", "edge", "head", "knockout"], seen.Order(StringComparer.Ordinal));
    }

    /// <summary>
    /// A position is matched with the one at the same distance from the end of its span; a shorter span repeats its first position.
    /// </summary>
    [Fact]
    public void Resample_TakesPositionsFromTheEndOfEachSpan()
    {
        using var model = VisionLanguageModel.Open(Small.Model);
        var runs = Samples(12).SelectMany(s => s.Runs).ToList();
        static int Words(ConflictRun run) => run.Sample.Instructions[run.Instruction].Split(' ').Length;
        var shorter = runs.First(r => Words(r) < Words(runs[0]));
        var replacements = Of(model, null, [shorter]);
        var (prompt, other) = (replacements.PromptOf(runs[0]), replacements.PromptOf(shorter));
        Assert.True(other.Span(SpanKind.Instruction).Count < prompt.Span(SpanKind.Instruction).Count);
        SpanKind?[] spans = [SpanKind.Instruction, SpanKind.Constraint, null];
        var by = replacements.Of(AblationVariant.Resample, runs[0], [Site.Value], spans);
        var trace = model.Engine.On(Compute).Record(other,
            new RecordOptions { Sites = [Site.Value], Positions = [.. Enumerable.Range(0, other.Length)] }).Trace!;
        var width = model.Decoder.Shape.Width(Site.Value);
        float[] There(int position) => trace[Site.Value, 1].AsSpan(position * width, width).ToArray();
        foreach (var place in SpanPlace.Of(prompt, spans))
        {
            var there = SpanPlace.In(other, place.Span);
            Assert.Equal(There(there.Count > place.FromEnd ? there[^(place.FromEnd + 1)] : there[0]),
                by.Row(Site.Value, 1, place).ToArray());
        }
        Assert.Equal(There(other.Length - 1), by.Row(Site.Value, 1, new SpanPlace(0, SpanKind.Constraint, 0)).ToArray());
    }

    /// <summary>
    /// The run with the other instruction shares picture, note and question, so its values are too similar to represent an arbitrary run.
    /// </summary>
    [Fact]
    public void Resample_TakesNoRunOfTheSameSample()
    {
        using var model = VisionLanguageModel.Open(Small.Model);
        var samples = Samples(6);
        var far = samples[^1].Runs.First();
        foreach (var sample in samples.SkipLast(1))
        {
            var run = sample.Runs.First();
            float[] Suffix(params ConflictRun[] others) => Of(model, null, others)
                .Of(AblationVariant.Resample, run, [Site.Value], [SpanKind.Suffix]).Row(Site.Value, 1,
                    new SpanPlace(0, SpanKind.Suffix, 0)).ToArray();
            Assert.NotEqual(Suffix(far), Suffix(run));
            Assert.Equal(Suffix(far), Suffix([.. sample.Runs, far]));
        }
    }

    [Fact]
    public void MeanOfASpanThatNoRankingRunHas_IsRefused()
    {
        using var model = VisionLanguageModel.Open(Small.Model);
        var (means, _) = MeansOf(model, [(Site.HeadOut, SpanKind.Suffix)], Samples(1)[0].Runs.First());
        var error = Assert.Throws<InputException>(() => _ = means.Row(Site.HeadOut, 0, new SpanPlace(3, SpanKind.Constraint, 0)));
        Assert.Equal("ablation mean: constraint: expected a run with this span among the first 80 conflicts of the ranking set, found none",
            error.Message);
    }

    [Fact]
    public void MeanAblation_IsNamedWhereverRemovalsAreSpokenOf_AndTheReportComparesAllThree()
    {
        using var study = new DiagnosisStudy(Small with { Variants = With(AblationVariant.Mean) });
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var plan = study.Run(store);
        var found = study.Reduce(store, plan);
        Assert.Equal("mean", found.Variants["ablation"]);
        Assert.Contains("cutting by mean ablation", found.Findings[0].Text, StringComparison.Ordinal);
        Assert.Contains("by mean ablation", found.Findings[2].Text, StringComparison.Ordinal);
        Assert.Contains("with an edge cut by mean ablation in all layers", found.Route.Text, StringComparison.Ordinal);
        DiagnosisReport.Write(_temp.Path, found, Small.Data);
        var page = XDocument.Load(_temp.File("report.html")).Root!;
        Assert.Contains("removed by mean ablation: blocked heads write their mean output", page.Value, StringComparison.Ordinal);
        var table = page.Descendants("table").Single(t => t.Descendants("th").Any(h => h.Value == "No answer word"));
        var rows = table.Element("tbody")!.Elements("tr").Select(r => r.Elements("td").Select(c => c.Value).ToArray()).ToList();
        Assert.Equal(found.Interchange.Ablations.Count, rows.Count);
        Assert.Equal(["zero", "mean", "resample"], rows[^3..].Select(r => r[2]));
        Assert.All(rows[^3..], r => Assert.Equal("necessary heads", r[0]));
        // Of a head at 0 all that it wrote is gone.
        Assert.Equal("1.00 [1.00, 1.00]", rows[^3][7]);
    }

    private static IReadOnlyList<ConflictSample> Samples(int count) =>
        ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "rank.jsonl"), count).Samples;

    private Replacements Of(VisionLanguageModel model, SpanMeans? means, IReadOnlyList<ConflictRun> others) =>
        new(model, new ConflictPrompts(model, PromptLayout.Beside(Fixtures.Conflicts), model.Engine.On(Compute)), means, others, 0,
            model.Engine.On(Compute));

    private (SpanMeans Means, Prompt Prompt) MeansOf(VisionLanguageModel model, IReadOnlyList<(Site Site, SpanKind? Span)> places,
        ConflictRun run)
    {
        var replacements = Of(model, null, []);
        var sums = new Dictionary<(Site Site, int Layer, SpanKind? Span), (double[] Sum, int Count)>();
        replacements.AddTo(sums, run, places);
        return (new SpanMeans(SpanMeans.ToResult(sums)), replacements.PromptOf(run));
    }

    public void Dispose()
    {
        _team.Dispose();
        _arena.Dispose();
        _temp.Dispose();
    }
}
