namespace AnchorScope.Conflicts;

/// <summary>The source of an answer.</summary>
public enum Modality
{
    /// <summary>The picture.</summary>
    Vision,

    /// <summary>The text context.</summary>
    Text,
}

/// <summary>The purpose of a sample.</summary>
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
/// The paper's tuple S = (Q, Cv, Ct, Iv, It, Ev, Et, A): question, visual and textual context, and an instruction and an answer entity
/// dictionary for each modality. A is determined by the instruction that is used.
/// </summary>
public sealed record ConflictSample
{
    /// <summary>Id, unique in its set.</summary>
    public required string Id { get; init; }

    /// <summary>Q, the question.</summary>
    public required string Question { get; init; }

    /// <summary>Cv: path of the picture, or null for a text-only control.</summary>
    public string? Image { get; init; }

    /// <summary>Ct, or null for an image-only control.</summary>
    public string? TextContext { get; init; }

    /// <summary>Iv and It, the instructions that the sample has.</summary>
    public required IReadOnlyDictionary<Modality, string> Instructions { get; init; }

    /// <summary>Ev and Et: the canonical answer, then its aliases.</summary>
    public required IReadOnlyDictionary<Modality, IReadOnlyList<string>> Answers { get; init; }

    /// <summary>A sentence about the form of the answer, or null.</summary>
    public string? Constraint { get; init; }

    /// <summary>System message, or null.</summary>
    public string? System { get; init; }

    /// <summary>The property that is asked about: colour, counting, …</summary>
    public string Category { get; init; } = "";

    /// <summary>Whether it is a conflict or a kind of control.</summary>
    public SampleKind Kind { get; init; }

    /// <summary>Line in the set's file, from 1; 0 for a sample that was not read from one.</summary>
    public int Line { get; init; }

    /// <summary>Strata to which the sample belongs.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>
    /// Ids of donor samples of the same file, by factor (one of <see cref="DonorFactors"/>). A donor run has the respective part of that
    /// sample instead of this sample's own; for "crossed", the donor sample is run unchanged.
    /// </summary>
    public IReadOnlyDictionary<string, string> Donors { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The factors in which a donor run can differ.</summary>
    public static IReadOnlyList<string> DonorFactors { get; } = ["instruction", "phrasing", "question", "picture", "note", "crossed"];

    /// <summary>One run per instruction, vision first.</summary>
    public IEnumerable<ConflictRun> Runs => Instructions.Keys.Order().Select(modality => new ConflictRun(this, modality));
}

/// <summary>A sample with one of its instructions.</summary>
/// <param name="Sample">The sample.</param>
/// <param name="Instruction">The modality that it is instructed to follow.</param>
public sealed record ConflictRun(ConflictSample Sample, Modality Instruction)
{
    /// <summary>Id, for instance "test-0000/vision".</summary>
    public string Id => $"{Sample.Id}/{(Instruction == Modality.Vision ? "vision" : "text")}";

    /// <summary>Answers of the instructed modality.</summary>
    public IReadOnlyList<string> Following => Sample.Answers[Instruction];

    /// <summary>Answers of the other modality; empty if the sample has no second side.</summary>
    public IReadOnlyList<string> Competing =>
        Sample.Answers.GetValueOrDefault(Instruction == Modality.Vision ? Modality.Text : Modality.Vision, []);
}

/// <summary>A line or item that was left out, with the reason.</summary>
/// <param name="File">Path of the file.</param>
/// <param name="Line">Line in a JSONL file, or index of an item in a JSON list, from 1.</param>
/// <param name="Id">Id of the sample, if known.</param>
/// <param name="Reason">Why it was left out.</param>
public sealed record RejectedLine(string File, int Line, string? Id, string Reason);
