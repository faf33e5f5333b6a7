using AnchorScope.Conflicts;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>A mean over all runs, over those told to follow the picture, and over those told to follow the text.</summary>
internal sealed record ByInstruction(Estimate All, Estimate Vision, Estimate Text);

/// <summary>Everything that a diagnosis found: the content of diagnosis.json, from which report and tables are made.</summary>
/// <remarks>No time of day and no timing is in it: the same inputs give the same bytes. docs/definitions.md defines every number.</remarks>
internal sealed record Diagnosis
{
    /// <summary>Version of this record's form.</summary>
    public int Schema { get; init; } = 2;

    /// <summary>Version of the tool.</summary>
    public required string Tool { get; init; }

    /// <summary>The model.</summary>
    public required ModelFacts Model { get; init; }

    /// <summary>The conflict sets.</summary>
    public required IReadOnlyList<SetFacts> Data { get; init; }

    /// <summary>How a sample becomes a prompt.</summary>
    public required string Layout { get; init; }

    /// <summary>Name of every definition that was a choice.</summary>
    public required IReadOnlyDictionary<string, string> Variants { get; init; }

    /// <summary>Of bootstrap and random controls.</summary>
    public required ulong Seed { get; init; }

    /// <summary>A change of MFR is absent where its whole interval is closer to 0 than this.</summary>
    public required double EquivalenceMargin { get; init; }

    /// <summary>Level of p after Holm and of the false discovery rate: what is marked as surviving.</summary>
    public double Level { get; init; } = MultipleComparisons.Level;

    /// <summary>Tokens generated for an answer.</summary>
    public required int AnswerTokens { get; init; }

    /// <summary>What was found, in sentences.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>Relay or direct reading.</summary>
    public required RouteFinding Route { get; init; }

    /// <summary>Modality following by set, category and tag.</summary>
    public required IReadOnlyList<FollowingRates> Following { get; init; }

    /// <summary>MAM and LDAR through the layers; null where no test sample has two sides.</summary>
    public required LayerCurves Layers { get; init; }

    /// <summary>Cut edges.</summary>
    public required IReadOnlyList<KnockoutCurve> Knockouts { get; init; }

    /// <summary>Every head's score.</summary>
    public required HeadLandscape Heads { get; init; }

    /// <summary>Who chooses and who carries: every head's profile and role, and the sets that switch the answer.</summary>
    public required InterchangeResult Interchange { get; init; }

    /// <summary>Neurons before, among and after the necessary heads.</summary>
    public required NeuronTable Neurons { get; init; }

    /// <summary>Inside the best necessary heads.</summary>
    public required IReadOnlyList<OpenedHead> Inside { get; init; }

    /// <summary>Edges cut in one head alone.</summary>
    public required EdgeTable HeadEdges { get; init; }

    /// <summary>Head sets blocked.</summary>
    public required IReadOnlyList<BlockingResult> Blocking { get; init; }

    /// <summary>Head sets amplified.</summary>
    public required IReadOnlyList<AmplificationResult> Amplification { get; init; }

    /// <summary>The factor that is reported, chosen on other runs.</summary>
    public required AmplificationChoice AmplificationChoice { get; init; }

    /// <summary>Some conflicts with pictures and answers.</summary>
    public required IReadOnlyList<ExampleConflict> Examples { get; init; }

    /// <summary>One prompt as the model got it.</summary>
    public required RenderedPrompt Prompt { get; init; }

    /// <summary>What was left out.</summary>
    public required IReadOnlyList<RejectedLine> Rejected { get; init; }

    /// <summary>What a reader should know before the findings, a sentence each: few samples, unknown words, odd files.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The command that was typed, or empty.</summary>
    public string Command { get; init; } = "";

