using System.Diagnostics;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Synthesis;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>
/// A model of seven billion parameters: memory, prefill, decoding, and a complete sweep of all its heads, which is not extrapolated.
/// </summary>
internal sealed class LargeBench
{
    /// <summary>LLaVA-1.5-7B, including its CLIP-L/336 tower, which is written and mapped but not run.</summary>
    private static readonly SynthesisOptions Shape = new()
    {
        Family = SyntheticFamily.Of("llava"), Layers = 32, Heads = 32, Width = 4096, MlpSize = 11008, Vocabulary = 32064, ImageTokens = 576,
        VisionLayers = 24, VisionWidth = 1024, Type = StoredType.BF16,
    };

    /// <summary>Upper bound of anonymous memory in bytes: the memory needed in addition to the weights.</summary>
    private const double MemoryBar = 1.5e9;

    /// <summary>Memory limit of the sweep apart from the weights, the default of `ascope sweep`.</summary>
    private const long Memory = SweepCost.DefaultMemory;

    /// <summary>Few rounds, because a pass over all weights takes most of a minute on two cores.</summary>
    private const int Rounds = 3;

    private const int Tokens = 8;

    // Assumptions of the estimates. NVIDIA's data sheet of the H100 SXM: 989 TFLOP/s of dense bf16.
    private const int ManyCores = 64;
    private const double GpuPeak = 989e12, GpuUtilisation = 0.4;

    private readonly int _threads = Environment.ProcessorCount;
    private readonly VisionLanguageModel _model;
    private readonly Prompt _prompt;
    private readonly List<Intervention> _heads;
    private readonly List<Line> _lines = [];
    private readonly List<string> _notes = [];

    private LargeBench(VisionLanguageModel model)
    {
        _model = model;
        _prompt = Subject.Of(model, Shape.ImageTokens!.Value);
        _heads = HeadSweep.EachHeadAtInstruction(model.Decoder.Shape, _prompt);
    }

    private Decoder Decoder => _model.Decoder;

    public static Results Run()
    {
        using var scratch = new Scratch();
        var folder = scratch.File("model");
        Say("writing the checkpoint");
        try
        {
            new SyntheticCheckpoint(Shape).Write(folder);
        }
        catch (InputException e)
        {
            throw new InputException($"the model is written into the folder of temporary files, which TMPDIR names: {e.Message}", e);
        }
        // Memory left over from writing the checkpoint does not count as memory of a run.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        using var model = VisionLanguageModel.Open(folder);
        var bench = new LargeBench(model);
        var prefill = bench.Prefill();
        bench.Decode();
        var (oneCore, efficiency) = bench.OneCore();
        bench.WholeSweep(scratch.File("rows.jsonl"), prefill);
        bench.Estimate(oneCore, efficiency);
        return new Results("large", "A model of seven billion parameters", bench.Method(), ["ours", "compared with"],
            bench._lines, bench._notes);
    }

    private string Method() =>
        "A checkpoint of random weights with the shape of LLaVA-1.5-7B, bf16, "
            + $"{_model.Checkpoint.WeightBytes / 1e9:0.0} GB ({Shape.Layers} layers, d {Shape.Width}, {Shape.Heads} heads, "
            + $"d_mlp {Shape.MlpSize}, {Shape.Vocabulary} tokens), mapped and used as stored; {_threads} threads. The prompt has "
            + $"{Shape.ImageTokens} image and {Subject.TextTokens} text tokens, both given as embeddings of random tokens: "
            + "the decoder's work does not depend on what they are, and the vision tower does not run. Anonymous memory is RssAnon of the "
            + "whole process (proc(5)), read every 20 ms: all but mapped files. Prefill: all positions through every layer, "
            + $"keys and values kept, logits of the last; median of {Rounds} rounds. Decoding: medians of "
            + $"{Contest.Rounds} rounds of {Tokens} tokens, weights alone counted as bytes. Peak and bandwidth are those of "
            + $"{_threads} threads, contenders in the same rounds, and shares are medians of the rounds' shares. The sweep is one run of "
            + $"`SweepStudy`, as `ascope sweep` runs it, with {Memory >> 20} MiB for the recorded run and activations.";

