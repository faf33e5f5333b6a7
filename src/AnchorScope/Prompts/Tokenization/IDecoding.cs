namespace AnchorScope.Prompts.Tokenization;

/// <summary>A step of a decoder in the middle of a text.</summary>
internal interface IDecoding
{
    /// <summary>What is certain now.</summary>
    IEnumerable<Stretch> Next(Stretch stretch);

    /// <summary>The rest, when no more will come.</summary>
    IEnumerable<Stretch> End();
}