    /// <summary>Every setting by the name of its option.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}

/// <summary>What identifies a model.</summary>
/// <param name="Name">Name of its folder.</param>
/// <param name="Provenance">Statement that the folder's provenance.json makes about where the model comes from, or null.</param>
internal sealed record ModelFacts(string Name, string Family, string Sha256, string TokenizerSha256, int Layers, int Heads, string? Provenance)
{
    /// <summary>SHA-256 of every other file that decides what the model computes, by name.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Those of an opened model.</summary>
    public static ModelFacts Of(Models.VisionLanguageModel model) => new(
        model.Checkpoint.Name, model.Family, model.Checkpoint.Sha256, model.Tokenizer.Sha256, model.Decoder.Shape.Layers, model.Decoder.Shape.Heads,
        Baking.Provenance.Read(model.Checkpoint.Folder))
    {
        Files = model.Checkpoint.Identity.Files,
    };
}

/// <summary>What identifies a conflict set.</summary>
internal sealed record SetFacts(string Name, string Sha256, int Samples, int Rejected)
{
    /// <summary>Of its pictures' bytes.</summary>
    public string PicturesSha256 { get; init; } = "";

    /// <summary>Those of a set, under its own name or another.</summary>
    internal static SetFacts Of(Conflicts.ConflictSet set, string? name = null) =>
        new(name ?? set.Name, set.Sha256, set.Samples.Count, set.Rejected.Count) { PicturesSha256 = set.PicturesSha256 };
}

/// <summary>What a finding says about an effect.</summary>
internal enum FindingStatus
{
    /// <summary>p after Holm is at most 0.05, and the intervals exclude what would speak against it.</summary>
    Present,

    /// <summary>The whole interval lies within the equivalence margin.</summary>
    Absent,

