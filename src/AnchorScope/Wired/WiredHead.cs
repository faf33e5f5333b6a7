using AnchorScope.Studies;

namespace AnchorScope.Wired;

/// <summary>Places of a prompt at which heads act or which they read.</summary>
internal enum WiredPlace
{
    /// <summary>The question's word "sky" or "ground".</summary>
    QuestionWord,

    /// <summary>The question mark.</summary>
    QuestionEnd,

    /// <summary>The instruction's word "picture", "photo", "text" or "words".</summary>
    Noun,

    /// <summary>The last word of the instruction.</summary>
    Tail,

    /// <summary>Noun and tail.</summary>
    NounAndTail,

    /// <summary>The end of the user's turn.</summary>
    TurnEnd,

    /// <summary>The last position.</summary>
    Last,

    /// <summary>All image tokens.</summary>
    Picture,

    /// <summary>Both words of the note.</summary>
    Note,

    /// <summary>The image tokens of the part that the question is about.</summary>
    AskedPicture,

    /// <summary>The note's word for the part that the question is about.</summary>
    AskedNote,

    /// <summary>Whichever of the last two the instruction says to trust.</summary>
    Instructed,
}

/// <summary>Effect on the answers of runs with a conflict when the head's output is set to 0 from the question to the end.</summary>
internal enum WiredBlocking
{
    /// <summary>They are unchanged.</summary>
    Kept,

    /// <summary>They become "unsure".</summary>
    Unsure,

    /// <summary>They become values of the other modality, either of the part that the question is about or of the other part.</summary>
    Other,

    /// <summary>Those of runs instructed to trust the picture become "unsure", the others are unchanged.</summary>
    UnsureForPicture,

    /// <summary>Those of runs instructed to trust the text become "unsure", the others are unchanged.</summary>
    UnsureForNote,
}

/// <summary>Adds weight x (sum of the query's features) x (sum of the key's features) to a head's scores, in units of 12.2.</summary>
internal sealed record Match(float Weight, IReadOnlyList<int> Query, IReadOnlyList<int> Key)
{
    /// <summary>Weight of a query's feature.</summary>
    public const float QueryWeight = 8;

    /// <summary>Weight of a key's feature. In a head of width 24, a match of weight 1 adds 8 x 7.5 / sqrt(24), about 12.2.</summary>
    public const float KeyWeight = 7.5f;
}

/// <summary>
/// Copies <paramref name="Count"/> features from <paramref name="From"/> on of the attended position to <paramref name="To"/> … of the
/// query's position.
/// </summary>
internal sealed record Copy(int From, int To, int Count, float Factor = 1);

/// <summary>
/// A head with constructed weights. If no match exceeds <see cref="Rest"/>, it attends to the first token, which has nothing to copy.
/// </summary>
internal sealed record WiredHead(int Layer, int Head, HeadRole Role, string Does)
{
    /// <summary>Weight of the first token in the scores of every query.</summary>
    public const float Rest = 1.4f;

    /// <summary>Places at which it acts; empty: none, unless another head is blocked.</summary>
    public IReadOnlyList<WiredPlace> At { get; init; } = [];

    /// <summary>The place it attends to.</summary>
    public WiredPlace? Reads { get; init; }

    /// <summary>The effect of blocking it.</summary>
    public WiredBlocking Blocked { get; init; }

    /// <summary>The matches that determine its scores.</summary>
    public required IReadOnlyList<Match> Scores { get; init; }

    /// <summary>The copies that determine its output.</summary>
    public required IReadOnlyList<Copy> Output { get; init; }
}

/// <summary>
/// Neurons of a layer's MLP that copy features from <paramref name="From"/> on to <paramref name="To"/> … if both of <paramref name="If"/>
/// are present and none of <paramref name="Unless"/> is.
/// </summary>
internal sealed record Gate(int Layer, IReadOnlyList<int> If, IReadOnlyList<int> Unless, int From, int To, int Count, float Factor = 1);
