using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Directions that steer a model towards the picture or the text. They are fitted on one half of the ranking split, their strengths are
/// chosen on the other half and on hard samples, and they are measured on the test split, along with gains, a residual direction, an
/// attention boost and random heads.
/// </summary>
internal sealed class SteeringStudy : IDisposable
{
    /// <summary>Number of validation samples on which the change of the residual stream is measured.</summary>
    private const int NormSamples = 4;

    /// <summary>Number of samples of each set, the first ones, on which random heads are steered.</summary>
    public const int RandomSamples = 60;

    private readonly DiagnosisStudy _study;
    private readonly DiagnosisData? _unseen;
    private readonly SteeringOptions _options;

    /// <summary>Opens model, data and diagnosis; nothing is computed yet.</summary>
    /// <param name="diagnosis">Model, data, definitions, seed, threads.</param>
    public SteeringStudy(DiagnosisOptions diagnosis, SteeringOptions options)
    {
        (_options, _study) = (options, new DiagnosisStudy(diagnosis));
        try
        {
            // A single file is split in two sets, which then have the same hash.
            var test = _study.Data.Test.Sha256 == _study.Data.Rank.Sha256 ? "" : _study.Data.Test.Sha256;
            Heads = DiagnosedHeads.Of(options.Diagnosis, _study.Model.Checkpoint.Identity, test, _study.Model.Engine.Shape);
            if (!diagnosis.Gains.Any(g => g > 1))
                throw new InputException($"--gains: expected at least one number above 1, found {string.Join(',', diagnosis.Gains)}");
            if (Conflicts(_study.Data.Rank).Count < 4)
                throw InputException.At(diagnosis.Data, "ranking samples", "at least 4 conflicts, half to fit and half to choose strengths",
                    $"{Conflicts(_study.Data.Rank).Count}");
            _unseen = options.Unseen is { } folder
                ? DiagnosisData.Load(folder, diagnosis.Limit, diagnosis.Seed).Filter(_study.Model, _study.AnswerTokens) : null;
            if (_unseen is not null && _unseen.Layout.Name != _study.Data.Layout.Name)
                throw InputException.At(options.Unseen!, "prompt layout", _study.Data.Layout.Name, _unseen.Layout.Name);
        }
        catch
        {
            _study.Dispose();
            throw;
        }
    }

    /// <summary>The heads that are steered.</summary>
    public DiagnosedHeads Heads { get; }

    /// <summary>Model and data.</summary>
    public DiagnosisStudy Diagnosed => _study;

    /// <summary>All samples that were left out, with the reason, including those of the second data folder.</summary>
    public IReadOnlyList<RejectedLine> Rejected => [.. _study.Data.Rejected, .. _unseen?.Test.Rejected ?? []];

    /// <summary>Everything that affects a number.</summary>
    public RunIdentity Identity
    {
        get
        {
            var identity = _study.Identity.Without("--windows", "--shares", "--draws", "--answer-tokens")
                .WithList("--strengths", _options.Strengths).WithList("boosts", _options.Boosts).With("--draws", _options.Draws);
            foreach (var (name, heads) in new[]
            {
                ("arbiters", Heads.Arbiters), ("choice carriers", Heads.ChoiceCarriers), ("decision carriers", Heads.DecisionCarriers),
                ("necessary heads", Heads.Necessary),
            }) identity.With($"--diagnosis with {name}", string.Join(' ', heads));
            return _unseen is null ? identity : identity.With("unseen", _unseen.Test);
        }
    }

    /// <summary>The phases of a run in order, with their number of samples.</summary>
    public IReadOnlyList<(string Phase, int Samples)> Phases =>
    [
        ("fit", Fitted.Samples.Count),
        ("learn", LearntDirection.Steps * (2 + (Heads.ChoiceCarriers.Count > 0 && Heads.Arbiters.Count > 0 ? 1 : 0))),
        .. Sets.Select(s => (s.Phase, s.Set.Samples.Count)), ("norm", NormSet.Samples.Count),
    ];

    private ConflictSet Fitted => Part(_study.Data.Rank, 0, Conflicts(_study.Data.Rank).Count / 2);

    private ConflictSet Validation => Part(_study.Data.Rank, Conflicts(_study.Data.Rank).Count / 2, int.MaxValue);

    private ConflictSet NormSet => Part(Validation, 0, NormSamples);

