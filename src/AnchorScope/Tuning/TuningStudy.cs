using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Reports;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>Tunes the named heads, then runs the comparisons, and measures all of them on the same samples.</summary>
internal sealed class TuningStudy : IDisposable
{
    private const string Tuned = TuningEvaluation.Tuned, PlainGain = "plain_gain", Full = "full";

    private readonly TuningPlan _plan;
    private readonly string _folder;
    private readonly VisionLanguageModel _model;
    private readonly HeadSetFile _file;
    private readonly IReadOnlyList<(int Layer, int Head)> _heads;
    private readonly List<TuningArm> _arms = [];
    private FolderLock? _lock;

    /// <summary>Opens model and heads, and checks that they fit; nothing is computed yet.</summary>
    /// <param name="folder">Folder of the run. It is an error if it was begun with other settings.</param>
    public TuningStudy(TuningPlan plan, string folder)
    {
        TuningFolder.Own(folder);
        (_plan, _folder, _file) = (plan, folder, HeadSetFile.Load(plan.Heads));
        _heads = [.. _file.Set.Heads.Select(h => (h.Layer, h.Head)).Order()];
        if (plan is { Diagnose: > 0, Sets.Test: var test }) _ = DiagnosisData.Load(test, plan.Diagnose, plan.Options.Seed);
        _model = VisionLanguageModel.Open(plan.Model);
        try
        {
            _file.Set.Validate(_model.Decoder.Shape, plan.AnyModel ? null : _model.Checkpoint.Identity, plan.Heads);
        }
        catch
        {
            _model.Dispose();
            throw;
        }
    }

    /// <summary>Irregularities in the files of the model that is tuned.</summary>
    public IReadOnlyList<string> Warnings => _model.Warnings;

    /// <summary>What was left out of the sets, with the reasons; known after <see cref="Run"/> has read them.</summary>
    public IReadOnlyList<RejectedLine> Rejected { get; private set; } = [];

    /// <summary>Folder of the tuned checkpoint.</summary>
    public string ModelFolder => Path.Combine(_folder, "model");

    private TuningOptions Options => _plan.Options;

    private double Rate => Options.Rate ?? TuningOptions.DefaultRate(Options.Kind);

    /// <summary>Runs the remaining work. Afterwards the checkpoint exists. The caller writes the report and tune.json.</summary>
    /// <param name="warn">Called with warnings about the samples' text when the sets have been read.</param>
    public TuningResult Run(Action<TuningProgress>? progress = null, Action<string>? warn = null, CancellationToken cancel = default)
    {
        var paths = _plan.Sets ?? TuningFolder.World(_folder, Options.Seed, cancel);
        TuningData Load(string path)
        {
            progress?.Invoke(new TuningProgress($"pictures of {path}", 0, 1));
            var loaded = TuningData.Load(_model, path, _plan.Threads, cancel);
            progress?.Invoke(new TuningProgress($"pictures of {path}", 1, 1));
            return loaded;
        }
        var (train, validate, test) = (Load(paths.Train), Load(paths.Validate), Load(paths.Test));
        var data =
            new Dictionary<string, TuningData>(StringComparer.Ordinal) { ["train"] = train, ["validate"] = validate, ["test"] = test };
        foreach (var warning in data.Values.SelectMany(set => set.Warnings).Distinct()) warn?.Invoke(warning);
        Rejected = [.. data.Values.SelectMany(set => set.Sets).SelectMany(set => set.Rejected).Distinct()];
        foreach (var (option, set) in data.Take(2)) Check(option, set);
        Claim(data);
        var (tuner, evaluation) = (new Tuner(_model, train, validate, Options, _plan.Threads), new TuningEvaluation(test));
        evaluation.Add(TuningEvaluation.Baseline, TuningData.Measure(_model, test.Items, _plan.Threads, cancel));
        _arms.Add(new TuningArm
        {
            Name = TuningEvaluation.Baseline,
            Heads = [],
            Learnt = 0,
            Rate = null,
            Steps = 0,
            BestStep = 0,
            Validation = tuner.Measure(_model, cancel),
            Gains = [],
            Curve = [],
        });
        Tunable Learnt(ArmPlan arm) => Learn(arm, tuner, evaluation, test, progress, cancel);
        using var tuned = Learnt(new ArmPlan { Name = Tuned, Kind = Options.Kind, Heads = _heads, Rate = Rate });
        if (_plan.Factors.Count > 0) Scale(tuner, evaluation, test, cancel);
        foreach (var (draw, heads) in RandomSets().Index())
            Learnt(new ArmPlan { Name = $"{TuningEvaluation.Random}{draw}", Kind = Options.Kind, Heads = heads, Rate = Rate }).Dispose();
        if (_plan.Full)
            Learnt(new ArmPlan { Name = Full, Kind = TuningKind.Full, Heads = [], Rate = TuningOptions.DefaultRate(TuningKind.Full) })
                .Dispose();
        var sets = evaluation.Sets([.. _arms.Select(a => a.Name)], Options.Seed);
        Write(tuned, TuningCard.Effects(sets), cancel);
        return new TuningResult
        {
            Tool = ToolVersion.Text,
            Model = ModelFacts.Of(_model),
            HeadSet = Path.GetFileName(_file.Path),
            HeadSetSha256 = _file.Sha256,
            Heads = Ids(_heads),
            Variants = Options.Variants,
            Options = Options with { Rate = Rate },
            Data = data.ToDictionary(d => d.Key, d => (IReadOnlyList<SetFacts>)[.. d.Value.Sets.Select(s => SetFacts.Of(s))],
                StringComparer.Ordinal),
            Arms = _arms,
            Sets = sets,
            RandomRank = evaluation.Rank([.. _arms.Select(a => a.Name)]),
            Circuit = _plan.Diagnose == 0
                ? null
                : CircuitChange.Of(Diagnose("before", _plan.Model, paths.Test, progress, cancel),
                    Diagnose("after", ModelFolder, paths.Test, progress, cancel), Ids(_heads), _plan.Diagnose),
        };
    }

