using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Optimization;
using AnchorScope.Training;

namespace AnchorScope.Tuning;

/// <summary>A point of a learning curve.</summary>
/// <param name="Step">Number of steps done.</param>
/// <param name="Loss">Mean loss of the steps since the previous point; null for the first.</param>
/// <param name="Validation">Loss on the validation set.</param>
internal sealed record TuningPoint(int Step, double? Loss, TuningLoss Validation);

/// <summary>
/// The state of a training, stored at each measurement, from which an interrupted training is resumed with the same bits.
/// </summary>
/// <param name="Step">Number of steps done.</param>
/// <param name="Finished">Whether it has ended.</param>
/// <param name="Files">Folder of the tensors.</param>
/// <param name="Curve">All points so far.</param>
internal sealed record TuningState(int Step, bool Finished, string Files, IReadOnlyList<TuningPoint> Curve)
{
    private const string Name = "state.json", Learnt = "learnt.safetensors", Best = "best.safetensors", Means = "means.safetensors",
        Squares = "squares.safetensors";

    /// <summary>The state in <paramref name="folder"/>, or null.</summary>
    public static TuningState? Find(string folder)
    {
        var file = Path.Combine(folder, Name);
        if (!File.Exists(file)) return null;
        try
        {
            return JsonSerializer.Deserialize<TuningState>(File.ReadAllBytes(file))
                ?? throw new InputException($"{file}: expected a state, found null");
        }
        catch (JsonException e)
        {
            throw new InputException($"{file}: not a state: {e.Message}", e);
        }
    }

    /// <summary>Writes everything, then the reference to it, then removes the previous state.</summary>
    public static void Keep(string folder, int step, bool finished, Parameters learnt, Parameters best, AdamW optimiser,
        IReadOnlyList<TuningPoint> curve)
    {
        var before = Find(folder)?.Files;
        var files = string.Create(CultureInfo.InvariantCulture, $"state-{step}{(finished ? "-end" : "")}");
        var path = Path.Combine(folder, files);
        Directory.CreateDirectory(path);
        TrainingFolder.Write(Path.Combine(path, Best), best, StoredType.F32);
        if (!finished)
        {
            TrainingFolder.Write(Path.Combine(path, Learnt), learnt, StoredType.F32);
            TrainingFolder.Write(Path.Combine(path, Means), optimiser.Means, StoredType.F32);
            TrainingFolder.Write(Path.Combine(path, Squares), optimiser.Squares, StoredType.F32);
        }
        AtomicFile.Write(
            Path.Combine(folder, Name), stream => JsonSerializer.Serialize(stream, new TuningState(step, finished, files, curve)));
        if (before is not null && before != files) Directory.Delete(Path.Combine(folder, before), recursive: true);
    }

    /// <summary>Reads the trained parameters and the optimiser's means.</summary>
    public void Read(string folder, Parameters learnt, AdamW optimiser)
    {
        TrainingFolder.Read(Path.Combine(folder, Files, Learnt), learnt);
        TrainingFolder.Read(Path.Combine(folder, Files, Means), optimiser.Means);
        TrainingFolder.Read(Path.Combine(folder, Files, Squares), optimiser.Squares);
        optimiser.Steps = Step;
    }

    /// <summary>Reads the best state so far.</summary>
    public void ReadBest(string folder, Parameters best) => TrainingFolder.Read(Path.Combine(folder, Files, Best), best);
}
