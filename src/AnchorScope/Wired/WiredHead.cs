namespace AnchorScope.Wired;

/// <summary>What a head does, by what happens when its activations are exchanged between two runs; docs/wired.md has the definitions.</summary>
public enum WiredRole
{
    /// <summary>Nothing that an answer depends on.</summary>
    None,

    /// <summary>Its queries choose between picture and note.</summary>
    Arbiter,

    /// <summary>Its output says which modality to trust, and nothing of what that shows.</summary>
    CarrierChoice,

    /// <summary>Its output is the answer that was decided on.</summary>
    CarrierDecision,

    /// <summary>Its output says what the question is about.</summary>
    CarrierQuestion,

    /// <summary>Its output is what the picture shows, whatever the instruction.</summary>
    CarrierPicture,

    /// <summary>Its output is what the note says, whatever the instruction.</summary>
    CarrierNote,

    /// <summary>Several of these at once.</summary>
    Hub,

    /// <summary>It keeps the model from a third answer.</summary>
    Brake,
}

/// <summary>Places of a prompt at which heads act and which they read.</summary>
public enum WiredPlace
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

    /// <summary>The image tokens of what the question is about.</summary>
    AskedPicture,

    /// <summary>The note's word for what the question is about.</summary>
    AskedNote,

    /// <summary>One of the last two: that which the instruction says to trust.</summary>
    Instructed,
}

/// <summary>What becomes of the answers of runs with a conflict when the head's output is set to 0 from the question to the end.</summary>
public enum WiredBlocking
{
    /// <summary>They stay.</summary>
    Kept,

    /// <summary>They become neither modality's.</summary>
    Neither,

    /// <summary>They become the other modality's.</summary>
    Other,

    /// <summary>They become "unsure".</summary>
    Unsure,

    /// <summary>Those of runs that are told to trust the picture are lost, the others stay.</summary>
    NeitherForPicture,

    /// <summary>Those of runs that are told to trust the text are lost, the others stay.</summary>
    NeitherForNote,
}

/// <summary>Adds weight x (sum of the query token's features) x (sum of the key token's features) to a head's scores, in units of <see cref="Unit"/>.</summary>
internal sealed record Match(float Weight, IReadOnlyList<int> Query, IReadOnlyList<int> Key)
{
    /// <summary>Weight of a query's feature.</summary>
    public const float QueryWeight = 8;

    /// <summary>Weight of a key's feature: with heads of 24 numbers a match of weight 1 is worth 8 x 7.5 / sqrt(24), about 12.2.</summary>
    public const float KeyWeight = 7.5f;

    /// <summary>What a match of weight 1 is called.</summary>
    public const string Unit = "8 x 7.5 / sqrt(24)";
}

/// <summary>Copies features <paramref name="From"/> … of what is attended to into <paramref name="To"/> … of the attending token.</summary>
internal sealed record Copy(int From, int To, int Count, float Factor = 1);

/// <summary>A head whose weights are written. Where no match exceeds <see cref="Rest"/>, it attends to the first token, whose features are not copied.</summary>
internal sealed record WiredHead(int Layer, int Head, WiredRole Role, string Does)
{
    /// <summary>Weight of the first token in the scores of every query.</summary>
    public const float Rest = 1.4f;

    /// <summary>Where it acts; empty: nowhere, as long as nothing is blocked.</summary>
    public IReadOnlyList<WiredPlace> At { get; init; } = [];

    /// <summary>What it attends to there.</summary>
    public WiredPlace? Reads { get; init; }

    /// <summary>What blocking it does.</summary>
    public WiredBlocking Blocked { get; init; }

    /// <summary>Its scores.</summary>
    public required IReadOnlyList<Match> Scores { get; init; }

    /// <summary>Its output.</summary>
    public required IReadOnlyList<Copy> Output { get; init; }
}

/// <summary>
/// Neurons of a layer's MLP that copy features <paramref name="From"/> … to <paramref name="To"/> … where <paramref name="If"/> is present and
/// <paramref name="Unless"/> is not.
/// </summary>
internal sealed record Gate(int Layer, int If, int Unless, int From, int To, int Count);
