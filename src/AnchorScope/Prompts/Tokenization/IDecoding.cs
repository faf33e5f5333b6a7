namespace AnchorScope.Prompts.Tokenization;

/// <summary>A step of a decoder with the state of one text.</summary>
internal interface IDecoding
{
    /// <summary>Adds text; returns what is final.</summary>
    IEnumerable<Stretch> Next(Stretch stretch);

    /// <summary>The remaining text, after the last token.</summary>
    IEnumerable<Stretch> End();
}
