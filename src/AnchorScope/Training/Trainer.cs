using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.World;

namespace AnchorScope.Training;

/// <summary>Progress of a training run.</summary>
/// <param name="Stage">Index of the stage.</param>
/// <param name="Step">Number of steps of the stage that are done.</param>
/// <param name="Loss">Loss of the last step.</param>
/// <param name="Accuracy">The last measured accuracy, or null.</param>
internal readonly record struct TrainingProgress(int Stage, int Step, double Loss, double? Accuracy);

/// <summary>Options of a training run that do not change any number.</summary>
/// <param name="Threads">Number of threads.</param>
/// <param name="KeepEvery">Number of steps between stored states, which is the most that an interruption can lose.</param>
/// <param name="SeriesEvery">Number of steps between checkpoints of the series; null for no series.</param>
internal sealed record TrainerOptions(int Threads, int KeepEvery, int? SeriesEvery);

/// <summary>
/// Trains a model by a recipe. The weights depend only on recipe and template, not on the number of threads, on interruptions or on when
/// states are stored.
/// </summary>
internal sealed class Trainer
{
    /// <summary>Number of sequences and of pictures that share a pass, and of lanes. They determine the order of sums.</summary>
    private const int SequencesPerPass = 8, PicturesPerPass = 24, Lanes = 4;

    /// <summary>Number of steps between points of the curve and between measurements of accuracy, and number of held-out samples.</summary>
    private const int CurveEvery = 10, MeasureEvery = 50, Held = 96;

    private static readonly (float First, float Second, float Epsilon) Adam = (0.9f, 0.98f, 1e-8f);

    /// <summary>Name of the file with everything that affects the numbers of a run.</summary>
    private const string Settings = "settings.json";

    private readonly Recipe _recipe;
    private readonly string _template;
    private readonly string _folder;
    private readonly TrainerOptions _options;
    private List<CurvePoint> _curve = [];

    /// <param name="template">A LLaVA checkpoint folder, for its tokenizer, preprocessor and vision sizes. Its weights are not
    /// read.</param>
    /// <param name="folder">Folder of the run. It is an error if another recipe began it.</param>
    public Trainer(Recipe recipe, string template, string folder, TrainerOptions options)
    {
        (_recipe, _template, _folder, _options) = (recipe, template, folder, options);
        TrainingFolder.Check(template);
        var settings = Path.Combine(folder, Settings);
        var identity = new RunIdentity().With(ModelIdentity.Of(template, "not read")).WithBytes("recipe",
            Encoding.UTF8.GetBytes(recipe.ToJson()));
        if (File.Exists(settings)) identity.Check(File.ReadAllText(settings), settings, "name another folder with --out");
        else if (File.Exists(folder)) throw new InputException($"{folder}: expected a folder, found a file");
        else if (FolderLock.HasFiles(folder))
            throw NewFolder.NotEmpty(folder, $"there is no {Settings} of a training to resume; name another one with --out");
        Directory.CreateDirectory(folder);
        AtomicFile.Write(settings, stream => stream.Write(Encoding.UTF8.GetBytes(identity.Text)));
        AtomicFile.Write(Path.Combine(folder, "recipe.json"), stream => stream.Write(Encoding.UTF8.GetBytes(recipe.ToJson())));
    }

    /// <summary>Folder of the finished model.</summary>
    public string ModelFolder => Path.Combine(_folder, "model");

    /// <summary>The learning curve so far.</summary>
    public IReadOnlyList<CurvePoint> Curve => _curve;