    /// <summary>The sets that are steered. Strengths are chosen on the first ones, the validation sets.</summary>
    private IReadOnlyList<(string Phase, ConflictSet Set, ConflictSet Donors)> Sets
    {
        get
        {
            var data = _study.Data;
            var sets = new List<(string, ConflictSet, ConflictSet)> { ("validate", Validation, data.Rank) };
            if (data.Hard is { } hard) sets.Add(("validate_hard", Part(hard, 0, int.MaxValue), hard));
            sets.Add(("test", Part(data.Test, 0, int.MaxValue), data.Test));
            if (data.Control is { } control) sets.Add(("control", control, control));
            if (_unseen is not null) sets.Add(("unseen", Part(_unseen.Test, 0, int.MaxValue), _unseen.Test));
            return sets;
        }
    }

    /// <summary>Runs what <paramref name="store"/> does not contain yet, and reduces it.</summary>
    public (SteeringResult Result, DirectionFile File) Run(ResultStore store, string folder, Action<StudyProgress>? progress = null,
        CancellationToken cancel = default)
    {
        var fit = Fit(progress, cancel);
        var methods = new SteeringMethods(_study, _options, Heads, fit);
        var all = methods.All(Learn(methods, store, progress, cancel));
        List<SteeringMethod> controls = [.. all.SelectMany(m => m.Controls)];
        var draws = new BootstrapDraws(_study.Options.Seed);
        static bool Chooses((string Phase, ConflictSet, ConflictSet) set) => set.Phase.StartsWith("validate", StringComparison.Ordinal);
        foreach (var set in Sets.Where(Chooses)) Steer(set, all, run => Turning(controls, run), store, progress, cancel);
        var validated = MeasuredSet.Join("validation", [.. Sets.Where(Chooses).Select(s => Measured(s.Phase, s.Set, store, draws))], draws);
        var reader = new SteeringReader(all, validated, _study.Options.EquivalenceMargin);
        _study.Each("norm", NormSet, store, session =>
        {
            var runner = RunnerOf(_study.Data.Rank, session);
            return (sample, stop) => runner.Norms(sample, reader.NormConditions, stop);
        }, progress, cancel);
        reader.Match(Measured("norm", NormSet, store, draws));
        foreach (var set in Sets.Where(s => !Chooses(s))) Steer(set, all, reader.ControlConditions, store, progress, cancel);
        MeasuredSet? Of(string phase) =>
            Sets.Where(s => s.Phase == phase).Select(s => Measured(phase, s.Set, store, draws)).FirstOrDefault();
        var result = reader.Read(this, fit.Pairs, Of("test")!, Of("control"), Of("unseen"));
        return (result, FileOf(folder, all, result));
    }

    /// <summary>Model and data, as stated in the result.</summary>
    internal (ModelFacts Model, IReadOnlyList<SetFacts> Data) Facts()
    {
        return (
            ModelFacts.Of(_study.Model),
            [
                .. _study.Data.Sets.Select(s => SetFacts.Of(s)),
                .. _unseen is null ? [] : new[] { SetFacts.Of(_unseen.Test, "unseen") },
            ]);
    }

    private DirectionFile FileOf(string folder, IReadOnlyList<SteeringMethod> methods, SteeringResult result) => new()
    {
        Path = Path.Combine(folder, "directions.safetensors"),
        Model = _study.Model.Checkpoint.Identity,
        TokenizerHash = _study.Model.Tokenizer.Sha256,
        DatasetHash = _study.Data.Rank.Sha256,
        Directions = (from method in methods
                      let found = result.Methods.First(m => m.Name == method.Name)
                      let label = (found.Turn?.Chosen ?? found.Repair.Chosen)?.Label ?? method.Settings[0].Label
                      let direction = method.Settings.First(s => s.Label == label).Direction
                      where direction is not null
                      select new BoundedDirection(direction, found.Lowest, found.Highest))
            .ToDictionary(d => d.Direction.Name, StringComparer.Ordinal),
    };

    private DirectionFit Fit(Action<StudyProgress>? progress, CancellationToken cancel)
    {
        var (fit, set, spans) = (new DirectionFit(_study.Model.Engine.Shape), Fitted,
            DiagnosisConditions.SpansOf(_study.Options.Variants));
        using var session = _study.Model.OpenSession(new SessionOptions { Threads = _study.Options.Threads, Cancel = cancel });
        var runner = RunnerOf(_study.Data.Rank, session);
        var done = 0;
        foreach (var sample in set.Samples)
        {
            cancel.ThrowIfCancellationRequested();
            foreach (var run in sample.Runs.Select(runner.Read).Where(r => r.Own is not null))
                fit.Add(run, spans, DirectionFit.Differences(_study.Model.Engine.Shape, run));
            progress?.Invoke(new StudyProgress("fit", ++done, set.Samples.Count));
        }
        return fit.Pairs > 0
            ? fit
            : throw InputException.At(_study.Data.Folder, "ranking samples",
                "runs whose other instruction has as many tokens (--alignment end takes others as well)", "none");
    }

