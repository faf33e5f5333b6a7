namespace AnchorScope.Prompts;

/// <summary>The parts of a prompt, kept apart; edges name one of them or a union.</summary>
public enum SpanKind
{
    /// <summary>Image tokens of all pictures.</summary>
    Image,

    /// <summary>The text that is set against the picture.</summary>
    TextContext,

    /// <summary>The question.</summary>
    Question,

    /// <summary>The sentence that says which modality to trust.</summary>
    Instruction,

    /// <summary>A sentence on the form of the answer.</summary>
    Constraint,

    /// <summary>The system message.</summary>
    System,

    /// <summary>Template tokens after the user turn; the same in every prompt.</summary>
    Suffix,

    /// <summary>The final position, where the answer is predicted: part of the suffix, never of the instruction.</summary>
    Last,
}