    /// <summary>Cannot be told from noise or from random controls, or too few samples.</summary>
    Unclear,
}

/// <summary>One sentence of the summary.</summary>
/// <param name="Test">What it stands on; null where nothing could be tested.</param>
internal sealed record Finding(FindingStatus Status, string Text, FindingTest? Test = null);

/// <summary>The test behind a sentence. The four sentences are a family.</summary>
/// <param name="What">What is tested, in words.</param>
/// <param name="P">The largest p of all that the sentence needs; 1 where the sentence cannot be claimed whatever p is.</param>
/// <param name="Holm">P after Holm over the four sentences.</param>
/// <param name="Effect">The difference that the sentence is about, with its 95 % interval.</param>
/// <param name="Samples">Independent samples: runs that share a picture are one.</param>
/// <param name="Needed">About how many would decide, where they do not.</param>
/// <param name="Draws">Rank among random sets, where one is part of the test.</param>
internal sealed record FindingTest(string What, double P, double Holm, Estimate Effect, int Samples, int? Needed, PermutationRank? Draws);

/// <summary>Shares of runs without intervention, in one group of a set.</summary>
/// <param name="Group">"all", "category", "tag", or "kind" for controls.</param>
/// <param name="Argmax">The likeliest token begins the instructed answer.</param>
/// <param name="Larger">logit(y_p) > logit(y_c).</param>
/// <param name="Generated">The generated text gives the instructed answer.</param>
/// <param name="Competitor">The likeliest token begins the other modality's answer.</param>
/// <param name="Neither">It begins neither.</param>
internal sealed record FollowingRates(
    string Set, string Group, string Name, int Runs, ByInstruction Argmax, ByInstruction Larger, ByInstruction Generated,
    ByInstruction Competitor, ByInstruction Neither);

/// <summary>The logit lens on the test set. Index 0 is the stream entering layer 0, l + 1 the stream after layer l.</summary>
/// <param name="MamAnchor">MAM with TopK over the instruction's positions.</param>
/// <param name="MamLast">MAM at the last position.</param>
/// <param name="LdarAnchor">LDAR at the instruction's positions; all runs.</param>
/// <param name="LdarLast">LDAR at the last position; all runs.</param>
/// <param name="LdarAnchorDecided">Only over runs that answered one of the two.</param>
/// <param name="LdarLastDecided">The same at the last position.</param>
/// <param name="AttentionAnchor">What attention of layer l adds to MAM at the instruction [L].</param>
/// <param name="MlpAnchor">What its MLP adds [L].</param>
/// <param name="AttentionLast">What attention adds at the last position [L].</param>
/// <param name="MlpLast">What the MLP adds [L].</param>
/// <param name="Undecided">Runs that answered neither, left out of the "decided" curves.</param>
internal sealed record LayerCurves(
    IReadOnlyList<ByInstruction> MamAnchor, IReadOnlyList<ByInstruction> MamLast, IReadOnlyList<ByInstruction> LdarAnchor,
    IReadOnlyList<ByInstruction> LdarLast, IReadOnlyList<ByInstruction> LdarAnchorDecided, IReadOnlyList<ByInstruction> LdarLastDecided,
    IReadOnlyList<ByInstruction> AttentionAnchor, IReadOnlyList<ByInstruction> MlpAnchor, IReadOnlyList<ByInstruction> AttentionLast,
    IReadOnlyList<ByInstruction> MlpLast, int Undecided)
{
    /// <summary>LDAR at the instruction over the runs that decide against their instruction, by the larger of the two.</summary>
    public required IReadOnlyList<ByInstruction> LdarAnchorAgainst { get; init; }

    /// <summary>The same at the last position.</summary>
    public required IReadOnlyList<ByInstruction> LdarLastAgainst { get; init; }

    /// <summary>Share of runs with MAM > 0 at the instruction: what LDAR would be if the model followed always.</summary>
    public required IReadOnlyList<ByInstruction> MamPositiveAnchor { get; init; }

    /// <summary>The same at the last position.</summary>
    public required IReadOnlyList<ByInstruction> MamPositiveLast { get; init; }

    /// <summary>Share of the decision that the model takes more often: LDAR of a signal that always says the same.</summary>
    public required Estimate BaseRate { get; init; }

    /// <summary>The same over the runs that decide against their instruction.</summary>
    public required Estimate BaseRateAgainst { get; init; }

    /// <summary>Where LDAR rises most at the instruction; null without runs.</summary>
    public required LargestRise? AnchorRise { get; init; }

    /// <summary>The same at the last position.</summary>
    public required LargestRise? LastRise { get; init; }
}

/// <summary>One edge cut around every layer, and in all layers at once.</summary>
/// <param name="Window">Layers cut together.</param>
internal sealed record KnockoutCurve(string Edge, int Window, IReadOnlyList<KnockoutPoint> Layers, KnockoutPoint? AllLayers);

/// <summary>One cut.</summary>
/// <param name="Layer">Centre of the window; null for all layers.</param>
/// <param name="Runs">Runs whose prompt has this edge.</param>
/// <param name="Nssd">I_NSSD in the chosen variant.</param>
/// <param name="NssdMeans">Mean I_NSSD over all, vision and text runs in every variant.</param>
/// <param name="Argmax">MFR by arg-max under the cut.</param>
/// <param name="Larger">MFR by the larger of the two.</param>
internal sealed record KnockoutPoint(
    int? Layer, int Runs, ByInstruction Nssd, IReadOnlyDictionary<string, IReadOnlyList<double>> NssdMeans, ByInstruction Argmax,
        ByInstruction Larger)
{
    /// <summary>Of the test that mean I_NSSD over all runs is 0.</summary>
    public required Significance Test { get; init; }
}

/// <summary>One of many tests.</summary>
/// <param name="P">Two-sided.</param>
/// <param name="Q">After Benjamini and Hochberg over its family; null where no test was made.</param>
internal sealed record Significance(double P, double Q)
{
    /// <summary>Whether it is among what is found at a false discovery rate of 5 %.</summary>
    public bool Survives => Q <= MultipleComparisons.Level;

