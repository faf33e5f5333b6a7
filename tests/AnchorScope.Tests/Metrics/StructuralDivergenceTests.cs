using AnchorScope.Metrics;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Metrics;

/// <summary>I_NSSD: values worked out by hand, and what holds for every pair of margins.</summary>
public sealed class StructuralDivergenceTests
{
    // p~ = 0.75 without the cut and 0.5 with it.
    private static readonly double Plain = Math.Log(3);

    [Theory]
    [InlineData(NssdVariant.SignedKl, -0.13081203594113692)] // -(0.75 ln 1.5 + 0.25 ln 0.5)
    [InlineData(NssdVariant.LogRatio, -0.40546510810816438)] // ln(0.5 / 0.75)
    [InlineData(NssdVariant.SignedJs, -0.03382207556860539)] // -(H(0.625) - (H(0.75) + H(0.5)) / 2)
    [InlineData(NssdVariant.DeltaP, -0.25)]
    [InlineData(NssdVariant.RelativeDeltaP, -1.0 / 3)]
    public void Variant_IsItsFormula(NssdVariant variant, double expected) =>
        Assert.Equal(expected, StructuralDivergence.Of(variant, Plain, 0), 1e-12);

    [Fact]
    public void FullVocabulary_TakesItsSignFromTheAnswer()
    {
        Assert.Equal(-0.3, StructuralDivergence.Of(NssdVariant.FullVocabSignedKl, 1, 2, logP: -0.5, cutLogP: -0.7, vocabularyKl: 0.3));
        Assert.Equal(0.3, StructuralDivergence.Of(NssdVariant.FullVocabSignedKl, 1, 0, logP: -0.7, cutLogP: -0.5, vocabularyKl: 0.3));
        Assert.Equal(-0.2, StructuralDivergence.Of(NssdVariant.RawLogRatio, 1, 2, logP: -0.5, cutLogP: -0.7), 1e-15);
    }

    [Property]
    public Property NothingChanged_IsExactlyZero() =>
        Prop.ForAll(Margins, Gen.Elements(Enum.GetValues<NssdVariant>()).ToArbitrary(), (m, variant) =>
            StructuralDivergence.Of(variant, m, m, -1, -1, 0) == 0);

    [Property]
    public Property Sign_SaysWhichAnswerGained() => Prop.ForAll(Margins, Margins, (before, after) =>
    {
        foreach (var variant in new[] { NssdVariant.SignedKl, NssdVariant.LogRatio, NssdVariant.SignedJs, NssdVariant.DeltaP,
            NssdVariant.RelativeDeltaP })
        {
            var value = StructuralDivergence.Of(variant, before, after);
            // Rounding may turn a tiny change into 0 but must never reverse its sign.
            if (!double.IsFinite(value) || value * Math.Sign(after - before) < 0) return false;
        }
        return true;
    });

    [Property]
    public Property JensenShannon_IsSymmetricAndAtMostLn2() => Prop.ForAll(Margins, Margins, (a, b) =>
    {
        var (there, back) = (StructuralDivergence.Of(NssdVariant.SignedJs, a, b), StructuralDivergence.Of(NssdVariant.SignedJs, b, a));
        return Math.Abs(there + back) < 1e-15 && Math.Abs(there) <= Math.Log(2) + 1e-12;
    });

    [Property]
    public Property SwappedAnswers_GiveTheSameKlWithTheOtherSign() => Prop.ForAll(Margins, Margins, (a, b) =>
    {
        var (plain, swapped) = (StructuralDivergence.Of(NssdVariant.SignedKl, a, b), StructuralDivergence.Of(NssdVariant.SignedKl, -a, -b));
        return Math.Abs(plain + swapped) <= 1e-12 * Math.Max(1, Math.Abs(plain));
    });

    private static Arbitrary<double> Margins => Gen.Choose(-80_000, 80_000).Select(i => i / 1000.0).ToArbitrary();
}
