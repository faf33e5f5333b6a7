using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>The role of a head, determined by exchanges of its activations (docs/definitions.md).</summary>
internal enum HeadRole
{
    /// <summary>No effect above the threshold.</summary>
    None,

    /// <summary>Chooses what is read: its queries contain the instruction.</summary>
    Arbiter,

    /// <summary>Its output contains which modality to follow, without content.</summary>
    CarrierChoice,

    /// <summary>Its output contains the decided answer.</summary>
    CarrierDecision,

    /// <summary>Its output contains which question is asked.</summary>
    CarrierQuestion,

    /// <summary>Its output contains the content of the picture.</summary>
    CarrierPicture,

    /// <summary>Its output contains the content of the note.</summary>
    CarrierNote,

    /// <summary>More than one carrier role.</summary>
    Hub,

    /// <summary>None of these, but removing it increases the share of third answers.</summary>
    Brake,
}

/// <summary>The effects of exchanging a head's activations with donors that differ in one factor.</summary>
/// <param name="Choice">Queries, donor under the other instruction.</param>
/// <param name="ChoiceCrossed">Queries, crossed donor: <see cref="ExchangeEffect.OwnOther"/> confirms the choice.</param>
/// <param name="Output">z, donor under the other instruction.</param>
/// <param name="Content">z, crossed donor: <see cref="ExchangeEffect.Switched"/> is the donor's answer.</param>
/// <param name="Question">z, donor with another question.</param>
/// <param name="Picture">z, donor with another picture, in runs instructed to follow it.</param>
/// <param name="Note">z, donor with another note, in runs instructed to follow it.</param>
internal sealed record Profile(
    ExchangeEffect Choice, ExchangeEffect ChoiceCrossed, ExchangeEffect Output, ExchangeEffect Content, ExchangeEffect Question,
        ExchangeEffect Picture, ExchangeEffect Note)
{
    /// <summary>Control: queries, donor with another phrasing of the same instruction.</summary>
    public ExchangeEffect Phrasing { get; init; } = ExchangeEffect.NoPairs;

    /// <summary>Control: z, donor with another phrasing of the same instruction.</summary>
    public ExchangeEffect PhrasingOutput { get; init; } = ExchangeEffect.NoPairs;
}

/// <summary>A head with its profile and its role.</summary>
/// <param name="Role">By the rules of docs/definitions.md.</param>
/// <param name="InArbiterSet">Whether the search selected it for the set of arbiters.</param>
/// <param name="ThirdWithout">Share of answers that are neither of the two with its output set to 0, minus the share without
/// intervention.</param>
internal sealed record ProfiledHead(int Layer, int Head, string Role, bool InArbiterSet, Profile Profile, Estimate ThirdWithout);

/// <summary>The rules that derive a role from a profile.</summary>
internal static class RoleRule
{
    /// <summary>
    /// A head has an effect if the whole 95 % interval of the margin moved is above this share of what the donor's own run moves.
    /// </summary>
    public const double Least = 0.05;

    /// <summary>Fewest additional third answers without a head for it to count as a brake.</summary>
    public const double LeastThird = 0.05;

    public static HeadRole Of(Profile p, bool inArbiterSet, Estimate thirdWithout)
    {
        // A head that chooses between contents writes the chosen content. A head that writes only the choice relays it.
        var choice = !inArbiterSet && (Moves(p.Output) || Moves(p.Choice)) && p.Content.Choice.Low > 0;
        var arbiter = !Moves(p.Phrasing) && (inArbiterSet || (!choice && Moves(p.Choice) && p.ChoiceCrossed.Choice.Low > 0));
        var decision = Moves(p.Content) && p.Content.Choice.High < 0;
        // The outputs of decision carriers and arbiters depend on question, picture and note as well, so only effects larger than that of
        // the decision count.
        var question = Beyond(p.Question, p.Content);
        var picture = Beyond(p.Picture, p.Content);
        var note = Beyond(p.Note, p.Content);
        // An arbiter writes what it reads, so its z also changes with question, picture and note.
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

/// <summary>Whether an MLP decides, when no head arbitrates.</summary>
internal static class MlpRule
{
    /// <summary>Smallest share of the margin that the output of the deciding MLP moves.</summary>
    public const double Most = 0.5;

    /// <summary>
    /// The first layer whose MLP output, taken from a crossed donor, gives the donor's answer, while the outputs of all heads up to this
    /// layer have no effect across instructions; null for none. An MLP that contains the words of the instruction gives the receiver's own
    /// other answer instead.
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
