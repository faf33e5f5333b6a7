using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// The main study: where the model decides which modality to follow, and which heads decide it. Heads are ranked on one split and tested on
/// another. Every number comes from results.jsonl, which is written sample by sample, so that an interrupted run can be resumed.
/// </summary>
internal sealed class DiagnosisStudy : IDisposable
{
    /// <summary>Key of a steered model's direction among the named definitions.</summary>
    private const string Direction = "steering";

    private const int LongestAnswer = 16;
    private readonly DiagnosisConditions _conditions;

    /// <summary>Opens model and data; nothing is computed yet.</summary>
    public DiagnosisStudy(DiagnosisOptions options)
    {
        options.Validate();
        Options = options;
        Data = DiagnosisData.Load(options.Data, options.Limit, options.Seed);
        Model = VisionLanguageModel.Open(options.Model);
        try
        {
            // Fail before the output folder is created.
            if (Model.ImageToken is null
                && Data.Sets.SelectMany(set => set.Samples).FirstOrDefault(sample => sample.Image is not null) is { } pictured)
                throw InputException.At(options.Data, $"{pictured.Id}: image",
                    $"none ({options.Model}, {Model.Family}, reads text only)", pictured.Image!);
            _ = Model.Template;
            AnswerTokens = options.AnswerTokens ?? Math.Min(LongestAnswer, Model.MaxNewTokens ?? LongestAnswer);
            Data = Data.Filter(Model, AnswerTokens);
            Named = options.Variants.Named;
            if (options.Steering is { } steering) Steer(steering);
            ConflictSet Listed(ConflictSet set) =>
                set.With(set.Samples, DonorFinder.In(set, Model.Tokenizer, options.Seed).Unfit(set, options.Variants.Alignment));
            Data = Data.WithKnownMeans(options.Variants);
            Data = Data with { Rank = Listed(Data.Rank), Test = Listed(Data.Test) };
            _conditions = new DiagnosisConditions(options, Model.Engine.Shape);
            if (Model.Checkpoint.IsSmall) Model.Pack();
        }
        catch
        {
            Model.Dispose();
            throw;
        }
    }

    /// <summary>The options of the study.</summary>
    public DiagnosisOptions Options { get; }

    /// <summary>The model.</summary>
    public VisionLanguageModel Model { get; }

    /// <summary>The conflict sets.</summary>
    public DiagnosisData Data { get; private set; }

    /// <summary>Number of tokens generated for an answer.</summary>
    public int AnswerTokens { get; }

    /// <summary>Edges that are cut.</summary>
    public IReadOnlyList<Edge> Edges => _conditions.Edges;

    /// <summary>Edges for which all window sizes are tried.</summary>
    public static IReadOnlyList<string> SensitivityEdges => DiagnosisConditions.SensitivityEdges;

    /// <summary>Every named choice, as listed in result files, including the direction if the model is steered.</summary>
    public IReadOnlyDictionary<string, string> Named { get; private set; } = new Dictionary<string, string>();

    /// <summary>Everything that affects a number. Two runs with the same identity may share rows.</summary>
    public RunIdentity Identity
    {
        get
        {
            var identity = new RunIdentity().With(Model.Checkpoint.Identity).With(Data).With("--limit",
                Options.Limit).With("--seed", Options.Seed)
                .WithList("--windows", Options.Windows).WithList("--shares", Options.Shares).WithList("--gains", Options.Gains)
                .With("--draws", Options.Draws).With("--equivalence-margin", Options.EquivalenceMargin)
                .With("--answer-tokens", AnswerTokens);
            foreach (var (choice, variant) in Named) identity.With(choice == Direction ? choice : $"--{choice.Replace('_', '-')}", variant);
            return identity;
        }
    }

    /// <summary>
    /// Warnings to read before the first number: irregular files, words that the vocabulary lacks, text that the template changes,
    /// generation rules that are not applied.
    /// </summary>
    public IReadOnlyList<string> Warnings =>
        [.. Model.Warnings, .. Model.Tokenizer.Warnings, .. Data.Warnings, .. Model.Rules.NotApplied(sampling: false)];

