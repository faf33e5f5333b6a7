using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Synthesis;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Token after token of a model of a billion parameters, against the speed of memory.</summary>
internal static class DecodeBench
{
    private const int Tokens = 12;

    public static Results Run(Machine machine)
    {
        using var scratch = new Scratch();
        var folder = scratch.File("model");
        new SyntheticCheckpoint(new SynthesisOptions
        {
            Family = SyntheticFamily.Of("llava"), Layers = 22, Heads = 32, KeyHeads = 4, Width = 2048, MlpSize = 5632, Vocabulary = 32000, VisionLayers = 1, VisionWidth = 64, Type = StoredType.BF16,
        }).Write(folder);
        using var model = VisionLanguageModel.Open(folder);
        var bytes = model.Decoder.WeightBytes(0);
        var lines = new List<Line>();
        foreach (var family in new[] { KernelFamily.Direct, KernelFamily.Panel })
        {
            using var step = new Steps(model, family);
            step.Run();
            double[] seconds = [.. Enumerable.Range(0, Contest.Rounds).Select(_ => Contest.Ours(step.Run)(Tokens) / Tokens)];
            var rate = bytes / Contest.Median(seconds) / 1e9;
            lines.Add(new Line($"{family.ToString().ToLowerInvariant()} kernel, {1 / Contest.Median(seconds):0.0} tokens/s", $"{rate:0.0}", $"{machine.Bandwidth:0.0}", rate / machine.Bandwidth, family == KernelFamily.Direct ? 0.7 : null));
            var (allocated, collections) = (GC.GetAllocatedBytesForCurrentThread(), GC.CollectionCount(2));
            for (var i = 0; i < Tokens; i++) step.Run();
            lines.Add(new Line($"{family.ToString().ToLowerInvariant()} kernel, managed bytes allocated by a step", $"{(GC.GetAllocatedBytesForCurrentThread() - allocated) / Tokens}", "", (GC.GetAllocatedBytesForCurrentThread() - allocated) / Tokens, 1024, AtMost: true));
            lines.Add(new Line($"{family.ToString().ToLowerInvariant()} kernel, gen-2 collections in {Tokens} steps", $"{GC.CollectionCount(2) - collections}", "", GC.CollectionCount(2) - collections, 0, AtMost: true));
        }
        return new Results("decode", "Decoding with a model of 1.1 billion parameters, bf16, one thread", $"22 layers, d 2048, 32 heads on 4 key/value heads, d_mlp 5632, 32,000 tokens; {bytes / 1e9:0.00} GB of weights are read for a token, mapped and as stored. A step is what generation does for one token after {Steps.Context} others and more: embed, all layers, logits. Share of the bandwidth with which one core reads a gigabyte, measured in the same run. Medians of {Contest.Rounds} rounds of {Tokens} tokens.",
            ["ours, GB/s", "memory, GB/s"], lines, []);
    }

    /// <summary>One step after the other behind a context, each a token longer.</summary>
    private sealed class Steps : IDisposable
    {
        public const int Context = 128;
        private const int Longest = 512;

        private readonly Arena _arena = new();
        private readonly Team _team = new(1);
        private readonly VisionLanguageModel _model;
        private readonly Compute _compute;
        private readonly KeyValues _past;
        private readonly Coordinate[] _next = [.. Enumerable.Range(0, Longest).Select(Coordinate.At)];

        public Steps(VisionLanguageModel model, KernelFamily family)
        {
            var shape = model.Decoder.Shape;
            (_model, _compute) = (model, new Compute(_arena, _team, family));
            _past = new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, 0, Longest);
            var rows = _arena.Take(Context, shape.ModelSize);
            model.Decoder.Embed([.. Enumerable.Range(300, Context)], rows);
            model.Decoder.Forward(new Pass(shape, [new Run(rows, Enumerable.Range(0, Context).Select(Coordinate.At).ToArray(), 0, Intervention.None) { Own = _past }], _compute));
        }

        public void Run()
        {
            var mark = _arena.Here();
            var row = _arena.Take(1, _model.Decoder.Shape.ModelSize);
            _model.Decoder.Embed([1000], row);
            var run = new Run(row, _next.AsMemory(_past.Count, 1), _past.Count, Intervention.None) { Own = _past };
            _model.Decoder.Unembed(_model.Decoder.ForwardLast(new Pass(_model.Decoder.Shape, [run], _compute)), _compute);
            _arena.Release(mark);
        }

        public void Dispose()
        {
            _past.Dispose();
            _team.Dispose();
            _arena.Dispose();
        }
    }
}
