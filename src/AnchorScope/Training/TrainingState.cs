using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Optimization;

namespace AnchorScope.Training;

/// <summary>One line of a learning curve.</summary>
/// <param name="Stage">Name of the stage.</param>
/// <param name="Step">Number of steps of the stage that are done.</param>
/// <param name="Loss">Mean loss of the steps since the previous line.</param>
/// <param name="Rate">Learning rate of the last step.</param>
/// <param name="Norm">Mean norm of the gradient.</param>
/// <param name="Accuracy">Accuracy of answers on held-out samples, or of the four labels of a step's pictures before it is trained on them;
/// null if not measured.</param>
internal sealed record CurvePoint(string Stage, int Step, double Loss, double Rate, double Norm, double? Accuracy);

/// <summary>The stored state of a training run, from which an interrupted run is resumed with the same bits.</summary>
/// <param name="Stage">Index of the stage.</param>
/// <param name="Step">Number of steps of the stage that are done.</param>
/// <param name="Files">Folder of the weights and of the optimiser's means.</param>
internal sealed record TrainingState(int Stage, int Step, string Files)
{
    private const string Name = "state.json", CurveName = "curve.jsonl", Weights = "parameters.safetensors", Means = "means.safetensors",
        Squares = "squares.safetensors";

    /// <summary>The state of a run in <paramref name="folder"/>, or null if there is none.</summary>
    public static TrainingState? Find(string folder)
    {
        var file = Path.Combine(folder, Name);
        if (!File.Exists(file)) return null;
        try
        {
            return JsonSerializer.Deserialize<TrainingState>(File.ReadAllBytes(file));
        }
        catch (JsonException e)
        {
            throw new InputException($"{file}: not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>Writes everything, then the reference to it, then removes the previous state.</summary>
    public static void Keep(string folder, int stage, int step, Parameters parameters, AdamW optimiser, IReadOnlyList<CurvePoint> curve)
    {
        var before = Find(folder)?.Files;
        var files = string.Create(CultureInfo.InvariantCulture, $"state-{stage}-{step}");
        var path = Path.Combine(folder, files);
        Directory.CreateDirectory(path);
        TrainingFolder.Write(Path.Combine(path, Weights), parameters, StoredType.F32);
        TrainingFolder.Write(Path.Combine(path, Means), optimiser.Means, StoredType.F32);
        TrainingFolder.Write(Path.Combine(path, Squares), optimiser.Squares, StoredType.F32);
        LearningCurve.WriteLines(Path.Combine(path, CurveName), curve);
        AtomicFile.Write(Path.Combine(folder, Name), stream => JsonSerializer.Serialize(stream, new TrainingState(stage, step, files)));
        if (before is not null && before != files) Directory.Delete(Path.Combine(folder, before), recursive: true);
    }

    /// <summary>The curve up to here.</summary>
    public List<CurvePoint> Curve(string folder) =>
        [.. File.ReadLines(Path.Combine(folder, Files, CurveName)).Select(line => JsonSerializer.Deserialize<CurvePoint>(line)!)];

    /// <summary>Reads the weights.</summary>
    public void Read(string folder, Parameters parameters) => TrainingFolder.Read(Path.Combine(folder, Files, Weights), parameters);

    /// <summary>Reads the optimiser's means.</summary>
    public void Read(string folder, AdamW optimiser)
    {
        TrainingFolder.Read(Path.Combine(folder, Files, Means), optimiser.Means);
        TrainingFolder.Read(Path.Combine(folder, Files, Squares), optimiser.Squares);
        optimiser.Steps = Step;
    }
}