    /// <summary>Runs the remaining steps. Afterwards the model exists.</summary>
    public void Run(Action<TrainingProgress>? progress = null, CancellationToken cancel = default)
    {
        using var held = FolderLock.Take(_folder);
        if (Directory.Exists(ModelFolder)) return;
        var state = TrainingState.Find(_folder);
        if (state is not null) _curve = state.Curve(_folder);
        Parameters? before = null;
        for (var index = state?.Stage ?? 0; index < _recipe.Stages.Count; index++)
        {
            var after = Stage(index, before, state?.Stage == index ? state : null, progress, cancel);
            before?.Dispose();
            before = after;
        }
        LearningCurve.Write(_folder, _recipe, _curve);
        NewFolder.Write(ModelFolder, partial =>
        {
            TrainingFolder.Describe(_template, _recipe.Decoder, _recipe.Stages[^1].Layers, StoredType.BF16, partial);
            TrainingFolder.Write(Path.Combine(partial, Checkpoint.SingleName), before!, StoredType.BF16);
            File.WriteAllText(Path.Combine(partial, "recipe.json"), _recipe.ToJson());
            return 0;
        });
        before!.Dispose();
    }

    private Parameters Stage(int index, Parameters? before, TrainingState? state, Action<TrainingProgress>? progress,
        CancellationToken cancel)
    {
        var stage = _recipe.Stages[index];
        var work = Path.Combine(_folder, "work");
        TrainingFolder.Describe(_template, _recipe.Decoder, stage.Layers, StoredType.F32, work);
        var (tensors, tower) = TrainingFolder.Shapes(work);
        var parameters = Parameters.Zeros(
            work, stage.Task == RecipeTask.Pictures ? [.. tensors, .. PictureTask.Tensors(tower.Width)] : tensors);
        if (state is null) Begin(index, parameters, before, tower);
        else state.Read(_folder, parameters);
        using var model = VisionLanguageModel.Of(Checkpoint.Over(work, parameters, PictureTask.WeightName, PictureTask.BiasName));
        var learnt = parameters.Entries.Where(e => stage.Learn.Any(pattern => Matches(e.Name, pattern))).ToList();
        if (learnt.Count == 0)
            throw new InputException($"{_recipe.Name}: stages[{index}].learn: expected names of tensors, found none that the model has in "
                + $"{string.Join(", ", stage.Learn)}");
        using var lanes = new GradientLanes(model.Engine, learnt, Lanes, cancel);
        using var optimiser = new AdamW(parameters, learnt,
            new AdamWOptions(Adam.First, Adam.Second, Adam.Epsilon, (float)stage.WeightDecay));
        state?.Read(_folder, optimiser);
        var batches = new StageBatches(model, stage, _recipe.Seed);
        var (loss, norm, count, accuracy) = (0.0, 0.0, 0, (double?)null);
        for (var step = state?.Step ?? 0; step < stage.Steps; step++)
        {
            cancel.ThrowIfCancellationRequested();
            var (stepLoss, right) = Derivatives(model, parameters, stage, batches, step, lanes);
            if (stage.Lasso is { } lasso && step >= lasso.From * stage.Steps)
                stepLoss += LassoGradient.Add(model.Decoder, parameters, lasso, lanes.Sum);
            var length = lanes.Sum.Norm;
            if (!double.IsFinite(length))
                throw new InputException(
                    $"{_recipe.Name}: stages[{index}]: the gradient of step {step} is not finite; a lower rate.peak may help");
            var rate = stage.Rate.At(step, stage.Steps);
            optimiser.Step(lanes.Sum, rate, stage.Clip is { } clip && length > clip ? clip / length : 1);
            (loss, norm, count) = (loss + stepLoss, norm + length, count + 1);
            var done = step + 1;
            if (done % MeasureEvery == 0 || done == stage.Steps)
                accuracy = right is { } r ? (double)r / (4 * stage.Batch) : Accuracy(model, batches);
            if (done % CurveEvery == 0 || done == stage.Steps)
            {
                _curve.Add(new CurvePoint(stage.Name, done, loss / count, rate, norm / count,
                    done % MeasureEvery == 0 || done == stage.Steps ? accuracy : null));
                (loss, norm, count) = (0, 0, 0);
            }
            progress?.Invoke(new TrainingProgress(index, done, stepLoss, accuracy));
            if (_options.SeriesEvery is { } every && (done % every == 0 || done == stage.Steps)) Series(index, done, stage, parameters);
            // A point of the curve is a mean over the steps since the previous point, so states are stored only at points.
            if (done % CurveEvery == 0 && done / CurveEvery % Math.Max(1, _options.KeepEvery / CurveEvery) == 0 && done < stage.Steps)
                TrainingState.Keep(_folder, index, done, parameters, optimiser, _curve);
        }
        return parameters;
    }

