namespace AnchorScope.Prompts;

/// <summary>The disjoint parts of a prompt, except <see cref="Last"/>, which is also part of <see cref="Suffix"/>.</summary>
public enum SpanKind
{
    /// <summary>Image tokens of all pictures.</summary>
    Image,

    /// <summary>The text that contradicts the picture.</summary>
    TextContext,

    /// <summary>The question.</summary>
    Question,

    /// <summary>The sentence that names the modality to trust.</summary>
    Instruction,

    /// <summary>A sentence about the form of the answer.</summary>
    Constraint,

    /// <summary>The system message.</summary>
    System,

    /// <summary>Template tokens after the user's message; the same in every prompt.</summary>
    Suffix,

    /// <summary>The final position, where the answer is predicted: part of the suffix, never of the instruction.</summary>
    Last,
}