    private void Check(string option, TuningData data)
    {
        if (data.Conflicts.Count == 0) throw InputException.At($"--{option}", data.Path, "samples with a conflict", "none");
        if (Options.Keep > 0 && data.Kept.Count == 0)
            throw InputException.At($"--{option}", data.Path,
                "samples without a conflict, whose behaviour is to be kept (--keep 0 goes without)", "none");
    }

    /// <summary>Records that the folder belongs to these inputs and settings.</summary>
    private void Claim(Dictionary<string, TuningData> data)
    {
        Directory.CreateDirectory(_folder);
        _lock ??= FolderLock.Take(_folder);
        var path = Path.Combine(_folder, TuningFolder.Settings);
        var identity = _plan.Identity.With(_model.Checkpoint.Identity).WithFile("head set", _plan.Heads);
        foreach (var (part, sets) in data)
        {
            foreach (var set in sets.Sets) identity.With($"--{part}, {set.Name}", set);
            identity.WithFile($"--{part}: prompt.json", PromptLayout.FileBeside(sets.Sets[0].File));
        }
        if (File.Exists(path)) identity.Check(File.ReadAllText(path), path, "name another folder with --out");
        DiagnosisFiles.Text(path, identity.Text);
    }

    /// <summary>What is trained for one comparison.</summary>
    private sealed record ArmPlan
    {
        public required string Name { get; init; }

        public required TuningKind Kind { get; init; }

        /// <summary>Heads that are tuned; empty if all weights are.</summary>
        public required IReadOnlyList<(int Layer, int Head)> Heads { get; init; }

        /// <summary>Learning rate.</summary>
        public required double Rate { get; init; }
    }

    private Tunable Learn(
        ArmPlan arm, Tuner tuner, TuningEvaluation evaluation, TuningData test, Action<TuningProgress>? progress, CancellationToken cancel)
    {
        Tunable tunable = arm.Kind switch
        {
            TuningKind.Gain => new GainTunable(_model, arm.Heads),
            TuningKind.Slices => new SliceTunable(_model, arm.Heads),
            TuningKind.LowRank => new LowRankTunable(_model, arm.Heads, Options.Rank, Options.Seed),
            _ => new FullTunable(_model),
        };
        var run = tuner.Run(tunable, arm.Rate, Path.Combine(_folder, "work", arm.Name.Replace('/', '-')),
            (step, point) => progress?.Invoke(new TuningProgress(arm.Name, step, Options.Steps, point)), cancel);
        tunable.Round();
        Evaluate(arm.Name, tunable, evaluation, test, cancel);
        _arms.Add(new TuningArm
        {
            Name = arm.Name,
            Heads = Ids(arm.Heads),
            Learnt = tunable.Count,
            Rate = arm.Rate,
            Steps = run.Steps,
            BestStep = run.Best.Step,
            Validation = run.Best.Validation,
            Gains = (tunable as GainTunable)?.Gains.Heads ?? [],
            Curve = run.Curve,
        });
        return tunable;
    }

