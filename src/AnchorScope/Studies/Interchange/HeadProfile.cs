using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>What a head does, by exchanges of its activations (docs/definitions.md).</summary>
internal enum HeadRole
{
    /// <summary>No effect beyond the threshold.</summary>
    None,

    /// <summary>Chooses what is read: its queries hold the instruction.</summary>
    Arbiter,

    /// <summary>Its output holds which modality is to be followed, without content.</summary>
    CarrierChoice,

    /// <summary>Its output holds the answer that was decided.</summary>
    CarrierDecision,

    /// <summary>Its output holds which question is asked.</summary>
    CarrierQuestion,

    /// <summary>Its output holds what the picture says.</summary>
    CarrierPicture,

    /// <summary>Its output holds what the note says.</summary>
    CarrierNote,

    /// <summary>Several of these.</summary>
    Hub,

    /// <summary>None of these; without it third answers come through.</summary>
    Brake,
}

/// <summary>A head's effects under exchanges with donors that differ in one factor.</summary>
/// <param name="Choice">Queries, donor under the other instruction.</param>
/// <param name="ChoiceCrossed">Queries, crossed donor: <see cref="ExchangeEffect.OwnOther"/> confirms the choice.</param>
/// <param name="Output">z, donor under the other instruction.</param>
/// <param name="Content">z, crossed donor: <see cref="ExchangeEffect.Switched"/> is the donor's answer.</param>
/// <param name="Question">z, donor with another question.</param>
/// <param name="Picture">z, donor with another picture, in runs told to follow it.</param>
/// <param name="Note">z, donor with another note, in runs told to follow it.</param>
internal sealed record Profile(
    ExchangeEffect Choice, ExchangeEffect ChoiceCrossed, ExchangeEffect Output, ExchangeEffect Content, ExchangeEffect Question,
        ExchangeEffect Picture, ExchangeEffect Note)
{
    /// <summary>Control: queries, donor under the same instruction in other words.</summary>
    public ExchangeEffect Phrasing { get; init; } = ExchangeEffect.NoPairs;

    /// <summary>Control: z, donor under the same instruction in other words.</summary>
    public ExchangeEffect PhrasingOutput { get; init; } = ExchangeEffect.NoPairs;
}

/// <summary>A head with its profile and what follows from it.</summary>
/// <param name="Role">By the rules of docs/definitions.md.</param>
/// <param name="InArbiterSet">Whether the search put it into the set of arbiters.</param>
/// <param name="ThirdWithout">Share of answers that are neither of the two with its output at 0, less that without intervention.</param>
internal sealed record ProfiledHead(int Layer, int Head, string Role, bool InArbiterSet, Profile Profile, Estimate ThirdWithout);

/// <summary>The rules that make a role of a profile.</summary>
internal static class RoleRule
{
    /// <summary>A head moves something if the whole 95 % interval of the margin moved lies above this share of what the donor's own run moves.</summary>
    public const double Least = 0.05;

    /// <summary>Third answers that come through without a brake.</summary>
    public const double LeastThird = 0.05;

    public static HeadRole Of(Profile p, bool inArbiterSet, Estimate thirdWithout)
    {
        // Whoever chooses between contents writes the content that was chosen; a head that writes the choice alone passes it on.
        var choice = !inArbiterSet && (Moves(p.Output) || Moves(p.Choice)) && p.Content.Choice.Low > 0;
        var arbiter = !Moves(p.Phrasing) && (inArbiterSet || (!choice && Moves(p.Choice) && p.ChoiceCrossed.Choice.Low > 0));
        var decision = Moves(p.Content) && p.Content.Choice.High < 0;
        // What a decision carrier's or an arbiter's output holds depends on question, picture and note as well: only more than the decision counts.
        var question = Beyond(p.Question, p.Content);
        var picture = Beyond(p.Picture, p.Content);
        var note = Beyond(p.Note, p.Content);
        // What an arbiter writes is what it read, so its z moves with question, picture and note as well.
        if (arbiter) return HeadRole.Arbiter;
        var several = (decision || choice ? 1 : 0) + (question ? 1 : 0) + (picture ? 1 : 0) + (note ? 1 : 0);
        if (several > 1) return HeadRole.Hub;
        if (decision) return HeadRole.CarrierDecision;
        if (choice) return HeadRole.CarrierChoice;
        if (question) return HeadRole.CarrierQuestion;
        if (picture) return HeadRole.CarrierPicture;
        if (note) return HeadRole.CarrierNote;
        return thirdWithout.Low > LeastThird ? HeadRole.Brake : HeadRole.None;
    }

    /// <summary>Whether an exchange moves the margin beyond the threshold.</summary>
    public static bool Moves(ExchangeEffect effect) => effect.Moved.Low > Least;

    private static bool Beyond(ExchangeEffect effect, ExchangeEffect content) =>
        Moves(effect) && (!(content.Moved.Low > 0) || effect.Moved.Low > 2 * content.Moved.High);
}

/// <summary>Whether an MLP decides, where no head arbitrates.</summary>
internal static class MlpRule
{
    /// <summary>Share of the margin that the output of the deciding MLP moves at least.</summary>
    public const double Most = 0.5;

    /// <summary>
    /// The first layer whose MLP output, from a crossed donor, brings the donor's answer, while the outputs of all heads up to there move nothing across instructions; null for none. An MLP that
    /// holds the words of the instruction brings the own other answer, not the donor's.
    /// </summary>
    public static int? Of(IReadOnlyList<LayerExchange> layers)
    {
        foreach (var layer in layers)
        {
            if (!(layer.Output.Moved.High < RoleRule.Least)) return null;
            if (layer.Mlp.Moved.Low > Most && layer.MlpCrossed.Moved.Low > Most && layer.MlpCrossed.Choice.High < 0) return layer.Layer;
        }
        return null;
    }
}
