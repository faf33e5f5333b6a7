using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>The numbers of a diagnosis, recomputed from its rows.</summary>
public sealed class DiagnosisBuilderTests(DiagnosisBuilderTests.Reduced reduced) : IClassFixture<DiagnosisBuilderTests.Reduced>
{
    private static readonly string Baseline = ConditionId.Baseline.Text;

    private Diagnosis Found => reduced.Found;

    [Fact]
    public void AKnockout_IsTheMeanChangeFromTheUncutRun_AndWindowsOfOneSizeAreAFamily()
    {
        Assert.All(Found.Knockouts, curve => Assert.All(curve.Layers, point =>
        {
            var condition = ConditionId.Knockout(curve.Edge, curve.Window, point.Layer!.Value).Text;
            var rows = reduced.Rows.Where(r => r.Row.Outcomes.ContainsKey(condition)).ToList();
            double Nssd(Modality? told) => rows.Where(r => told is null || r.Run.Instruction == told)
                .Average(r => StructuralDivergence.Of(NssdVariant.SignedKl, Margin(r, Baseline), Margin(r, condition)));
            Assert.Equal(Nssd(null), point.Nssd.All.Mean, 1e-9);
            Assert.Equal(Nssd(Modality.Vision), point.Nssd.Vision.Mean, 1e-9);
            Assert.Equal(Nssd(Modality.Text), point.Nssd.Text.Mean, 1e-9);
            Assert.Equal(Nssd(null), point.NssdMeans["signed_kl"][0], 1e-9);
            Assert.Equal(rows.Average(r => Follows(r, condition)), point.Argmax.All.Mean, 1e-9);
        }));
        var points = Found.Knockouts.Where(c => c.Window == 3).SelectMany(c => c.Layers).ToList();
        Assert.Equal(MultipleComparisons.BenjaminiHochberg([.. points.Select(p => p.Test.P)]), points.Select(p => p.Test.Q));
    }

    [Fact]
    public void ABlock_TakesFromTheUnblockedRuns()
    {
        Assert.NotEmpty(Found.Blocking);
        Assert.All(Found.Blocking, block =>
        {
            var condition = ConditionId.Block(block.Name).Text;
            Assert.Equal(reduced.Rows.Average(r => Follows(r, Baseline) - Follows(r, condition)), block.Drop.All.Mean, 1e-9);
        });
        Assert.True(Found.Blocking.First(b => b.Name == HeadPlan.Tested).Drop.All.Mean > 0.1);
    }

    [Fact]
    public void Increments_AreOfAttentionThenMlp()
    {
        foreach (var (name, attention, mlp) in new[]
        {
            ("margin_anchor", Found.Layers.AttentionAnchor, Found.Layers.MlpAnchor),
            ("margin_last", Found.Layers.AttentionLast, Found.Layers.MlpLast),
        })
        {
            for (var l = 0; l < attention.Count; l++)
            {
                double Mean(Func<float[], float[], double> of) =>
                    reduced.Rows.Average(r => of(r.Row.Curves[name], r.Row.Curves[name + "_mid"]));
                Assert.Equal(Mean((curve, mid) => (double)mid[l] - curve[l]), attention[l].All.Mean, 1e-9);
                Assert.Equal(Mean((curve, mid) => (double)curve[l + 1] - mid[l]), mlp[l].All.Mean, 1e-9);
            }
        }
    }

    /// <summary>By the decision of the run, which is not always what it was told.</summary>
    [Fact]
    public void Alignment_IsWithTheDecision()
    {
        Assert.Contains(reduced.Rows, r => r.Row.Outcomes[Baseline].Margin < 0);
        for (var l = 0; l < Found.Layers.LdarLast.Count; l++)
        {
            double Ldar(string name) => reduced.Rows.Average(r => r.Row.Curves[name][l] > 0 == Margin(r, Baseline) > 0 ? 1.0 : 0);
            Assert.Equal(Ldar("margin_anchor"), Found.Layers.LdarAnchor[l].All.Mean, 1e-9);
            Assert.Equal(Ldar("margin_last"), Found.Layers.LdarLast[l].All.Mean, 1e-9);
        }
    }

    private static double Margin((ConflictRun Run, RunResult Row, AnswerEntities Entities) run, string condition) =>
        run.Row.Outcomes[condition].Margin;

    private static double Follows((ConflictRun Run, RunResult Row, AnswerEntities Entities) run, string condition) =>
        run.Entities.FollowingForms.Contains(run.Row.Outcomes[condition].ArgMax) ? 1 : 0;

    /// <summary>The small diagnosis with its rows on the test split.</summary>
    public sealed class Reduced : IDisposable
    {
        private readonly SmallRun _run = new();

        public Reduced()
        {
            Found = _run.Study.Reduce(_run.Store, _run.Plan);
            Rows = [.. _run.Study.Data.Test.Samples.SelectMany(s => s.Runs.Zip(_run.Store.Find("test", s.Id)!,
                (run, row) => (run, row, AnswerEntities.Of(run, _run.Study.Model.Tokenizer, out _)!)))];
        }

        internal Diagnosis Found { get; }

        internal IReadOnlyList<(ConflictRun Run, RunResult Row, AnswerEntities Entities)> Rows { get; }

        public void Dispose() => _run.Dispose();
    }
}