    /// <summary>The tests of a family.</summary>
    /// <param name="p">NaN where none was made.</param>
    /// <param name="size">Of the family, those among it that were not worth a test.</param>
    public static IReadOnlyList<Significance> Family(IReadOnlyList<double> p, int size = 0) =>
        [.. p.Zip(MultipleComparisons.BenjaminiHochberg(p, size), (one, q) => new Significance(one, q))];
}

/// <summary>What every head does on the ranking set.</summary>
/// <param name="All">Score over all runs [layer][head].</param>
/// <param name="Vision">Over vision-following runs.</param>
/// <param name="Text">Over text-following runs.</param>
/// <param name="DirectAttribution">Mean direct logit attribution to the margin at the last position [layer][head].</param>
/// <param name="Ranked">The heads, best first, as many as the largest share blocked and at least ten.</param>
/// <param name="Count">How many heads are 5 %.</param>
/// <param name="Shared">Hubs: in the top 5 % of both modalities.</param>
/// <param name="VisionOnly">Experts: in the top 5 % for vision alone.</param>
/// <param name="TextOnly">Experts: in the top 5 % for text alone.</param>
/// <param name="ShareOfPositive">Share of the sum of positive scores that the top n hold, n = 1, 2, …</param>
/// <param name="AttributionCorrelation">Spearman correlation of score and direct attribution over all heads.</param>
internal sealed record HeadLandscape(
    IReadOnlyList<IReadOnlyList<double>> All, IReadOnlyList<IReadOnlyList<double>> Vision, IReadOnlyList<IReadOnlyList<double>> Text,
    IReadOnlyList<IReadOnlyList<double>> DirectAttribution, IReadOnlyList<RankedHead> Ranked, int Count,
    IReadOnlyList<HeadId> Shared, IReadOnlyList<HeadId> VisionOnly, IReadOnlyList<HeadId> TextOnly,
    IReadOnlyList<double> ShareOfPositive, double AttributionCorrelation)
{
    /// <summary>q of every score that is no estimate, over all runs [layer][head]: the heads of a map are a family.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Q { get; init; }

    /// <summary>The same over vision-following runs.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> VisionQ { get; init; }

    /// <summary>The same over text-following runs.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> TextQ { get; init; }

    /// <summary>Heads with a q of at most 0.05 over all runs, whatever the sign of their score.</summary>
    public required IReadOnlyList<HeadId> Surviving { get; init; }

    /// <summary>Heads whose scores are estimates: a screen left them out.</summary>
    public IReadOnlyList<HeadId> Estimated { get; init; } = [];

    /// <summary>Spearman correlation of estimate and score over the heads that a screen left to be blocked; NaN without a screen.</summary>
    public double ScreenCorrelation { get; init; } = double.NaN;
}

/// <summary>A head, written "3.0".</summary>
internal sealed record HeadId(int Layer, int Head)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Layer}.{Head}";
}

/// <summary>A head with its score.</summary>
/// <param name="Role">"shared", "vision", "text", or "" outside both top 5 %.</param>
/// <param name="Estimate">Whether the score comes from derivatives and was not verified.</param>
/// <param name="Test">Of its score over all runs, in the family of all heads.</param>
internal sealed record RankedHead(int Layer, int Head, ByInstruction Score, double DirectAttribution, string Role, bool Estimate,
    Significance Test);

/// <summary>A head set at 0 on the test set.</summary>
/// <param name="Name">The best 5 %, or the best for one modality.</param>
/// <param name="Share">Share of all heads, or null.</param>
/// <param name="Drop">MFR without minus MFR with the block, by arg-max, paired by run.</param>
/// <param name="Control">Accuracy on control samples by kind.</param>
/// <param name="Random">As many random heads.</param>
/// <param name="LayerMatched">As many random heads of the same layers.</param>
internal sealed record BlockingResult(
    HeadSetId Name, double? Share, IReadOnlyList<HeadId> Heads, ByInstruction Argmax, ByInstruction Larger, ByInstruction Competitor,
    ByInstruction Drop, IReadOnlyDictionary<string, Estimate> Control, RandomControl? Random, RandomControl? LayerMatched);

