using AnchorScope.Conflicts;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>A mean over all runs, over those instructed to follow the picture, and over those instructed to follow the text.</summary>
internal sealed record ByInstruction(Estimate All, Estimate Vision, Estimate Text);

/// <summary>All results of a diagnosis: the content of diagnosis.json, from which report and tables are made.</summary>
/// <remarks>
/// It contains no time of day and no timing: the same inputs give the same bytes. docs/definitions.md defines every number.
/// </remarks>
internal sealed record Diagnosis
{
    /// <summary>Version of the format of this record.</summary>
    public int Schema { get; init; } = 2;

    /// <summary>Version of the tool.</summary>
    public required string Tool { get; init; }

    /// <summary>The model.</summary>
    public required ModelFacts Model { get; init; }

    /// <summary>The conflict sets.</summary>
    public required IReadOnlyList<SetFacts> Data { get; init; }

    /// <summary>How a sample is laid out as a prompt.</summary>
    public required string Layout { get; init; }

    /// <summary>Name of every definition that was a choice.</summary>
    public required IReadOnlyDictionary<string, string> Variants { get; init; }

    /// <summary>Seed of bootstrap and random controls.</summary>
    public required ulong Seed { get; init; }

    /// <summary>A change of MFR counts as absent if its whole interval is closer to 0 than this.</summary>
    public required double EquivalenceMargin { get; init; }

    /// <summary>Significance level for p after Holm, and false discovery rate for q.</summary>
    public double Level { get; init; } = MultipleComparisons.Level;

    /// <summary>Number of tokens generated for an answer.</summary>
    public required int AnswerTokens { get; init; }

    /// <summary>The findings, one sentence each.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>Whether the decision is relayed by the instruction or read directly.</summary>
    public required RouteFinding Route { get; init; }

    /// <summary>Modality following by set, category and tag.</summary>
    public required IReadOnlyList<FollowingRates> Following { get; init; }

    /// <summary>MAM and LDAR by layer.</summary>
    public required LayerCurves Layers { get; init; }

    /// <summary>Results of cutting attention edges.</summary>
    public required IReadOnlyList<KnockoutCurve> Knockouts { get; init; }

    /// <summary>Score of every head.</summary>
    public required HeadLandscape Heads { get; init; }

    /// <summary>Which heads choose and which carry: profile and role of every head, and the sets that switch the answer.</summary>
    public required InterchangeResult Interchange { get; init; }

    /// <summary>Neurons before, among and after the necessary heads.</summary>
    public required NeuronTable Neurons { get; init; }

    /// <summary>Components of the best necessary heads.</summary>
    public required IReadOnlyList<OpenedHead> Inside { get; init; }

    /// <summary>Results of cutting edges in a single head.</summary>
    public required EdgeTable HeadEdges { get; init; }

    /// <summary>Results of blocking head sets.</summary>
    public required IReadOnlyList<BlockingResult> Blocking { get; init; }

    /// <summary>Results of amplifying head sets.</summary>
    public required IReadOnlyList<AmplificationResult> Amplification { get; init; }

    /// <summary>The reported amplification factor, chosen on other runs.</summary>
    public required AmplificationChoice AmplificationChoice { get; init; }

    /// <summary>Some conflicts with pictures and answers.</summary>
    public required IReadOnlyList<ExampleConflict> Examples { get; init; }

    /// <summary>One prompt as the model received it.</summary>
    public required PromptRecord Prompt { get; init; }

    /// <summary>Samples that were left out.</summary>
    public required IReadOnlyList<RejectedLine> Rejected { get; init; }

    /// <summary>Warnings to read before the findings, one sentence each: few samples, unknown words, irregular files.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The command line, or empty.</summary>
    public string Command { get; init; } = "";

    /// <summary>Every setting by the name of its option.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}

/// <summary>Identity of a model.</summary>
/// <param name="Name">Name of its folder.</param>
/// <param name="Provenance">Statement of the folder's provenance.json on the origin of the model, or null.</param>
internal sealed record ModelFacts(string Name, string Family, string Sha256, string TokenizerSha256, int Layers,
    int Heads, string? Provenance)
{
    /// <summary>SHA-256 of every other file that affects the model's computation, by name.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The identity of an opened model.</summary>
    public static ModelFacts Of(Models.VisionLanguageModel model) => new(
        model.Checkpoint.Name, model.Family, model.Checkpoint.Sha256, model.Tokenizer.Sha256, model.Engine.Shape.Layers,
        model.Engine.Shape.Heads,
        Baking.Provenance.Read(model.Checkpoint.Folder))
    {
        Files = model.Checkpoint.Identity.Files,
    };
}

/// <summary>Identity of a conflict set.</summary>
internal sealed record SetFacts(string Name, string Sha256, int Samples, int Rejected)
{
    /// <summary>SHA-256 of the bytes of its pictures.</summary>
    public string PicturesSha256 { get; init; } = "";

