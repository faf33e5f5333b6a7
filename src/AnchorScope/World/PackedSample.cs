using AnchorScope.Conflicts;
using AnchorScope.Prompts;

namespace AnchorScope.World;

/// <summary>Kinds of packed samples, in the order of their weights in <see cref="MixtureOptions"/>.</summary>
internal enum PackedKind
{
    /// <summary>A picture and its caption, without a question.</summary>
    Caption,

    /// <summary>No note.</summary>
    ImageOnly,

    /// <summary>No picture.</summary>
    TextOnly,

    /// <summary>The note agrees with the picture.</summary>
    Agree,

    /// <summary>The note contradicts the picture.</summary>
    Conflict,
}

/// <summary>The role of a token in a packed sample.</summary>
internal enum TokenRole
{
    /// <summary>Begins the sample, or separates messages.</summary>
    Frame,

    /// <summary>Position of an image token.</summary>
    Image,

    /// <summary>Part of the note.</summary>
    Note,

    /// <summary>Part of the caption.</summary>
    Caption,

    /// <summary>Part of a question.</summary>
    Question,

    /// <summary>Part of an instruction.</summary>
    Instruction,

    /// <summary>The chat suffix before an answer.</summary>
    Suffix,

    /// <summary>An answer: always one word.</summary>
    Answer,
}

/// <summary>One word, which is one token.</summary>
/// <param name="Weight">Weight in the loss of predicting this token from those before it.</param>
internal readonly record struct PackedToken(string Word, TokenRole Role, double Weight);

/// <summary>A question of a packed sample.</summary>
/// <param name="Asked">The aspect that is asked about.</param>
/// <param name="Followed">The modality whose answer is correct; if there is only one, that one.</param>
/// <param name="Instructed">Whether an instruction names it.</param>
/// <param name="Answer">Index of the answer's token.</param>
internal sealed record PackedTurn(Aspect Asked, Modality Followed, bool Instructed, int Answer);

/// <summary>
/// A training sample: one context and three questions about it as one sequence with causal attention, or a picture and its caption.
/// </summary>
/// <param name="Kind">Kind of the context.</param>
/// <param name="Tokens">They begin with <c>&lt;bos&gt; &lt;user&gt;</c> and end with the last answer or the caption, so a model does not
/// learn to stop.</param>
/// <param name="Turns">The questions in order; empty for a caption.</param>
/// <param name="Picture">The picture for the image tokens; null if there are none.</param>
internal sealed record PackedSample(PackedKind Kind, IReadOnlyList<PackedToken> Tokens, IReadOnlyList<PackedTurn> Turns, Picture? Picture);

/// <summary>A picture with its content: four labels for training a vision tower.</summary>
internal sealed record ClassificationSample(Picture Picture, WorldState World);