    /// <summary>The phases of a run in order, with their number of samples.</summary>
    public IReadOnlyList<(string Phase, int Samples)> Phases =>
        [.. new[] { (Phase.Rank, Data.Rank), (Phase.Verify, Screened ? Data.Rank : null), (Phase.Parts, PartSet), (Phase.Test, Data.Test),
            (Phase.Hard, Data.Hard), (Phase.Factor, Data.Hard is null ? Data.Rank : null), (Phase.Control, Data.Control) }
            .Where(p => p.Item2 is not null).Select(p => (EnumName.Of(p.Item1), p.Item2!.Samples.Count)),
            .. AmplificationStudy.Phases(Data), .. InterchangeStudy.Phases(Data)];

    private bool Screened => Options.Variants.Screen != HeadScreen.Exact;

    private ConflictSet PartSet =>
        Data.Rank.Part(Data.Rank.Name, [.. Data.Rank.Samples.Where(s => s.Kind == SampleKind.Conflict).Take(Candidates.PartSamples)]);

    private DecoderShape Shape => Model.Engine.Shape;

    /// <summary>
    /// The cost of <see cref="Run"/> with an empty store, and its duration at the rate of a plain run, which is measured here.
    /// </summary>
    public StudyEstimate Estimate(CancellationToken cancel = default)
    {
        using var session = Model.OpenSession(
            new SessionOptions { Threads = Model.Checkpoint.IsSmall ? 1 : Options.Threads, Cancel = cancel });
        return new DiagnosisEstimator(this, _conditions, session).Of(Model.Checkpoint.IsSmall ? Options.Threads : 1,
            (Model.Checkpoint.IsSmall ? 2 : 1) * Model.Checkpoint.WeightBytes);
    }

    /// <summary>One prompt of the test set with its spans, for inspection before a run.</summary>
    public PromptRecord Render(CancellationToken cancel = default)
    {
        using var session = Model.OpenSession(new SessionOptions { Threads = Options.Threads, Cancel = cancel });
        return Rendered(session);
    }

    /// <summary>Runs what <paramref name="store"/> does not contain yet.</summary>
    /// <returns>The chosen heads.</returns>
    public HeadPlan Run(ResultStore store, Action<StudyProgress>? progress = null, CancellationToken cancel = default)
    {
        void Each(Phase phase, ConflictSet set, PhasePlan plan) => this.Each(phase, set, store, plan, progress, cancel);
        if (Options.Variants.Ablation == AblationVariant.Mean) _ = Interchange(store).Means(cancel);
        Each(Phase.Rank, Data.Rank, new PhasePlan(Parts: PartSet));
        if (Screened)
        {
            var (all, vision, text) = Scores(store, Options.Variants.HeadScore);
            Each(Phase.Verify, Data.Rank, new PhasePlan(Candidates.OfHeads(all, vision, text, Shape.Heads, Options)));
        }
        if (ExchangeScore.Of(Options.Variants.HeadScore) is not null) Interchange(store).Profile(progress, cancel);
        var plan = Plan(store);
        Each(Phase.Parts, PartSet, new PhasePlan(Parts(store, plan)));
        Each(Phase.Test, Data.Test, new PhasePlan(Heads: plan));
        // The test set needs all random sets, and so does the set on which the factor is chosen, because each random set chooses its own
        // factor. Elsewhere their mean is enough.
        var choosing = new PhasePlan(Heads: plan.WithFewDraws(all: HeadPlan.Random));
        if (Data.Hard is { } hard) Each(Phase.Hard, hard, choosing);
        else Each(Phase.Factor, Data.Rank, choosing);
        if (Data.Control is { } control) Each(Phase.Control, control, new PhasePlan(Heads: plan.WithFewDraws()));
        Amplification(store).Run(plan, progress, cancel);
        Interchange(store).Run(plan.Arbitration, progress, cancel);
        return plan;
    }

    /// <summary>The sites and spans whose means this diagnosis or its phase "ablation" needs.</summary>
    internal IReadOnlyList<(Site Site, SpanKind? Span)> MeanPlaces
    {
        get
        {
            var exchanged = DiagnosisConditions.SpansOf(Options.Variants).Select(span => (Site.HeadOut, (SpanKind?)span));
            return Options.Variants.Ablation == AblationVariant.Mean ? [.. exchanged.Union(_conditions.MeanPlaces)] : [.. exchanged];
        }
    }

    /// <summary>The study of head exchanges with donor runs. Exchanges that the store contains are not run again.</summary>
    internal InterchangeStudy Interchange(ResultStore store) => new(this, store, new BootstrapDraws(Options.Seed));