    /// <summary>Applies one factor to all named heads: the best one on the validation set.</summary>
    private void Scale(Tuner tuner, TuningEvaluation evaluation, TuningData test, CancellationToken cancel)
    {
        using var gain = new GainTunable(_model, _heads);
        using var model = VisionLanguageModel.Of(Checkpoint.Over(_model.Checkpoint, gain.Weights));
        var tried = _plan.Factors.Select(factor =>
        {
            gain.Set(factor);
            return (Factor: factor, Loss: tuner.Measure(model, cancel));
        }).ToList();
        var (best, loss) = tried.MinBy(t => t.Loss.Total);
        gain.Set(best);
        gain.Round();
        Evaluate(PlainGain, gain, evaluation, test, cancel);
        _arms.Add(new TuningArm
        {
            Name = PlainGain,
            Heads = Ids(_heads),
            Learnt = 1,
            Rate = null,
            Steps = 0,
            BestStep = 0,
            Validation = loss,
            Gains = gain.Gains.Heads,
            Curve = [],
        });
    }

    private void Evaluate(string name, Tunable tunable, TuningEvaluation evaluation, TuningData test, CancellationToken cancel)
    {
        using var model = VisionLanguageModel.Of(Checkpoint.Over(_model.Checkpoint, tunable.Weights));
        evaluation.Add(name, TuningData.Measure(model, test.Items, _plan.Threads, cancel));
    }

    private List<IReadOnlyList<(int Layer, int Head)>> RandomSets()
    {
        var (random, shape, excluded) = (new SplitMix(Options.Seed), _model.Decoder.Shape, _heads.ToHashSet());
        return [.. Enumerable.Range(0, _plan.RandomSets).Select(
            _ => HeadRanking.Random(_heads.Count, shape.Layers, shape.Heads, excluded, random))
            .Where(heads => heads.Count == _heads.Count)];
    }

    private void Write(Tunable tuned, string effects, CancellationToken cancel)
    {
        var (file, name) = (_file, Path.GetFileName(_file.Path));
        if (tuned is GainTunable { Gains: var gains })
        {
            var path = Path.Combine(_folder, "heads.json");
            DiagnosisFiles.Text(path,
                HeadSetFile.Text(_file.Set with
                    { Heads = [.. _file.Set.Heads.Select(
                        h => h with { Gain = gains.Heads.First(g => (g.Layer, g.Head) == (h.Layer, h.Head)).Factor })] }));
            if (!Directory.Exists(ModelFolder))
                new BakedCheckpoint(_model, HeadSetFile.Load(path), gains, _plan.AnyModel) { Effects = effects }
                    .Write(ModelFolder, null, cancel);
            return;
        }
        if (tuned is LowRankTunable update && Path.Combine(_folder, "adapter") is var adapter
            && !Directory.Exists(adapter)) PeftAdapter.Write(adapter, update, _model.Checkpoint.Folder,
            _model.Checkpoint.Config.Text("model_type"));
        if (Directory.Exists(ModelFolder)) return;
        // Applied again from the trained values, so that rounded values are counted.
        tuned.Apply();
        var changes = tuned.Changes();
        new ChangedCheckpoint(_model, new BakePlan(_model.Checkpoint, changes)).Write(
            ModelFolder,
            tensors => new TunedRecord
            {
                Tool = ToolVersion.Text,
                What = Options.Kind == TuningKind.LowRank ? $"a low-rank addition (rank {Options.Rank}) to the weights" : "the weights",
                Source = _model.Checkpoint.Name,
                SourceSha256 = _model.Checkpoint.Sha256,
                SourceFiles = _model.Checkpoint.Identity.Files,
                HeadSet = name,
                HeadSetSha256 = file.Sha256,
                HeadSetRevision = file.Set.Revision,
                Heads = _heads,
                Tensors = tensors,
                Lines = changes.OfType<ReplacedTensor>().ToDictionary(c => c.Entry.Name, c => c.Lines.Text, StringComparer.Ordinal),
                Effects = effects,
            },
            null, cancel);
    }

    private Diagnosis Diagnose(string name, string model, string data, Action<TuningProgress>? progress, CancellationToken cancel)
    {
        var folder = Path.Combine(_folder, "diagnosis-" + name);
        using var study = new DiagnosisStudy(
            new DiagnosisOptions { Model = model, Data = data, Limit = _plan.Diagnose, Seed = Options.Seed, Windows = [3], Gains = [2],
                Draws = 2, Threads = _plan.Threads });
        using var store = DiagnosisFolder.Open(folder, study.Identity, resume: DiagnosisFolder.IsBegun(folder));
        return DiagnosisJob.Complete(
            study, store, folder, step => progress?.Invoke(new TuningProgress($"diagnosis {name}: {step.Phase}", step.Done, step.Of)),
            cancel);
    }

    private static HeadId[] Ids(IEnumerable<(int Layer, int Head)> heads) => [.. heads.Select(h => new HeadId(h.Layer, h.Head))];

    /// <inheritdoc/>
    public void Dispose()
    {
        _lock?.Dispose();
        _model.Dispose();
    }
}
