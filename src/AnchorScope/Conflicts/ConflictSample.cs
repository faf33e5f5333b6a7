namespace AnchorScope.Conflicts;

/// <summary>Where an answer comes from.</summary>
public enum Modality
{
    /// <summary>The picture.</summary>
    Vision,

    /// <summary>The text context.</summary>
    Text,
}

/// <summary>What a sample is for.</summary>
public enum SampleKind
{
    /// <summary>Picture and text contradict each other.</summary>
    Conflict,

    /// <summary>Control: picture and text agree.</summary>
    Agree,

    /// <summary>Control: there is no text.</summary>
    ImageOnly,

    /// <summary>Control: there is no picture.</summary>
    TextOnly,
}

/// <summary>
/// The paper's tuple S = (Q, Cv, Ct, Iv, It, Ev, Et, A): question, visual and textual context, an instruction and an answer entity
/// dictionary for each modality; A is given by which instruction is used.
/// </summary>
public sealed record ConflictSample
{
    /// <summary>Unique in its set.</summary>
    public required string Id { get; init; }

    /// <summary>Q.</summary>
    public required string Question { get; init; }

    /// <summary>Cv: path of the picture, or null for a text-only control.</summary>
    public string? Image { get; init; }

    /// <summary>Ct, or null for an image-only control.</summary>
    public string? TextContext { get; init; }

    /// <summary>Iv and It, as far as the sample has them.</summary>
    public required IReadOnlyDictionary<Modality, string> Instructions { get; init; }

    /// <summary>Ev and Et: the canonical answer first, then its aliases.</summary>
    public required IReadOnlyDictionary<Modality, IReadOnlyList<string>> Answers { get; init; }

    /// <summary>A sentence on the form of the answer, or null.</summary>
    public string? Constraint { get; init; }

    /// <summary>System message, or null.</summary>
    public string? System { get; init; }

    /// <summary>What is asked about: colour, counting, …</summary>
    public string Category { get; init; } = "";

    /// <summary>Conflict or which control.</summary>
    public SampleKind Kind { get; init; }

    /// <summary>Line in the set's file, from 1; 0 for a sample that was not read from one.</summary>
    public int Line { get; init; }

    /// <summary>Strata the sample belongs to.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>
    /// By factor, one of <see cref="DonorFactors"/>: id of the sample of the same file from which the part is taken that a donor run has
    /// in place of this sample's own; for "crossed" the sample that is run as it is.
    /// </summary>
    public IReadOnlyDictionary<string, string> Donors { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>What a donor run may differ in.</summary>
    public static IReadOnlyList<string> DonorFactors { get; } = ["instruction", "phrasing", "question", "picture", "note", "crossed"];

    /// <summary>One run per instruction, vision first.</summary>
    public IEnumerable<ConflictRun> Runs => Instructions.Keys.Order().Select(modality => new ConflictRun(this, modality));
}

/// <summary>A sample with one of its instructions.</summary>
/// <param name="Sample">The sample.</param>
/// <param name="Instruction">The modality it is told to follow.</param>
public sealed record ConflictRun(ConflictSample Sample, Modality Instruction)
{
    /// <summary>"test-0000/vision".</summary>
    public string Id => $"{Sample.Id}/{(Instruction == Modality.Vision ? "vision" : "text")}";

    /// <summary>Answers of the instructed modality.</summary>
    public IReadOnlyList<string> Following => Sample.Answers[Instruction];

    /// <summary>Answers of the other modality; none where the sample has no second side.</summary>
    public IReadOnlyList<string> Competing =>
        Sample.Answers.GetValueOrDefault(Instruction == Modality.Vision ? Modality.Text : Modality.Vision, []);
}

/// <summary>A line or item that was left out, and why.</summary>
/// <param name="Line">Line in a JSONL file, or index of an item in a JSON list, from 1.</param>
public sealed record RejectedLine(string File, int Line, string? Id, string Reason);
