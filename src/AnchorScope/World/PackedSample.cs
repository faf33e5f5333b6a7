using AnchorScope.Conflicts;
using AnchorScope.Prompts;

namespace AnchorScope.World;

/// <summary>Kinds of packed samples, in the order of their weights in <see cref="MixtureOptions"/>.</summary>
internal enum PackedKind
{
    /// <summary>A picture and its caption, no question.</summary>
    Caption,

    /// <summary>No note.</summary>
    ImageOnly,

    /// <summary>No picture.</summary>
    TextOnly,

    /// <summary>The note tells what the picture shows.</summary>
    Agree,

    /// <summary>It tells something else.</summary>
    Conflict,
}

/// <summary>What a token is in a packed sample.</summary>
internal enum TokenRole
{
    /// <summary>Begins the sample, or ends one turn and begins the next.</summary>
    Frame,

    /// <summary>Place of an image token.</summary>
    Image,

    /// <summary>Of the note.</summary>
    Note,

    /// <summary>Of the caption.</summary>
    Caption,

    /// <summary>Of a question.</summary>
    Question,

    /// <summary>Of an instruction.</summary>
    Instruction,

    /// <summary>The chat suffix before an answer.</summary>
    Suffix,

    /// <summary>An answer: always one word.</summary>
    Answer,
}

/// <summary>One word, which is one token.</summary>
/// <param name="Weight">In the loss, of predicting this token from those before it.</param>
internal readonly record struct PackedToken(string Word, TokenRole Role, double Weight);

/// <summary>A question of a packed sample.</summary>
/// <param name="Asked">What it is about.</param>
/// <param name="Followed">Whose answer is the right one; where there is one side only, that one.</param>
/// <param name="Instructed">Whether an instruction says so.</param>
/// <param name="Answer">Index of the answer's token.</param>
internal sealed record PackedTurn(Aspect Asked, Modality Followed, bool Instructed, int Answer);

/// <summary>A training sample: one context and three questions about it as one sequence with causal attention, or a picture and its caption.</summary>
/// <param name="Kind">Of what context.</param>
/// <param name="Tokens">Begin with <c>&lt;bos&gt; &lt;user&gt;</c> and end with the last answer or the caption: nothing teaches a model to stop.</param>
/// <param name="Turns">The questions in order; none behind a caption.</param>
/// <param name="Picture">For the image tokens; null where there are none.</param>
internal sealed record PackedSample(PackedKind Kind, IReadOnlyList<PackedToken> Tokens, IReadOnlyList<PackedTurn> Turns, Picture? Picture);

/// <summary>A picture with what it shows: four labels for a vision tower to learn from.</summary>
internal sealed record ClassificationSample(Picture Picture, WorldState World);