    /// <returns>Seconds of a full pass.</returns>
    private double Prefill()
    {
        Say("prefill");
        using var team = new Team(_threads);
        var peak = new ArithmeticPeak(team);
        var operations = SweepCost.Of(_model.Engine, _prompt, []).BaselineOperations;
        var (times, memory) = AnonymousMemory.Watch(
            () => Contest.Run(Rounds, Contest.Ours(() => new DecodeSteps(_model, _prompt.Length, 1, team, KernelFamily.Panel).Dispose()),
                peak.Contender));
        var seconds = Contest.Median(times[0]);
        Add($"prefill of {_prompt.Length} positions, {_prompt.Length / seconds:0.0} tokens/s, share of the peak",
            $"{operations / seconds / 1e9:0.0} GFLOP/s", $"{peak.Operations / Contest.Median(times[1]) / 1e9:0.0} GFLOP/s",
            Contest.Share(operations, times[0], peak.Operations, times[1]));
        AddMemory("prefill", memory);
        return seconds;
    }

    private void Decode()
    {
        Say("decoding");
        using var team = new Team(_threads);
        // The buffer of the memory benchmark is allocated after the memory of decoding was measured.
        var (steps, peak) = AnonymousMemory.Watch(() =>
        {
            var steps = new DecodeSteps(_model, _prompt.Length, (3 + Contest.Rounds) * Tokens, team, KernelFamily.Direct);
            steps.Steps(Tokens);
            return steps;
        });
        using var memory = new MemoryReading(team);
        double[][] times;
        using (steps) times = Contest.Run(Contest.Ours(() => steps.Steps(Tokens)), memory.Contender);
        var (bytes, seconds) = ((double)Decoder.WeightBytes(0), Contest.Median(times[0]) / Tokens);
        Add($"decoding after {_prompt.Length} positions, direct kernel, {1 / seconds:0.00} tokens/s, share of the bandwidth",
            $"{bytes / seconds / 1e9:0.0} GB/s", $"{MemoryReading.Bytes / Contest.Median(times[1]) / 1e9:0.0} GB/s",
            Contest.Share(bytes * Tokens, times[0], MemoryReading.Bytes, times[1]));
        AddMemory("decoding", peak);
    }

    /// <summary>Runs a pass of the sweep on one core, then one on every core at the same time.</summary>
    /// <returns>Operations per second of one core, and the fraction of this rate per core when all cores work.</returns>
    private (double Rate, double Efficiency) OneCore()
    {
        Say("a pass of the sweep on one core, and on each");
        using var arenas = new Arenas(_threads);
        using var all = new Team(_threads);
        using var one = new Team(1);
        using var baseline = _model.Engine.On(new Compute(arenas.Of[0], all)).Record(_prompt,
            new RecordOptions { From = HeadSweep.InstructionIn(_prompt).First });
        var layer = Decoder.Shape.Layers - 3;
        var rows = SweepCost.Of(_model.Engine, _prompt, _heads, Memory, _threads).RowsPerPass;
        List<Intervention> some = [.. _heads.Where(h => h.FirstLayer == layer).Take(rows / (HeadSweep.Instruction + HeadSweep.Behind))];
        var pass = Sweep.Plan(_model.Engine, [.. some.Select(h => new SweepItem(baseline, h))], [Readout.Output], rows).Single();
        void Once(Arena arena) => pass.Run(_model.Engine.On(new Compute(arena, one)), (_, _, _) => { });
        var operations = SweepCost.Of(_model.Engine, _prompt, some).Operations;
        var times = Contest.Run(Rounds, Contest.Ours(() => Once(arenas.Of[0])),
            Contest.Ours(() => all.For(_threads, (long)operations, (core, _) => Once(arenas.Of[core]))));
        var (alone, together) = (Contest.Median(times[0]), Contest.Median(times[1]));
        var efficiency = Contest.Ratio(times[1], times[0]);
        Add($"a pass of {some.Count} heads of layer {layer} on each of {_threads} cores at once, against one core alone",
            Duration(together), Duration(alone), efficiency);
        return (operations / alone, efficiency);
    }