/// <summary>Random head sets, several draws.</summary>
/// <param name="Sets">The draws.</param>
/// <param name="Argmax">MFR, mean over draws.</param>
/// <param name="Lowest">Lowest MFR of a draw over all runs.</param>
/// <param name="Highest">Highest.</param>
/// <param name="Control">Accuracy on control samples by kind, mean over the first ten draws.</param>
/// <param name="Rank">Where the chosen set's MFR under blocking stands among those of the draws; lower is stronger.</param>
internal sealed record RandomControl(
    IReadOnlyList<IReadOnlyList<HeadId>> Sets, ByInstruction Argmax, ByInstruction Larger, double Lowest, double Highest,
    IReadOnlyDictionary<string, Estimate> Control, PermutationRank Rank);

/// <summary>A head set amplified.</summary>
/// <param name="Set">Conflict set.</param>
/// <param name="Group">The heads; of random ones the mean over draws.</param>
/// <param name="Failed">Runs whose likeliest token does not begin the instructed answer.</param>
internal sealed record AmplificationResult(string Set, HeadSetId Group, IReadOnlyList<HeadId> Heads, int Failed, int Runs, IReadOnlyList<GainPoint> Points);

/// <summary>One factor; 1 is no change.</summary>
/// <param name="RecoveredArgmax">Share of the failed runs that follow now.</param>
/// <param name="RecoveredLarger">Share of the failed runs with logit(y_p) > logit(y_c) now; not 0 at factor 1.</param>
/// <param name="WholeArgmax">MFR of the whole set at this factor; null for random heads, which are run on failed samples only.</param>
/// <param name="WholeLarger">The same by the larger of the two.</param>
/// <param name="Control">Accuracy on control samples by kind.</param>
internal sealed record GainPoint(
    double Factor, ByInstruction RecoveredArgmax, ByInstruction RecoveredLarger, ByInstruction? WholeArgmax, ByInstruction? WholeLarger,
    IReadOnlyDictionary<string, Estimate> Control);

/// <summary>A conflict and what the model answered under several conditions.</summary>
/// <param name="Picture">Path relative to the data folder.</param>
/// <param name="Why">Why it was picked.</param>
internal sealed record ExampleConflict(string Id, string Why, string Category, string? Picture, string? TextContext, string Question, IReadOnlyList<ExampleRun> Runs)
{
    /// <summary>
    /// What each image token covers of the picture: left, top, right, bottom in pixels; null for tokens that stand for no place. Empty without a picture.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>?> ImageBoxes { get; init; } = [];
}

/// <summary>One of its instructions.</summary>
internal sealed record ExampleRun(string Modality, string Instruction, string Expected, string Competing, IReadOnlyList<ExampleAnswer> Answers)
{
    /// <summary>What is read of the picture, by span and condition.</summary>
    public IReadOnlyList<ImageReading> Readings { get; init; } = [];
}

/// <summary>Attention of a span to every image token: mean over its positions, all heads and layers; blocked heads count as 0 (docs/definitions.md).</summary>
/// <param name="Span">"instruction" or "last".</param>
/// <param name="Condition">In words.</param>
/// <param name="Tokens">Share of all attention, by image token.</param>
internal sealed record ImageReading(string Span, string Condition, IReadOnlyList<double> Tokens)
{
    /// <summary>Of the whole picture.</summary>
    public double Total => Tokens.Sum();
}

/// <summary>The likeliest token under one condition.</summary>
/// <param name="Verdict">"following", "competing" or "neither".</param>
internal sealed record ExampleAnswer(string Condition, string Answer, string Verdict);

/// <summary>One prompt in full.</summary>
internal sealed record RenderedPrompt(string Run, string Text, IReadOnlyList<int> Tokens, IReadOnlyDictionary<string, IReadOnlyList<int>> Spans);
