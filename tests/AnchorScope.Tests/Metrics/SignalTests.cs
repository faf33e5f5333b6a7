using AnchorScope.Metrics;
using AnchorScope.Prompts;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Metrics;

/// <summary>Phi_m, MAM, LDAR and MFR on values worked out by hand; names of variants.</summary>
public sealed class SignalTests
{
    [Fact]
    public void TopK_IsTheMeanOfTheLargest()
    {
        Assert.Equal(5, SignalExtraction.TopK([1, 5, 3], 1));
        Assert.Equal(4, SignalExtraction.TopK([1, 5, 3], 2));
        Assert.Equal(3, SignalExtraction.TopK([1, 5, 3], 9));
        Assert.True(double.IsNaN(SignalExtraction.TopK([], 2)));
    }

    [Fact]
    public void Reduction_IsItsFormula()
    {
        double[] forms = [Math.Log(1), Math.Log(3)];
        Assert.Equal(Math.Log(3), SignalExtraction.Reduce(EntityReduction.Max, forms));
        Assert.Equal(Math.Log(3) / 2, SignalExtraction.Reduce(EntityReduction.Mean, forms), 1e-15);
        Assert.Equal(Math.Log(4), SignalExtraction.Reduce(EntityReduction.SumOfProb, forms), 1e-15);
        Assert.Equal(1000 + Math.Log(2), SignalExtraction.Reduce(EntityReduction.SumOfProb, [1000, 1000]), 1e-12);
    }

    [Property]
    public void OneForm_IsItselfInEveryReduction(short value) =>
        Assert.All(Enum.GetValues<EntityReduction>(),
            reduction => Assert.Equal(value / 100.0, SignalExtraction.Reduce(reduction, [value / 100.0]), 1e-12));

    [Property]
    public void Increments_AddUpToTheLayer(short before, short between, short after)
    {
        var (attention, mlp) = ArbitrationMargin.Increments(before, between, after);
        Assert.Equal(after - before, attention + mlp);
        Assert.Equal(between - before, attention);
    }

    [Theory]
    [InlineData(1, 2, 1)]
    [InlineData(-1, -2, 1)]
    [InlineData(1, -2, 0)]
    [InlineData(0, -2, 1)]
    [InlineData(0, 2, 0)]
    public void Alignment_ComparesWithTheDecision_TiesAreText(double layer, double decision, double expected) =>
        Assert.Equal(expected, DecisionAlignment.Of(layer, decision));

    [Fact]
    public void Following_CountsFormsAndMargins()
    {
        Assert.Equal(1, ModalityFollowing.ByArgMax(7, [3, 7]));
        Assert.Equal(0, ModalityFollowing.ByArgMax(8, [3, 7]));
        Assert.Equal(1, ModalityFollowing.ByLarger(0.01));
        Assert.Equal(0, ModalityFollowing.ByLarger(0));
    }

    [Fact]
    public void Names_GoThereAndBack()
    {
        foreach (var variant in Enum.GetValues<NssdVariant>())
            Assert.Equal(variant, EnumName.Parse<NssdVariant>("--nssd", EnumName.Of(variant)));
        Assert.Equal("full_vocab_signed_kl", EnumName.Of(NssdVariant.FullVocabSignedKl));
        Assert.Contains("--nssd: expected signed_kl, log_ratio",
            Assert.Throws<InputException>(() => EnumName.Parse<NssdVariant>("--nssd", "kl")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryChoice_IsNamedInResults()
    {
        var changed = new Definitions
        {
            Preset = "p", Nssd = NssdVariant.SignedJs, Lens = LensNorm.None, TopK = 9, Entities = EntityReduction.Mean, Window = 5,
            HeadScore = HeadScoreVariant.CausalNssd, Scope = GainScope.All, Ablation = AblationVariant.Mean, Alignment = SpanAlignment.End,
                Rounding = TopRounding.Floor, Instruction = [SpanKind.Question], Screen = HeadScreen.Slope, Route = RouteMeasure.Larger,
        };
        Assert.All(new Definitions().Named, choice => Assert.NotEqual(choice.Value, changed.Named[choice.Key]));
        // A property that is added without a name fails here.
        Assert.Equal(typeof(Definitions).GetProperties().Count(
            p => p.Name is not (nameof(Definitions.Named) or nameof(Definitions.Presets))), changed.Named.Count);
    }
}
