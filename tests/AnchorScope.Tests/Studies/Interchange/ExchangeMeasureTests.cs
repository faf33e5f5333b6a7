using AnchorScope.Conflicts;
using AnchorScope.Studies;
using static AnchorScope.Tests.Studies.HandMade;

namespace AnchorScope.Tests.Studies.Interchange;

using Exchange = AnchorScope.Studies.Exchange; // Here, where it comes before the tests' own type of that name.

/// <summary>Effects of exchanges, computed on rows written by hand.</summary>
public sealed class ExchangeMeasureTests
{
    private static readonly (int, int)[] Heads = [(1, 2)];

    private static Exchange Of(DonorFactor factor) => new(factor, HeadContent.Query, Heads);

    private static MeasuredRun Pair(int sample, DonorFactor factor, Outcome receiver, Outcome donor, Outcome exchanged,
        params (string, Outcome)[] more) =>
        Run(sample, Modality.Vision, [(ConditionId.Baseline.Text, receiver), (Exchange.Receiver(factor), receiver),
            (Exchange.DonorRun(factor), donor), (Of(factor).Condition, exchanged), .. more]);

    private static ExchangeEffect Effect(DonorFactor factor, params IEnumerable<MeasuredRun> pairs) =>
        ExchangeMeasure.Of(Set(pairs), Of(factor));

    /// <summary>Margins 2 and 1, which the donors' runs take to -2 and -1; the exchange takes 1 and 2 of them.</summary>
    [Fact]
    public void AcrossInstructions_TheMarginIsOverTheOwnOtherAnswer()
    {
        var effect = Effect(
            DonorFactor.Instruction,
            Pair(0, DonorFactor.Instruction, Logits(2, 0, Own, 9), Logits(-1, 1, Other, 9), Logits(1, 0, Own, 9)),
            Pair(1, DonorFactor.Instruction, Logits(1, 0, Own, 9), Logits(0, 1, Other, 9), Logits(0, 1, Other, 9)));
        Assert.Equal((2, 3 / 6.0), (effect.Pairs, effect.Moved.Mean));
        Assert.Equal((0.5, 0.5, 0.5, 0), (effect.Switched.Mean, effect.OwnOther.Mean, effect.Keeps.Mean, effect.Third.Mean));
        Assert.True(double.IsNaN(effect.Choice.Mean));
    }

    /// <summary>
    /// The donor's answer has logit 1 in the receiver, 4 in its own run and 1 under the exchange, the own answer 3, 0 and 2: of a margin
    /// that falls by 6 the exchange takes 1. The own other answer gains 1/2 over the donor's, from 1 above it to 3/2.
    /// </summary>
    [Fact]
    public void AcrossContents_TheMarginIsOverTheDonorsAnswer()
    {
        var effect = Effect(
            DonorFactor.Crossed, Pair(0, DonorFactor.Crossed, Logits(3, 2, Own, 1), Logits(0, 0, Third, 4), Logits(2, 2.5f, Other, 1)));
        Assert.Equal(1 / 6.0, effect.Moved.Mean, 1e-12);
        Assert.Equal(0.5, effect.Choice.Mean, 1e-6);
        Assert.Equal((0, 1, 0, 0), (effect.Switched.Mean, effect.OwnOther.Mean, effect.Keeps.Mean, effect.Third.Mean));
        var switched = Effect(
            DonorFactor.Crossed, Pair(0, DonorFactor.Crossed, Logits(3, 2, Own, 1), Logits(0, 0, Third, 4), Logits(2, 2, Third, 5)));
        Assert.Equal((1, 0, 0, 0), (switched.Switched.Mean, switched.OwnOther.Mean, switched.Keeps.Mean, switched.Third.Mean));
    }

    /// <summary>
    /// The same instruction in other words has no margin of its own to move: its effect is relative to the difference from the other
    /// instruction.
    /// </summary>
    [Fact]
    public void OfTheSameInstructionInOtherWords_TheWayIsThatOfTheOtherInstruction()
    {
        var effect = Effect(DonorFactor.Phrasing, Pair(
            0, DonorFactor.Phrasing, Logits(2, 0, Own), Logits(1.5f, 0, Own), Logits(1, 0, Own),
            (Exchange.DonorRun(DonorFactor.Instruction), Logits(0, 2, Other))));
        Assert.Equal((1, 1 / 4.0), (effect.Pairs, effect.Moved.Mean));
    }

    [Fact]
    public void PairsThatCannotTell_AreLeftOut_AndCounted()
    {
        var set = Set(
            Pair(0, DonorFactor.Instruction, Logits(2, 0, Own), Logits(0, 2, Other), Logits(1, 0, Own)),
            // The receiver gives the other answer, or a third.
            Pair(1, DonorFactor.Instruction, Logits(0, 2, Other), Logits(0, 2, Other), Logits(0, 9, Other)),
            Pair(2, DonorFactor.Instruction, Logits(2, 0, Third), Logits(0, 2, Other), Logits(0, 9, Other)),
            // The donor gives the receiver's own answer.
            Pair(3, DonorFactor.Instruction, Logits(2, 0, Own), Logits(2, 0, Own), Logits(0, 9, Other)),
            Run(4, Modality.Vision, (ConditionId.Baseline.Text, Logits(2, 0, Own))));
        var effect = ExchangeMeasure.Of(set, Of(DonorFactor.Instruction));
        Assert.Equal((1, 1 / 4.0), (effect.Pairs, effect.Moved.Mean));
        var count = ExchangeMeasure.Count(set, DonorFactor.Instruction);
        Assert.Equal((5, 1, 2, 1, 1), (count.Runs, count.WithoutDonor, count.ReceiverFails, count.DonorFails, count.Pairs));
        Assert.Equal(0, ExchangeMeasure.Of(set, Of(DonorFactor.Crossed)).Pairs);
    }

    /// <summary>A mean of ratios, 1/4 and 2/2, where what is moved is a ratio of sums.</summary>
    [Fact]
    public void WhatIsRestored_IsAMeanOfRatios()
    {
        var set = Set(
            Pair(0, DonorFactor.Instruction, Logits(2, 0, Own), Logits(-1, 1, Other), Logits(1, 0, Own)),
            Pair(1, DonorFactor.Instruction, Logits(1, 0, Own), Logits(0, 1, Other), Logits(0, 1, Other)));
        Assert.Equal(5 / 8.0, ExchangeMeasure.Restored(set, Of(DonorFactor.Instruction)), 1e-12);
    }
}