    private void WholeSweep(string path, double prefill)
    {
        Say("hashing the weights, as every file of rows does");
        using var file = SweepFile.Open(path, _model, _prompt, _heads, [], heads: true);
        var study = new SweepStudy(_model, _prompt, _heads, new SweepOptions(Memory, _threads, Naive: false));
        var started = Stopwatch.GetTimestamp();
        var (seconds, memory) = AnonymousMemory.Watch(() =>
        {
            study.Run(file, done => Say($"{done} of {_heads.Count} heads, {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s"));
            file.Finish();
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
        var what = $"all {_heads.Count:#,0} heads blocked one by one at {HeadSweep.Instruction} instruction positions, one run, whole";
        var (predicted, naive) = (study.BaselineSeconds + study.PredictedSeconds, _heads.Count * prefill);
        Add($"{what}, against the cost model's prediction", Duration(seconds), Duration(predicted), predicted / seconds);
        Add($"{what}, against one full pass a head (derived, not measured)", Duration(seconds), Duration(naive), naive / seconds);
        AddMemory("the sweep", memory);
        _notes.Add($"The cost model's prediction: the recorded run's {study.BaselineSeconds:0.0} s, and the operations of the variants at "
            + $"its rate. One full pass a head is derived: {_heads.Count:#,0} x the measured prefill of {prefill:0.0} s.");
    }

    /// <summary>Adds the estimates. Every such line is marked as not measured, and the notes state its formula.</summary>
    private void Estimate(double oneCore, double efficiency)
    {
        // Rows per pass as planned for this number of threads in the same memory: fewer, so weights are read more often.
        var cost = SweepCost.Of(_model.Engine, _prompt, _heads, Memory, ManyCores);
        var (operations, rate) = (cost.BaselineOperations + cost.Operations, oneCore * ManyCores * efficiency);
        var intensity = operations / cost.WeightBytes;
        Add($"estimate, not measured: the same sweep on {ManyCores} cores like these", Duration(operations / rate), "", null);
        Add($"estimate, not measured: the same sweep on one H100 SXM at an assumed {GpuUtilisation * 100:0} % of its peak",
            Duration(operations / (GpuPeak * GpuUtilisation)), "", null);
        _notes.Add($"Estimate for {ManyCores} cores: {operations / 1e12:0.0} TFLOP / ({oneCore / 1e9:0.0} GFLOP/s of one core alone, "
            + $"measured x {ManyCores} x {efficiency:0.00}, the efficiency measured on {_threads} cores). It assumes that the efficiency "
            + $"stays what it is on {_threads}, and that memory keeps up: planned for {ManyCores} threads in the same "
            + $"{Memory >> 20} MiB ({cost.RowsPerPass} rows a pass), the sweep has {intensity:0} operations for every byte of weights that "
            + $"it reads, so that {ManyCores} cores need {rate / intensity / 1e9:0} GB/s.");
        _notes.Add($"Estimate for a GPU: {operations / 1e12:0.0} TFLOP / ({GpuPeak / 1e12:0} TFLOP/s x {GpuUtilisation}). "
            + "The peak is the published one for dense bf16; the utilisation is assumed, and nothing was run on a GPU.");
    }

    private void Add(string what, string ours, string other, double? ratio, double? bar = null) =>
        _lines.Add(new Line(what, ours, other, ratio, bar, AtMost: bar is not null));

    private void AddMemory(string during, long bytes) =>
        Add($"most anonymous memory during {during}, GB", $"{bytes / 1e9:0.00} GB", "", bytes / 1e9, MemoryBar / 1e9);

    private static string Duration(double seconds) => seconds switch
    {
        < 120 => $"{seconds:0.00} s",
        < 7200 => $"{seconds / 60:0.0} min",
        _ => $"{seconds / 3600:0.0} h",
    };

    private static void Say(string what) => Console.Error.WriteLine($"large: {what}");

    /// <summary>One arena for each core.</summary>
    private sealed class Arenas(int count) : IDisposable
    {
        public Arena[] Of { get; } = [.. Enumerable.Range(0, count).Select(_ => new Arena())];

        public void Dispose()
        {
            foreach (var arena in Of) arena.Dispose();
        }
    }
}
