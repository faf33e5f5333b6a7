using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.World;

namespace AnchorScope.Training;

/// <summary>The samples of a stage as sequences. Those of a step depend only on seed, stage and step.</summary>
internal sealed class StageBatches(VisionLanguageModel model, RecipeStage stage, ulong seed)
{
    private readonly TrainingWorld _world = new(seed);

    /// <summary>The batch of a step. Target weights are normalised over the batch.</summary>
    /// <param name="threads">Number of threads that draw samples.</param>
    public IReadOnlyList<TrainingSequence> Of(int step, int threads)
    {
        var mixture = stage.FormsAtFirst is { } first && step < first.Share * stage.Steps
            ? stage.Mixture with { Forms = first.Forms } : stage.Mixture;
        var hidden = WorldRandom.Of(seed, stage.Name + " hidden", step).Chance(stage.HideContext);
        return Sequences(ParallelEnumerable.Range(0, stage.Batch).AsOrdered().WithDegreeOfParallelism(threads)
            .Select(i => _world.Packed(stage.Name, (long)step * stage.Batch + i, mixture)), hidden);
    }

    /// <summary>Samples of another split, for validation.</summary>
    public IReadOnlyList<PackedSample> Held(int count) =>
        [.. Enumerable.Range(0, count).Select(i => _world.Packed("validation", i, stage.Mixture))];

    /// <summary>Labelled pictures of a step.</summary>
    public IReadOnlyList<ClassificationSample> Pictures(int step) =>
        [.. Enumerable.Range(0, stage.Batch).Select(
            i => _world.Classification(stage.Name, (long)step * stage.Batch + i, stage.Mixture.Sigma))];

    /// <summary>Converts samples to token ids, pictures and targets.</summary>
    /// <param name="hidden">Whether suffix tokens cannot attend to picture and note.</param>
    public IReadOnlyList<TrainingSequence> Sequences(IEnumerable<PackedSample> samples, bool hidden)
    {
        var sequences = samples.Select(sample => Sequence(sample, hidden)).ToList();
        var all = sequences.Sum(s => s.Targets.Sum(t => (double)t.Weight));
        return [.. sequences.Select(s => s with { Targets = [.. s.Targets.Select(t => t with { Weight = (float)(t.Weight / all) })] })];
    }

    private TrainingSequence Sequence(PackedSample sample, bool hidden)
    {
        int[] tokens = [
            .. sample.Tokens.Select(
                t => model.Tokenizer.IdOf(t.Word) ?? throw new InputException(
                    $"{model.Checkpoint.Folder}: tokenizer: expected the word {t.Word} as a token, found none"))];
        List<Target> targets = [.. Enumerable.Range(1, tokens.Length - 1).Where(i => sample.Tokens[i].Weight > 0)
            .Select(i => new Target(i - 1, tokens[i], (float)sample.Tokens[i].Weight))];
        return new TrainingSequence(tokens, sample.Picture is null ? null : model.Preprocess([sample.Picture]),
            targets) { Intervention = hidden ? Hidden(sample) : Intervention.None };
    }

    private Intervention Hidden(PackedSample sample)
    {
        int[] Places(params TokenRole[] roles) =>
            [.. Enumerable.Range(0, sample.Tokens.Count).Where(i => roles.Contains(sample.Tokens[i].Role))];
        var (suffix, context) = (Places(TokenRole.Suffix), Places(TokenRole.Image, TokenRole.Note));
        return suffix.Length == 0
            ? Intervention.None
            : Intervention.Knockout("context hidden", Enumerable.Range(0, model.Decoder.Shape.Layers),
                Positions.Of(suffix), Positions.Of(context));
    }
}
