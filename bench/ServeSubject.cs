using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server.Scheduling;
using AnchorScope.Synthesis;

namespace AnchorScope.Bench;

/// <summary>A model of random weights that is served.</summary>
internal sealed class ServeSubject : IDisposable
{
    private readonly Scratch _scratch = new();

    private ServeSubject(SynthesisOptions options)
    {
        Folder = _scratch.File("model");
        new SyntheticCheckpoint(options).Write(Folder);
        Model = VisionLanguageModel.Open(Folder);
    }

    public string Folder { get; }

    public VisionLanguageModel Model { get; }

    /// <summary>A file beside the model.</summary>
    public string Beside(string name) => _scratch.File(name);

    /// <summary>One billion parameters in bfloat16.</summary>
    public static ServeSubject Large() => new(new SynthesisOptions
    {
        Family = SyntheticFamily.Of("llava"), Layers = 16, Heads = 32, Width = 2048, MlpSize = 5632, Vocabulary = 32000, ImageTokens = 576,
        VisionLayers = 1, Type = StoredType.BF16, Seed = 1,
    });

    /// <summary>Twenty million parameters in float32.</summary>
    public static ServeSubject Small() => new(new SynthesisOptions
    {
        Family = SyntheticFamily.Of("llava"), Layers = 12, Heads = 12, Width = 384, MlpSize = 1024, Vocabulary = 4096, ImageTokens = 576,
        VisionLayers = 1, Type = StoredType.F32, Seed = 1,
    });

    /// <summary>A prompt of random tokens.</summary>
    public static Prompt Prompt(VisionLanguageModel model, int length, int seed)
    {
        var random = new Random(seed);
        return model.Prompt([.. Enumerable.Range(0, length).Select(_ => random.Next(1000, model.Decoder.VocabularySize))], null, null);
    }

    public static SchedulerOptions Options(int rows) => new()
    {
        Rows = rows, Memory = 8L << 30, KeepPrefixes = false, Queue = 1024, Threads = Environment.ProcessorCount,
    };

    /// <summary>Runs jobs together and waits for all of them.</summary>
    public static void AtOnce(Scheduler scheduler, Job[] jobs)
    {
        JobHandle[] handles = [.. jobs.Select(scheduler.Submit)];
        Task.WaitAll([.. handles.Select(handle => handle.Result)]);
    }

    /// <summary>A line with the spread of the rounds.</summary>
    public static Line Line(string what, double[] ours, double[] theirs, double? bar)
    {
        static string Spread(double[] times) => $"{Contest.Median(times):0.000} ({times.Min():0.000} to {times.Max():0.000})";
        return new Line(what, Spread(ours), Spread(theirs), Contest.Ratio(ours, theirs), bar);
    }

    public void Dispose()
    {
        Model.Dispose();
        _scratch.Dispose();
    }
}
