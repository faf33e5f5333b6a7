using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies.Interchange;

/// <summary>The rules that derive a role from a profile.</summary>
public sealed class RoleRuleTests
{
    private static readonly Estimate Nothing = new(0, -0.01, 0.01, 100);
    private static readonly ExchangeEffect Still = Effect(0);
    private static readonly Profile None = new(Still, Still, Still, Still, Still, Still, Still);

    private static ExchangeEffect Effect(double moved, double choice = 0) => new(
        100, new Estimate(moved, moved - 0.01, moved + 0.01, 100), Nothing, Nothing, Nothing, Nothing,
        new Estimate(choice, choice - 0.1, choice + 0.1, 100));

    [Fact]
    public void NothingMoves_IsNone() => Assert.Equal(HeadRole.None, RoleRule.Of(None, false, Nothing));

    [Fact]
    public void QueriesMove_AndCrossedOnesRaiseTheOwnOtherAnswer_IsAnArbiter() => Assert.Equal(
        HeadRole.Arbiter,
        RoleRule.Of(None with
            { Choice = Effect(0.3), ChoiceCrossed = Effect(0.1, choice: 1), Output = Effect(0.3), Content = Effect(0.3, choice: -1) },
            false, Nothing));

    [Fact]
    public void QueriesMove_ButCrossedOnesRaiseTheDonorsAnswer_IsNoArbiter() => Assert.Equal(
        HeadRole.CarrierDecision,
        RoleRule.Of(None with { Choice = Effect(0.3), ChoiceCrossed = Effect(0.3, choice: -1), Content = Effect(0.3, choice: -1) }, false,
            Nothing));

    [Fact]
    public void AMemberOfAFoundSet_IsAnArbiter_HoweverLittleItDoesAlone() =>
        Assert.Equal(HeadRole.Arbiter, RoleRule.Of(None, true, Nothing));

    /// <summary>
    /// The phrasing control refutes an arbiter: a head that reacts to the wording of an instruction does not choose by its meaning, alone
    /// or in a set.
    /// </summary>
    [Fact]
    public void QueriesOfTheSameInstructionInOtherWordsMove_IsNoArbiter()
    {
        var arbiter = None with { Choice = Effect(0.3), ChoiceCrossed = Effect(0.1, choice: 1) };
        Assert.Equal(HeadRole.Arbiter, RoleRule.Of(arbiter with { Phrasing = Effect(0.05) }, false, Nothing));
        Assert.Equal(HeadRole.None, RoleRule.Of(arbiter with { Phrasing = Effect(0.07) }, false, Nothing));
        Assert.Equal(HeadRole.None, RoleRule.Of(arbiter with { Phrasing = Effect(0.07) }, true, Nothing));
        // A head's output depends on what it reads, so exchanging outputs is not such a control.
        Assert.Equal(HeadRole.Arbiter, RoleRule.Of(arbiter with { PhrasingOutput = Effect(0.07) }, false, Nothing));
    }

    [Fact]
    public void BelowTheThreshold_IsNone() => Assert.Equal(
        HeadRole.None,
        RoleRule.Of(None with { Choice = Effect(0.055), ChoiceCrossed = Effect(0, choice: 1), Content = Effect(0.055, choice: -1),
            Question = Effect(0.055) }, false, Nothing));

    [Fact]
    public void CrossedOutputs_TellDecisionFromChoice()
    {
        Assert.Equal(
            HeadRole.CarrierDecision, RoleRule.Of(None with { Output = Effect(0.5), Content = Effect(0.5, choice: -2) }, false, Nothing));
        Assert.Equal(
            HeadRole.CarrierChoice, RoleRule.Of(None with { Output = Effect(0.5), Content = Effect(0.3, choice: 2) }, false, Nothing));
        // Its queries also depend on the instruction, but its output has no content: it passes the choice on.
        Assert.Equal(HeadRole.CarrierChoice,
            RoleRule.Of(None with { Choice = Effect(0.5), ChoiceCrossed = Effect(0, choice: 1), Content = Effect(0, choice: 2) }, false,
                Nothing));
    }

    [Fact]
    public void WhatADecisionImplies_IsNoRoleOfItsOwn()
    {
        var decision = None with { Output = Effect(0.3), Content = Effect(0.3, choice: -2) };
        Assert.Equal(HeadRole.CarrierDecision,
            RoleRule.Of(decision with { Question = Effect(0.5), Picture = Effect(0.3), Note = Effect(0.3) }, false, Nothing));
        Assert.Equal(HeadRole.Hub, RoleRule.Of(decision with { Question = Effect(0.9) }, false, Nothing));
    }

    [Fact]
    public void Cues()
    {
        Assert.Equal(HeadRole.CarrierQuestion, RoleRule.Of(None with { Question = Effect(0.8) }, false, Nothing));
        Assert.Equal(HeadRole.CarrierPicture, RoleRule.Of(None with { Picture = Effect(0.8) }, false, Nothing));
        Assert.Equal(HeadRole.CarrierNote, RoleRule.Of(None with { Note = Effect(0.8) }, false, Nothing));
        Assert.Equal(HeadRole.Hub, RoleRule.Of(None with { Picture = Effect(0.8), Note = Effect(0.8) }, false, Nothing));
    }

    [Fact]
    public void ABrake_IsWhatHoldsThirdAnswersBack_AndCarriesNothing()
    {
        var third = new Estimate(0.5, 0.4, 0.6, 100);
        Assert.Equal(HeadRole.Brake, RoleRule.Of(None, false, third));
        // Without the question most models give a third answer: that is no evidence of a brake.
        Assert.Equal(HeadRole.CarrierQuestion, RoleRule.Of(None with { Question = Effect(0.8) }, false, third));
        Assert.Equal(HeadRole.None, RoleRule.Of(None, false, new Estimate(0.06, 0.02, 0.1, 100)));
    }

    [Fact]
    public void NoPairs_IsNone()
    {
        var nan = new Estimate(double.NaN, double.NaN, double.NaN, 0);
        var nothing = new ExchangeEffect(0, nan, nan, nan, nan, nan, nan);
        Assert.Equal(HeadRole.None, RoleRule.Of(new Profile(nothing, nothing, nothing, nothing, nothing, nothing, nothing), false, nan));
    }
}