    /// <summary>The identity of a set, with its own name or another one.</summary>
    internal static SetFacts Of(Conflicts.ConflictSet set, string? name = null) =>
        new(name ?? set.Name, set.Sha256, set.Samples.Count, set.Rejected.Count) { PicturesSha256 = set.PicturesSha256 };
}

/// <summary>Whether an effect was found.</summary>
internal enum FindingStatus
{
    /// <summary>p after Holm is at most 0.05, and the intervals exclude values that would contradict the claim.</summary>
    Present,

    /// <summary>The whole interval is within the equivalence margin.</summary>
    Absent,

    /// <summary>Not distinguishable from noise or from random controls, or too few samples.</summary>
    Unclear,
}

/// <summary>One sentence of the summary.</summary>
/// <param name="Test">The test that supports it; null if nothing could be tested.</param>
internal sealed record Finding(FindingStatus Status, string Text, FindingTest? Test = null);

/// <summary>The test that supports a sentence. The four sentences are one family.</summary>
/// <param name="What">What is tested, in words.</param>
/// <param name="P">The largest p of all parts of the sentence; 1 if the sentence cannot be claimed whatever p is.</param>
/// <param name="Holm">P after Holm over the four sentences.</param>
/// <param name="Effect">The difference that the sentence is about, with its 95 % interval.</param>
/// <param name="Samples">Number of independent samples: runs that share a picture count as one.</param>
/// <param name="Needed">Estimated number of samples that would decide, if these do not.</param>
/// <param name="Draws">Rank among random sets, if that is part of the test.</param>
internal sealed record FindingTest(string What, double P, double Holm, Estimate Effect, int Samples, int? Needed, PermutationRank? Draws);

/// <summary>Shares of runs without intervention, in one group of a set.</summary>
internal sealed record FollowingRates
{
    public required string Set { get; init; }

    /// <summary>"all", "category", "tag", or "kind" for controls.</summary>
    public required string Group { get; init; }

    public required string Name { get; init; }

    public required int Runs { get; init; }

    /// <summary>The likeliest token begins the instructed answer.</summary>
    public required ByInstruction Argmax { get; init; }

    /// <summary>logit(y_p) > logit(y_c).</summary>
    public required ByInstruction Larger { get; init; }

    /// <summary>The generated text gives the instructed answer.</summary>
    public required ByInstruction Generated { get; init; }

    /// <summary>The likeliest token begins the other modality's answer.</summary>
    public required ByInstruction Competitor { get; init; }

    /// <summary>The likeliest token begins neither answer.</summary>
    public required ByInstruction Neither { get; init; }
}

/// <summary>The logit lens on the test set. Index 0 is the residual stream before layer 0, index l + 1 the stream after layer l.</summary>
internal sealed record LayerCurves
{
    /// <summary>MAM with TopK over the instruction's positions.</summary>
    public required IReadOnlyList<ByInstruction> MamAnchor { get; init; }

    /// <summary>MAM at the last position.</summary>
    public required IReadOnlyList<ByInstruction> MamLast { get; init; }

    /// <summary>LDAR at the instruction's positions over all runs.</summary>
    public required IReadOnlyList<ByInstruction> LdarAnchor { get; init; }

    /// <summary>LDAR at the last position over all runs.</summary>
    public required IReadOnlyList<ByInstruction> LdarLast { get; init; }

    /// <summary>LDAR at the instruction's positions over the runs that gave one of the two answers.</summary>
    public required IReadOnlyList<ByInstruction> LdarAnchorDecided { get; init; }

    /// <summary>The same at the last position.</summary>
    public required IReadOnlyList<ByInstruction> LdarLastDecided { get; init; }

    /// <summary>Change of MAM at the instruction by the attention of layer l [L].</summary>
    public required IReadOnlyList<ByInstruction> AttentionAnchor { get; init; }