    /// <summary>The study of the amplification factor and of random heads at matched strength.</summary>
    internal AmplificationStudy Amplification(ResultStore store) => new(this, store, new BootstrapDraws(Options.Seed));

    /// <summary>The neurons to silence and the edges to cut in one head.</summary>
    internal Candidates Parts(ResultStore store, HeadPlan plan) => Candidates.OfParts(RunsOf(store), Edges, Shape, plan.Arbitration);

    /// <summary>
    /// All results, from the rows of a finished run. The examples are run again to record their attention to their pictures.
    /// </summary>
    public Diagnosis Reduce(ResultStore store, HeadPlan plan)
    {
        using var session = Model.OpenSession(new SessionOptions { Threads = Options.Threads });
        var diagnosis = new DiagnosisBuilder(this, store, plan).Build(Rendered(session));
        return diagnosis with { Examples = [.. diagnosis.Examples.Select(e => WithReadings(e, store, plan, session))] };
    }

    /// <summary>
    /// The portable set of arbiters: the heads whose queries, exchanged together, switch the answer; empty if none was found.
    /// </summary>
    public HeadSet Arbiters(InterchangeResult interchange)
    {
        var found = interchange.Set("arbiters");
        var scores = interchange.Heads.ToDictionary(h => new HeadId(h.Layer, h.Head), h => h.Profile.Choice.Moved.Mean);
        return Portable("choice", found.Found ? found.Heads.Select(h => new ScoredHead(h.Layer, h.Head, scores[h])) : []);
    }

    /// <summary>The portable set of the heads whose blocking lowers MFR most: the best 5 %, with their scores.</summary>
    public HeadSet Necessary(ResultStore store, HeadPlan plan)
    {
        var scores = Scores(store, Options.Variants.HeadScore).All;
        var estimated = Estimated(store);
        return Portable(
            EnumName.Of(Options.Variants.HeadScore),
            plan.Arbitration.Select(
                h => new ScoredHead(h.Layer, h.Head, scores[h.Layer * Shape.Heads + h.Head]) { Estimate = estimated.Contains(h) }));
    }

    private void Steer(SteeringUse steering)
    {
        var file = DirectionFile.Load(steering.File);
        Model.Checkpoint.Identity.Require(file.Model, steering.File, "directions", "");
        var direction = file.Take(steering.Name, steering.Strength, "--direction-name", "--strength", steering.BeyondBounds);
        Data = Data with { Layout = Data.Layout with { Steering = (direction, (float)steering.Strength) } };
        Named = new SortedDictionary<string, string>(Named.ToDictionary(), StringComparer.Ordinal)
        {
            [Direction] = FormattableString.Invariant(
                $"{steering.Name} x{steering.Strength:R} of {Digest.Short(Digest.OfFile(steering.File))}"),
        };
    }

    private HeadSet Portable(string score, IEnumerable<ScoredHead> heads) => new(
        Model.Checkpoint.Name, Model.Checkpoint.Sha256, Model.Tokenizer.Sha256, Data.Rank.Sha256, score, [.. heads])
    {
        Files = Model.Checkpoint.Identity.Files,
        Variants = Named,
    };

    private ExampleConflict WithReadings(ExampleConflict example, ResultStore store, HeadPlan plan, ISession session)
    {
        var prompts = new ConflictPrompts(Model, Data.Layout, session);
        var replacements = Interchange(store).Replacements(prompts, session);
        var reader = new ImageReader(prompts, Options.Variants.Instruction, session);
        var (boxes, runs) = reader.Read(Data.Test.Samples.First(s => s.Id == example.Id), (run, prompt) =>
        [
            ("no intervention", Intervention.None),
            .. _conditions.Blocks(prompt, plan, controls: false, _conditions.By(replacements, run, prompt, edges: false))
                .Where(b => b.Name == ConditionId.Block(HeadPlan.Tested)).Select(b =>
                ($"{ExamplePicker.Share(HeadPlan.Tested)} blocked", b)),
        ]);
        return example with
        {
            ImageBoxes = [.. boxes.Select(box => box is { } b ? (IReadOnlyList<double>)[b.Left, b.Top, b.Right, b.Bottom] : null)],
            Runs = [.. example.Runs.Zip(runs, (run, readings) => run with { Readings = readings })],
        };
    }