    private (double Loss, int? Right) Derivatives(VisionLanguageModel model, Parameters parameters, RecipeStage stage, StageBatches batches,
        int step, GradientLanes lanes)
    {
        if (stage.Task == RecipeTask.Answers)
            return (TrainingSequence.Loss(lanes, model, batches.Of(step, _options.Threads), SequencesPerPass, TapeKind.Store,
                _options.Threads), null);
        var pictures = batches.Pictures(step).Chunk(PicturesPerPass).ToArray();
        var right = 0;
        var loss = lanes.Of(pictures.Length, _options.Threads, (pass, session, gradients) =>
        {
            var (passLoss, passRight) = PictureTask.Add((Llava)model.ModelFamily, parameters, pictures[pass], 1.0 / stage.Batch,
                CpuSession.ComputeOf(session), gradients);
            Interlocked.Add(ref right, passRight);
            return passLoss;
        });
        return (loss, right);
    }

    /// <summary>Share of the answers on held-out samples that are the likeliest token.</summary>
    private double Accuracy(VisionLanguageModel model, StageBatches batches)
    {
        var samples = batches.Held(Held);
        var sequences = batches.Sequences(samples, hidden: false);
        var answers = sequences.Zip(samples,
            (sequence, sample) => sequence with
                { Targets = [.. sequence.Targets.Where(t => sample.Tokens[t.Row + 1].Role is TokenRole.Answer)] })
            .Where(s => s.Targets.Count > 0).ToList();
        var right = 0;
        Parallel.ForEach(answers.Chunk(SequencesPerPass), new ParallelOptions { MaxDegreeOfParallelism = _options.Threads }, chunk =>
        {
            using var arena = new Arena();
            using var team = new Team(1);
            Interlocked.Add(ref right, TrainingSequence.Right(model, chunk, new Compute(arena, team)));
        });
        return (double)right / answers.Sum(s => s.Targets.Count);
    }

    /// <summary>Initial values of a stage: those of the previous stage, and new ones for tensors that it does not have.</summary>
    private void Begin(int index, Parameters parameters, Parameters? before, (int Width, int Layers) tower)
    {
        var stage = _recipe.Stages[index];
        var initial = new Initialisation(_recipe.Seed, _recipe.Decoder, stage.Layers, tower.Layers, tower.Width);
        foreach (var entry in parameters.Entries)
        {
            if (before is not null && before.Entries.Any(e => e.Name == entry.Name)) before[entry.Name].CopyTo(parameters[entry.Name]);
            else
                initial.Fill(entry.Name, entry.Shape, parameters[entry.Name],
                    added: before is not null && _recipe.Stages.Take(index).Any(s => s.Task == RecipeTask.Answers));
        }
    }

    private void Series(int index, int step, RecipeStage stage, Parameters parameters)
    {
        var folder = Path.Combine(
            _folder, "series", FormattableString.Invariant($"{_recipe.Stages.Take(index).Sum(s => s.Steps) + step:000000}-{stage.Name}"));
        if (stage.Task != RecipeTask.Answers || Directory.Exists(folder)) return;
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        NewFolder.Write(folder, partial =>
        {
            TrainingFolder.Describe(_template, _recipe.Decoder, stage.Layers, StoredType.BF16, partial);
            TrainingFolder.Write(Path.Combine(partial, Checkpoint.SingleName), parameters, StoredType.BF16);
            return 0;
        });
    }

    private static bool Matches(string name, string pattern) =>
        System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);
}