    private List<Direction> Learn(SteeringMethods methods, ResultStore store, Action<StudyProgress>? progress, CancellationToken cancel)
    {
        var (learnt, starts, done) = (new List<Direction>(), methods.Starts().ToList(), 0);
        List<LearningRun>? runs = null;
        foreach (var start in starts)
        {
            if (store.Find("learnt", start.Name) is not { } rows)
            {
                var direction = LearntDirection.Of(
                    _study.Model, start, runs ??= LearningRuns(cancel), _study.Options.Seed, _study.Options.Threads,
                    step => progress?.Invoke(new StudyProgress("learn", done + step, LearntDirection.Steps * starts.Count)), cancel);
                var row = new RunResult(start.Name, 0, 0);
                for (var i = 0; i < direction.Parts.Count; i++)
                    row.Curves[LearntDirection.NameOf(i)] = LearntDirection.Values(direction.Parts[i].Rows);
                store.Append("learnt", start.Name, rows = [row]);
            }
            learnt.Add(start with
                { Parts = [.. start.Parts.Select(
                    (p, i) => p with { Rows = new DonorRows(rows[0].Curves[LearntDirection.NameOf(i)], p.Rows.Count) })] });
            done += LearntDirection.Steps;
            progress?.Invoke(new StudyProgress("learn", done, LearntDirection.Steps * starts.Count));
        }
        return learnt;
    }

    private List<LearningRun> LearningRuns(CancellationToken cancel)
    {
        using var session = _study.Model.OpenSession(new SessionOptions { Threads = _study.Options.Threads, Cancel = cancel });
        var runner = RunnerOf(_study.Data.Rank, session);
        return [.. Fitted.Samples.Take(LearntDirection.Samples).SelectMany(s => s.Runs).Select(run => new LearningRun(
            runner.Read(run) with { Own = null },
            AnswerEntities.Of(run, _study.Model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}")))];
    }

    /// <param name="controls">Conditions of random heads, for the first samples.</param>
    private void Steer(
        (string Phase, ConflictSet Set, ConflictSet Donors) steered, IReadOnlyList<SteeringMethod> methods,
        Func<SteeredRun, IEnumerable<(string Condition, Intervention Edits)>> controls, ResultStore store,
        Action<StudyProgress>? progress, CancellationToken cancel) => _study.Each(steered.Phase, steered.Set, store, session =>
        {
            var runner = RunnerOf(steered.Donors, session);
            var few = steered.Set.Samples.Take(RandomSamples).Select(s => s.Id).ToHashSet(StringComparer.Ordinal);
            return (sample, stop) => runner.Run(sample, run => Turning(methods, run).Concat(few.Contains(sample.Id) ? controls(run) : []),
                stop);
        }, progress, cancel);

    private DirectionRunner RunnerOf(ConflictSet donors, ISession session)
    {
        var variants = _study.Options.Variants;
        var finder = DonorFinder.In(donors, _study.Model.Tokenizer, _study.Options.Seed);
        var prompts = new ConflictPrompts(_study.Model, _study.Data.Layout, session);
        return new DirectionRunner(_study.Model, prompts, finder, DiagnosisConditions.SpansOf(variants), variants.Alignment, session);
    }

    /// <summary>Every strength, with both signs.</summary>
    private static IEnumerable<(string Condition, Intervention Edits)> Turning(IReadOnlyList<SteeringMethod> methods, SteeredRun run) =>
        from method in methods
        from setting in method.Settings
        from strength in method.Signed ? method.Strengths.Select(s => -s).Concat(method.Strengths) : method.Strengths
        let condition = method.Condition(setting, strength)
        let edits = setting.Edits(run, condition, strength)
        where edits is not null
        select (condition, edits);

    private MeasuredSet Measured(string phase, ConflictSet set, ResultStore store, BootstrapDraws draws) =>
        MeasuredSet.Of(set, id => store.Find(phase, id)!, _study.Model.Tokenizer, draws);

    private static List<ConflictSample> Conflicts(ConflictSet set) => [.. set.Samples.Where(s => s.Kind == SampleKind.Conflict)];

    private static ConflictSet Part(ConflictSet set, int from, int count) => set.Part(set.Name, [.. Conflicts(set).Skip(from).Take(count)]);

    /// <inheritdoc/>
    public void Dispose() => _study.Dispose();
}