    private PromptRecord Rendered(ISession session)
    {
        var run = Data.Test.Samples[0].Runs.First();
        var prompt = new ConflictPrompts(Model, Data.Layout, session).Of(run);
        return new PromptRecord(run.Id, prompt.Rendered, prompt.Tokens,
            prompt.Spans.ToDictionary(s => EnumName.Of(s.Key), s => (IReadOnlyList<int>)s.Value, StringComparer.Ordinal));
    }

    /// <summary>
    /// Scores [layer x head] of the ranking split: over all runs, vision-following runs and text-following runs. NaN if the runs of a
    /// modality have no such score.
    /// </summary>
    public (double[] All, double[] Vision, double[] Text) Scores(ResultStore store, HeadScoreVariant variant)
    {
        if (ExchangeScore.Of(variant) is not null) return ExchangeScore.Of(Interchange(store).Profiled, variant, _conditions.EachHead);
        var runs = RunsOf(store);
        return (Of(runs), Of(runs.Where(r => r.Run.EndsWith("/vision", StringComparison.Ordinal))),
            Of(runs.Where(r => r.Run.EndsWith("/text", StringComparison.Ordinal))));

        double[] Of(IEnumerable<RunResult> some)
        {
            var list = some.ToList();
            return [.. Enumerable.Range(0, Shape.Layers * Shape.Heads)
                .Select(i => list.Count == 0 ? 0 : list.Average(run => RankedRuns.Score(run, i, Shape.Heads, variant)))];
        }
    }

    /// <summary>Heads whose scores are estimates.</summary>
    internal HashSet<(int Layer, int Head)> Estimated(ResultStore store)
    {
        var run = RankedRuns.Of(store, Data.Rank.Samples[0].Id)[0];
        return [.. _conditions.EachHead.Where(h => RankedRuns.IsEstimate(run, h.Layer, h.Head, Options.Variants.HeadScore))];
    }

    private List<RunResult> RunsOf(ResultStore store) => [.. Data.Rank.Samples.SelectMany(s => RankedRuns.Of(store, s.Id))];

    private HeadPlan Plan(ResultStore store)
    {
        var (all, vision, text) = Scores(store, Options.Variants.HeadScore);
        return new HeadPlan(all, vision, text, Shape.Layers, Shape.Heads, Options, Estimated(store));
    }

    /// <summary>
    /// Samples are distributed to threads one by one. Their rows are written in the order of the set, whichever finishes first.
    /// </summary>
    private void Each(Phase phase, ConflictSet set, ResultStore store, PhasePlan plan, Action<StudyProgress>? progress,
        CancellationToken cancel) =>
        Each(
            EnumName.Of(phase), set, store,
            session =>
            {
                var prompts = new ConflictPrompts(Model, Data.Layout, session);
                var replacements = Interchange(store).Replacements(prompts, session);
                var runner = new SampleRunner(Model, prompts, Options, _conditions, replacements, AnswerTokens, session);
                return (sample, stop) => runner.Run(sample, phase, plan, stop);
            },
            progress, cancel);

    /// <summary>Runs the samples of <paramref name="set"/> that the store does not contain under <paramref name="name"/>.</summary>
    /// <param name="worker">Called once on each thread; the function it returns is called for each sample.</param>
    internal void Each(
        string name, ConflictSet set, ResultStore store,
        Func<ISession, Func<ConflictSample, CancellationToken, IReadOnlyList<RunResult>>> worker, Action<StudyProgress>? progress,
        CancellationToken cancel)
    {
        var todo = set.Samples.Where(s => store.Find(name, s.Id) is null).ToList();
        var done = set.Samples.Count - todo.Count;
        progress?.Invoke(new StudyProgress(name, done, set.Samples.Count));
        var waiting = new SortedDictionary<int, IReadOnlyList<RunResult>>();
        var written = 0;
        Workers.Each(Model.Engine, todo.Count, Options.Threads, (session, stop) =>
        {
            var run = worker(session);
            return i =>
            {
                IReadOnlyList<RunResult> results;
                try
                {
                    results = run(todo[i], stop);
                }
                catch (InputException e)
                {
                    throw new InputException($"{set.Name}, {todo[i].Id}: {e.Message}", e);
                }
                lock (waiting)
                {
                    waiting[i] = results;
                    for (; waiting.Remove(written, out var ready); written++)
                    {
                        store.Append(name, todo[written].Id, ready);
                        progress?.Invoke(new StudyProgress(name, ++done, set.Samples.Count));
                    }
                }
            };
        }, cancel, single: !Model.Checkpoint.IsSmall);
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();
}
