using System.Xml.Linq;
using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Prompts;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>A diagnosis whose heads are first estimated and then verified, compared with one that blocks all heads.</summary>
public sealed class ScreenTests : IDisposable
{
    private static readonly DiagnosisOptions Exact =
        new() { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 6, Draws = 1, Windows = [3], Gains = [2] };
    private static readonly DiagnosisOptions Screened = Exact with { Variants = new Definitions { Screen = HeadScreen.Gradient } };

    private readonly TempFolder _temp = new();

    [Fact]
    public void VerifiedScoresAreTheExactOnes_AndTheRestIsMarked()
    {
        var (exact, _) = Run("exact", Exact);
        var (screened, heads) = Run("screened", Screened);
        Assert.Empty(exact.Heads.Estimated);
        Assert.Equal(48, screened.Heads.Estimated.Count);
        var estimated = screened.Heads.Estimated.ToHashSet();
        foreach (var (layer, head) in from l in Enumerable.Range(0, 8) from h in Enumerable.Range(0, 8) select (l, h))
        {
            // Bit by bit: a verified head was blocked as every head is without a screen.
            Assert.Equal(!estimated.Contains(new HeadId(layer, head)),
                exact.Heads.All[layer][head].Equals(screened.Heads.All[layer][head]));
        }
        foreach (var (one, other) in exact.Heads.Ranked.Zip(screened.Heads.Ranked).Take(3))
        {
            Assert.Equal(one with { Test = other.Test }, other);
            // The heads that the screen left out stay in the family, and could not have a larger p than 1.
            Assert.Equal(one.Test.P, other.Test.P);
            Assert.InRange(other.Test.Q, one.Test.Q, 1);
        }
        Assert.All(screened.Heads.Ranked, h => Assert.Equal(estimated.Contains(new HeadId(h.Layer, h.Head)), h.Estimate));
        Assert.All(screened.Blocking, b => Assert.DoesNotContain(b.Heads, estimated.Contains));
        Assert.InRange(screened.Heads.ScreenCorrelation, 0.7, 1);
        Assert.Equal(("gradient", "exact"), (screened.Variants["screen"], exact.Variants["screen"]));
        Assert.Equal("gradient", heads.Variants["screen"]);
        Assert.DoesNotContain(heads.Heads, h => h.Estimate);
        // What does not depend on the screen is the same.
        Assert.Equal(exact.Route.Verdict, screened.Route.Verdict);
        Assert.Equal(exact.Neurons.Ranked, screened.Neurons.Ranked);
        var page = XDocument.Load(_temp.File("screened/report.html"));
        Assert.Contains("keep their estimate", page.Root!.Value, StringComparison.Ordinal);
        // Two matrices and the legend.
        Assert.Equal(
            2 * 48 + 1, XDocument.Load(_temp.File("screened/figures/heads.svg")).Descendants().Count(e => e.Name.LocalName == "circle"));
    }

    [Fact]
    public void RowsOfAScreen_AreNotMixedWithOthers()
    {
        Run("screened", Screened);
        using var study = new DiagnosisStudy(Exact);
        var error = Assert.Throws<InputException>(() => DiagnosisFolder.Open(_temp.File("screened"), study.Identity, resume: true));
        Assert.Contains("manifest.json: belongs to another run: made with --screen ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NeuronsAndEdgesOfATable_AreWhatEachDoesAlone()
    {
        var (found, _) = Run("exact", Exact);
        using var study = new DiagnosisStudy(Exact);
        using var store = ResultStore.Open(DiagnosisFolder.Results(_temp.File("exact")), resume: true);
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        Assert.All(Enum.GetValues<NeuronPlace>(), place => Assert.Contains(found.Neurons.Ranked, n => n.Place == place));
        Assert.NotEmpty(found.HeadEdges.Ranked);
        Assert.Equal(found.Heads.Ranked.Take(3).Select(h => (h.Layer, h.Head)), found.Inside.Select(h => (h.Layer, h.Head)));
        foreach (var run in study.Data.Rank.Samples.Take(2).SelectMany(s => s.Runs))
        {
            var result = RankedRuns.Of(store, run.Sample.Id).Single(r => r.Run == run.Id);
            var pixels = study.Model.Preprocess([Picture.Load(run.Sample.Image!)]);
            var prompt = ConflictPrompt.Build(study.Model, run, study.Data.Layout, pixels, study.Model.Engine.On(compute).Features(pixels));
            void Same(string condition, Edit edit)
            {
                var logits = Sweep.FullPass(study.Model.Engine.On(compute), prompt, new Intervention(condition, edit));
                Assert.Equal((logits[result.YP], logits[result.YC]),
                    (result.Outcomes[condition].Following, result.Outcomes[condition].Competing));
            }
            var relay = Positions.Of(prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix));
            foreach (var n in found.Neurons.Ranked)
                Same($"neuron/{n.Layer}.{n.Neuron}",
                    new Edit(Site.NeuronOut, n.Layer, Operation.Scale) { Factor = 0, Components = [n.Neuron], Positions = relay });
            foreach (var (head, c) in found.Inside.SelectMany(h => h.Ranked.Select(c => (h, c))))
                Same($"component/{head.Layer}.{head.Head}.{c.Component}",
                    new Edit(Site.HeadOut, head.Layer, Operation.Scale)
                        { Factor = 0, Components = [head.Head * 16 + c.Component], Positions = relay });
            foreach (var e in found.HeadEdges.Ranked)
            {
                var edge = study.Edges.Single(s => s.Name == e.Edge);
                Same($"edge/{e.Edge}/{e.Layer}.{e.Head}",
                    new Edit(Site.AttnScores, e.Layer, Operation.Set) { Heads = [e.Head], Positions = Positions.Of(prompt.Union(edge.To)),
                        Keys = Positions.Of(prompt.Union(edge.From)) });
            }
        }
    }

    [Theory]
    [InlineData(1, NeuronPlace.Before)]
    [InlineData(2, NeuronPlace.Among)]
    [InlineData(5, NeuronPlace.Among)]
    [InlineData(6, NeuronPlace.After)]
    public void AnMlp_StandsBehindTheAttentionOfItsLayer(int layer, object expected) =>
        Assert.Equal((NeuronPlace)expected, Candidates.PlaceOf(layer, [(6, 4), (2, 0), (3, 0)]));

    private (Diagnosis Found, HeadSet Heads) Run(string name, DiagnosisOptions options)
    {
        var folder = _temp.File(name);
        using var study = new DiagnosisStudy(options);
        using var store = DiagnosisFolder.Open(folder, study.Identity, resume: false);
        var plan = study.Run(store);
        var found = study.Reduce(store, plan);
        DiagnosisFiles.Write(folder, found, study.Arbiters(found.Interchange), study.Necessary(store, plan));
        DiagnosisReport.Write(folder, found, Fixtures.Conflicts);
        return (found, HeadSetFile.Load(Path.Combine(folder, "heads-necessary.json")).Set);
    }

    public void Dispose() => _temp.Dispose();
}