    /// <summary>Change of MAM at the instruction by the MLP of layer l [L].</summary>
    public required IReadOnlyList<ByInstruction> MlpAnchor { get; init; }

    /// <summary>Change of MAM at the last position by the attention of layer l [L].</summary>
    public required IReadOnlyList<ByInstruction> AttentionLast { get; init; }

    /// <summary>Change of MAM at the last position by the MLP of layer l [L].</summary>
    public required IReadOnlyList<ByInstruction> MlpLast { get; init; }

    /// <summary>Number of runs that gave neither answer and are left out of the "decided" curves.</summary>
    public required int Undecided { get; init; }

    /// <summary>LDAR at the instruction over the runs that decide against their instruction, by the larger of the two logits.</summary>
    public required IReadOnlyList<ByInstruction> LdarAnchorAgainst { get; init; }

    /// <summary>The same at the last position.</summary>
    public required IReadOnlyList<ByInstruction> LdarLastAgainst { get; init; }

    /// <summary>Share of runs with MAM > 0 at the instruction: the LDAR of a model that always follows its instruction.</summary>
    public required IReadOnlyList<ByInstruction> MamPositiveAnchor { get; init; }

    /// <summary>The same at the last position.</summary>
    public required IReadOnlyList<ByInstruction> MamPositiveLast { get; init; }

    /// <summary>Share of the more frequent decision: the LDAR of a signal that is constant.</summary>
    public required Estimate BaseRate { get; init; }

    /// <summary>The same over the runs that decide against their instruction.</summary>
    public required Estimate BaseRateAgainst { get; init; }

    /// <summary>The largest rise of LDAR at the instruction; null without runs.</summary>
    public required LargestRise? AnchorRise { get; init; }

    /// <summary>The same at the last position.</summary>
    public required LargestRise? LastRise { get; init; }
}

/// <summary>One edge cut in a window around every layer, and in all layers at once.</summary>
/// <param name="Window">Number of layers that are cut together.</param>
internal sealed record KnockoutCurve(string Edge, int Window, IReadOnlyList<KnockoutPoint> Layers, KnockoutPoint? AllLayers);

/// <summary>One cut.</summary>
/// <param name="Layer">Centre of the window; null for all layers.</param>
/// <param name="Runs">Number of runs whose prompt has this edge.</param>
/// <param name="Nssd">I_NSSD in the chosen variant.</param>
/// <param name="NssdMeans">Mean I_NSSD over all, vision and text runs in every variant.</param>
/// <param name="Argmax">MFR by arg-max under the cut.</param>
/// <param name="Larger">MFR by the larger of the two logits under the cut.</param>
internal sealed record KnockoutPoint(
    int? Layer, int Runs, ByInstruction Nssd, IReadOnlyDictionary<string, IReadOnlyList<double>> NssdMeans, ByInstruction Argmax,
        ByInstruction Larger)
{
    /// <summary>Test of the hypothesis that mean I_NSSD over all runs is 0.</summary>
    public required Significance Test { get; init; }
}

/// <summary>One of many tests.</summary>
/// <param name="P">Two-sided p.</param>
/// <param name="Q">q after Benjamini and Hochberg over its family; NaN if there was no test.</param>
internal sealed record Significance(double P, double Q)
{
    /// <summary>Whether the result is significant at a false discovery rate of 5 %.</summary>
    public bool Survives => Q <= MultipleComparisons.Level;

    /// <summary>The tests of a family.</summary>
    /// <param name="p">NaN if there was no test.</param>
    /// <param name="size">Size of the family, including members that were not tested.</param>
    public static IReadOnlyList<Significance> Family(IReadOnlyList<double> p, int size = 0) =>
        [.. p.Zip(MultipleComparisons.BenjaminiHochberg(p, size), (one, q) => new Significance(one, q))];
}

/// <summary>Result of blocking a head set on the test set.</summary>
internal sealed record BlockingResult
{
    /// <summary>The best heads of some share, or the best for one modality.</summary>
    public required HeadSetId Name { get; init; }

    /// <summary>Share of all heads, or null.</summary>
    public required double? Share { get; init; }

    public required IReadOnlyList<HeadId> Heads { get; init; }

    public required ByInstruction Argmax { get; init; }

    public required ByInstruction Larger { get; init; }

    public required ByInstruction Competitor { get; init; }

    /// <summary>MFR without the block minus MFR with it, by arg-max, paired by run.</summary>
    public required ByInstruction Drop { get; init; }

