namespace AnchorScope.Wired;

/// <summary>
/// The meaning of each coordinate of a wired decoder's residual stream. A feature that is present has the value 1. Coordinates from
/// <see cref="Named"/> on have no meaning and contain noise.
/// </summary>
internal static class Axes
{
    /// <summary>Width of the residual stream, d_model.</summary>
    public const int Width = 96;

    /// <summary>Number of coordinates with a meaning.</summary>
    public const int Named = 84;

    /// <summary>16 in every token: so large that the norm before a sublayer hardly depends on the rest.</summary>
    public const int Constant = 0;

    /// <summary>The first token, to which a head attends that has nothing to read.</summary>
    public const int Start = 1;

    /// <summary>An image token.</summary>
    public const int Picture = 2;

    /// <summary>A value's word in the note.</summary>
    public const int Note = 3;

    /// <summary>The question's word "sky".</summary>
    public const int AskedSky = 4;

    /// <summary>The question's word "ground".</summary>
    public const int AskedGround = 5;

    /// <summary>The instruction's word for pictures.</summary>
    public const int SaysPicture = 6;

    /// <summary>The instruction's word for text.</summary>
    public const int SaysText = 7;

    /// <summary>The question mark.</summary>
    public const int QuestionEnd = 8;

    /// <summary>The instruction's last word.</summary>
    public const int Tail = 9;

    /// <summary>The end of the user's turn.</summary>
    public const int TurnEnd = 10;

    /// <summary>The last token of the prompt, after which the answer is generated.</summary>
    public const int Last = 11;

    /// <summary>Written by heads: the question is about the sky.</summary>
    public const int CarriedSky = 12;

    /// <summary>Written by heads: the question is about the ground.</summary>
    public const int CarriedGround = 13;

    /// <summary>Written by heads: the picture is to be trusted.</summary>
    public const int ChosenPicture = 14;

    /// <summary>Written by heads: the text is to be trusted.</summary>
    public const int ChosenText = 15;

    /// <summary>Written by heads: this position's answer was read from the picture.</summary>
    public const int FoundInPicture = 16;

    /// <summary>Written by heads: this position's answer was read from the note.</summary>
    public const int FoundInNote = 17;

    /// <summary>The tendency to answer "unsure", which the last token has from the start.</summary>
    public const int Unsure = 18;

    /// <summary>First of 16: the value that this token shows or names, 8 of the sky and then 8 of the ground.</summary>
    public const int Value = 20;

    /// <summary>First of 16: the value that will be the answer. The output head reads these.</summary>
    public const int Answer = 36;

    /// <summary>First of 16: a value copied from the picture, not yet an answer.</summary>
    public const int FromPicture = 52;

    /// <summary>First of 16: a value copied from the note, not yet an answer.</summary>
    public const int FromNote = 68;
}
