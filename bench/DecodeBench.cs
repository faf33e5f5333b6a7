using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Synthesis;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Decoding speed of a model of a billion parameters, compared with memory bandwidth.</summary>
internal static class DecodeBench
{
    private const int Tokens = 12;
    private const int Context = 128;
    private const int StoryTokens = 64;

    // Two warm-up runs, the measured rounds, and one run that counts garbage-collected bytes.
    private const int Most = (2 + Contest.Rounds + 1) * Tokens;

    public static Results Run()
    {
        using var scratch = new Scratch();
        var folder = scratch.File("model");
        new SyntheticCheckpoint(new SynthesisOptions
        {
            Family = SyntheticFamily.Of("llava"), Layers = 22, Heads = 32, KeyHeads = 4, Width = 2048, MlpSize = 5632, Vocabulary = 32000,
            VisionLayers = 1, VisionWidth = 64, Type = StoredType.BF16,
        }).Write(folder);
        using var model = VisionLanguageModel.Open(folder);
        using var team = new Team(1);
        using var memory = new MemoryReading(team);
        KernelFamily[] families = [KernelFamily.Direct, KernelFamily.Panel];
        DecodeSteps[] steps = [.. families.Select(family => new DecodeSteps(model, Context, Most, team, family))];
        using var mapped = new MappedReading(Path.Combine(folder, "model.safetensors"));
        var times = Contest.Run([memory.Contender, mapped.Contender, .. steps.Select(s => Contest.Ours(() => s.Steps(Tokens)))]);
        var bytes = (double)model.Decoder.WeightBytes(0);
        var bandwidth = MemoryReading.Bytes / Contest.Median(times[0]) / 1e9;
        var lines = new List<Line>();
        for (var i = 0; i < families.Length; i++)
        {
            var (name, seconds) = (families[i].ToString().ToLowerInvariant(), Contest.Median(times[i + 2]) / Tokens);
            lines.Add(new Line($"{name} kernel, {1 / seconds:0.0} tokens/s", $"{bytes / seconds / 1e9:0.0}", $"{bandwidth:0.0}",
                Contest.Share(bytes * Tokens, times[i + 2], MemoryReading.Bytes, times[0]),
                families[i] == KernelFamily.Direct ? 0.7 : null));
            lines.Add(new Line($"{name} kernel, against reading the mapped file", $"{bytes / seconds / 1e9:0.0}",
                $"{mapped.Bytes / Contest.Median(times[1]) / 1e9:0.0}", Contest.Share(bytes * Tokens, times[i + 2], mapped.Bytes, times[1]),
                null));
            var (allocated, collections) = (GC.GetAllocatedBytesForCurrentThread(), GC.CollectionCount(2));
            steps[i].Steps(Tokens);
            allocated = (GC.GetAllocatedBytesForCurrentThread() - allocated) / Tokens;
            collections = GC.CollectionCount(2) - collections;
            lines.Add(new Line($"{name} kernel, managed bytes allocated by a step", $"{allocated}", "", allocated, 1024, AtMost: true));
            lines.Add(new Line($"{name} kernel, gen-2 collections in {Tokens} steps", $"{collections}", "", collections, 0, AtMost: true));
        }
        foreach (var one in steps) one.Dispose();
        var notes = AddStories(lines, scratch, team, memory);
        return new Results("decode", "Decoding with a model of 1.1 billion parameters, bf16, one thread",
            $"22 layers, d 2048, 32 heads on 4 key/value heads, d_mlp 5632, 32,000 tokens; {bytes / 1e9:0.00} GB of weights are read for a "
                + $"token, mapped and as stored. A step is what generation does for one token after {Context} others and more: embed, "
                + "all layers, logits. Share of the bandwidth with which one core reads a gigabyte, a contender in the same rounds. "
                + $"Medians of {Contest.Rounds} interleaved rounds of {Tokens} tokens; the share is the median of the rounds' shares. "
                + "Reading the mapped file: the same, over a mapping of the checkpoint; where a host keeps the tables of addresses, "
                + "pages of files can be read far more slowly than memory taken anew, and no program that maps its weights can be faster.",
            ["ours, GB/s", "memory, GB/s"], lines, notes);
    }

    /// <summary>Decoding with trained weights: a story from its first token, as `ascope trace --generate` runs it.</summary>
    private static string[] AddStories(List<Line> lines, Scratch scratch, Team team, MemoryReading memory)
    {
        if (Stories.Fetch(scratch) is not { } folder)
            return ["The trained model of stories could not be fetched with npm and was not measured."];
        using var model = VisionLanguageModel.Open(folder);
        using var arena = new Arena();
        var prompt = model.Prompt("");
        KernelFamily[] families = [KernelFamily.Direct, KernelFamily.Panel];
        var times = Contest.Run(
            [memory.Contender,
                .. families.Select(
                    family =>
                        Contest.Ours(() => Generation.Run(model.Engine.On(new Compute(arena, team, family)), prompt,
                            new SequenceOptions(StoryTokens))))]);
        var bytes = (double)model.Decoder.WeightBytes(0) * StoryTokens;
        for (var i = 0; i < families.Length; i++)
        {
            var seconds = Contest.Median(times[i + 1]);
            lines.Add(
                new Line("trained stories model, 15 million parameters, float32: "
                    + $"{families[i].ToString().ToLowerInvariant()} kernel, {StoryTokens / seconds:0} tokens/s",
                    $"{bytes / seconds / 1e9:0.0}", $"{MemoryReading.Bytes / Contest.Median(times[0]) / 1e9:0.0}",
                    Contest.Share(bytes, times[i + 1], MemoryReading.Bytes, times[0]), null));
        }
        return [$"The trained stories model (docs/recipes/real-weights.md) writes {StoryTokens} tokens from `<s>` on; "
            + $"its {model.Decoder.WeightBytes(0) / 1e6:0} MB of weights may stay in a far cache, so its share can be above 1."];
    }
}