    /// <summary>Accuracy on control samples by kind.</summary>
    public required IReadOnlyDictionary<string, Estimate> Control { get; init; }

    /// <summary>The same number of random heads.</summary>
    public required RandomControl? Random { get; init; }

    /// <summary>The same number of random heads in the same layers.</summary>
    public required RandomControl? LayerMatched { get; init; }
}

/// <summary>Random head sets, several draws.</summary>
/// <param name="Sets">The draws.</param>
/// <param name="Argmax">MFR, mean over draws.</param>
/// <param name="Lowest">Lowest MFR of a draw over all runs.</param>
/// <param name="Highest">Highest MFR of a draw over all runs.</param>
/// <param name="Control">Accuracy on control samples by kind, mean over the first ten draws.</param>
/// <param name="Rank">Rank of the chosen set's MFR under blocking among those of the draws; lower is stronger.</param>
internal sealed record RandomControl(
    IReadOnlyList<IReadOnlyList<HeadId>> Sets, ByInstruction Argmax, ByInstruction Larger, double Lowest, double Highest,
    IReadOnlyDictionary<string, Estimate> Control, PermutationRank Rank);

/// <summary>Result of amplifying a head set.</summary>
/// <param name="Set">Name of the conflict set.</param>
/// <param name="Group">The heads; for random ones the mean over draws.</param>
/// <param name="Failed">Number of runs whose likeliest token does not begin the instructed answer.</param>
internal sealed record AmplificationResult(string Set, HeadSetId Group, IReadOnlyList<HeadId> Heads, int Failed, int Runs,
    IReadOnlyList<GainPoint> Points);

/// <summary>One factor; 1 is no change.</summary>
/// <param name="RecoveredArgmax">Share of the failed runs that follow at this factor.</param>
/// <param name="RecoveredLarger">Share of the failed runs with logit(y_p) > logit(y_c) at this factor; not 0 at factor 1.</param>
/// <param name="WholeArgmax">MFR of the whole set at this factor; null for random heads, which are run on failed samples only.</param>
/// <param name="WholeLarger">The same by the larger of the two logits.</param>
/// <param name="Control">Accuracy on control samples by kind.</param>
internal sealed record GainPoint(
    double Factor, ByInstruction RecoveredArgmax, ByInstruction RecoveredLarger, ByInstruction? WholeArgmax, ByInstruction? WholeLarger,
    IReadOnlyDictionary<string, Estimate> Control);

/// <summary>A conflict and the model's answers under several conditions.</summary>
/// <param name="Picture">Path relative to the data folder.</param>
/// <param name="Why">Why it was picked.</param>
internal sealed record ExampleConflict(string Id, string Why, string Category, string? Picture, string? TextContext, string Question,
    IReadOnlyList<ExampleRun> Runs)
{
    /// <summary>
    /// The region of the picture that each image token covers: left, top, right, bottom in pixels; null for tokens without a region. Empty
    /// without a picture.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>?> ImageBoxes { get; init; } = [];
}

/// <summary>The conflict under one of its instructions.</summary>
internal sealed record ExampleRun(
    string Modality, string Instruction, string Expected, string Competing, IReadOnlyList<ExampleAnswer> Answers)
{
    /// <summary>Attention to the picture, by span and condition.</summary>
    public IReadOnlyList<ImageReading> Readings { get; init; } = [];
}

/// <summary>
/// Attention of a span to every image token: mean over its positions, all heads and layers. Blocked heads count as 0 (docs/definitions.md).
/// </summary>
/// <param name="Span">"instruction" or "last".</param>
/// <param name="Condition">Description of the condition.</param>
/// <param name="Tokens">Share of all attention, by image token.</param>
internal sealed record ImageReading(string Span, string Condition, IReadOnlyList<double> Tokens)
{
    /// <summary>Share of all attention that goes to the whole picture.</summary>
    public double Total => Tokens.Sum();
}

/// <summary>The likeliest token under one condition.</summary>
/// <param name="Verdict">"following", "competing" or "neither".</param>
internal sealed record ExampleAnswer(string Condition, string Answer, string Verdict);

/// <summary>One prompt in full.</summary>
internal sealed record PromptRecord(
    string Run, string Text, IReadOnlyList<int> Tokens, IReadOnlyDictionary<string, IReadOnlyList<int>> Spans);
