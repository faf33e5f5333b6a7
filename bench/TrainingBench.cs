using System.Globalization;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Synthesis;
using AnchorScope.Tensors;
using AnchorScope.Training;

namespace AnchorScope.Bench;

/// <summary>A full training step of a small decoder compared with torch, on the same weights and tokens.</summary>
internal sealed class TrainingBench : IDisposable
{
    private const int Batch = 64, Length = 96, Together = 8, Lanes = 4;
    private const double LearningRate = 1e-3;

    private readonly Scratch _scratch = new();
    private readonly string _folder;
    private readonly string _tokens;
    private readonly VisionLanguageModel _stored;
    private readonly Parameters _parameters;
    private readonly VisionLanguageModel _model;
    private readonly List<TrainingSequence> _batch = [];

    private TrainingBench()
    {
        _folder = _scratch.File("model");
        new SyntheticCheckpoint(new SynthesisOptions
        {
            Family = SyntheticFamily.Of("llava"), Layers = 6, Heads = 8, Width = 256, MlpSize = 640, Vocabulary = 512, ImageTokens = 16,
            VisionLayers = 1, Type = StoredType.F32, Seed = 1,
        }).Write(_folder);
        _stored = VisionLanguageModel.Open(_folder);
        _parameters = Parameters.Of(_stored.Checkpoint);
        _model = VisionLanguageModel.Of(Checkpoint.Over(_folder, _parameters));
        var random = new Random(3);
        for (var i = 0; i < Batch; i++)
        {
            int[] tokens = [.. Enumerable.Range(0, Length).Select(_ => random.Next(300, 512))];
            _batch.Add(new TrainingSequence(
                tokens, null, [.. Enumerable.Range(0, Length - 1).Select(p => new Target(p, tokens[p + 1], 1f / (Batch * (Length - 1))))]));
        }
        _tokens = _scratch.File("tokens.i64");
        File.WriteAllBytes(_tokens, [.. _batch.SelectMany(s => s.Tokens).SelectMany(t => BitConverter.GetBytes((long)t))]);
    }

    /// <summary>The decoder's tensors; the tower is not run.</summary>
    private List<TensorEntry> Learnt => [.. _parameters.Entries.Where(e => e.Name.StartsWith("language_model.", StringComparison.Ordinal))];

    public static Results Run()
    {
        using var bench = new TrainingBench();
        using var torch = Torch.Start();
        torch.Say($"trainee {bench._folder} {bench._tokens} {Batch} {LearningRate.ToString(CultureInfo.InvariantCulture)}");
        var learnt = bench.Learnt;
        using var lanes = new GradientLanes(bench._model.Engine, learnt, Lanes);
        var (ours, theirs) = ((Loss: TrainingSequence.Loss(lanes, bench._model, bench._batch, Together, TapeKind.Store, 1), lanes.Sum.Norm),
            torch.Say("slope").Split(' ').Select(t => double.Parse(t, CultureInfo.InvariantCulture)).ToArray());
        if (Math.Abs(ours.Loss / theirs[0] - 1) > 1e-4 || Math.Abs(ours.Norm / theirs[1] - 1) > 1e-3)
            throw new InvalidOperationException(
                $"loss {ours.Loss} and gradient norm {ours.Norm} here, {theirs[0]} and {theirs[1]} in torch: not the same computation");
        using var adam = new AdamW(bench._parameters, learnt, new AdamWOptions(0.9f, 0.98f, 1e-8f, 0.05f));
        void Step(TapeKind kind, int threads)
        {
            TrainingSequence.Loss(lanes, bench._model, bench._batch, Together, kind, threads);
            adam.Step(lanes.Sum, LearningRate, Math.Min(1, 1 / lanes.Sum.Norm));
        }
        using var team = new Team(1);
        var peak = new ArithmeticPeak(team);
        var times = Contest.Run(Contest.Ours(() => Step(TapeKind.Store, 1)), Contest.Ours(() => Step(TapeKind.Store, 2)),
            Contest.Ours(() => Step(TapeKind.Recompute, 1)), torch.Contender("step"), peak.Contender);
        string Text(int contender) => $"{Batch * Length / Contest.Median(times[contender]):#,0}";
        var lines = new List<Line>
        {
            new("one thread, activations stored, against torch", Text(0), Text(3), Contest.Ratio(times[0], times[3]), 1.8),
            new("one thread, activations computed again, against torch", Text(2), Text(3), Contest.Ratio(times[2], times[3]), null),
            new("two threads, against one", Text(1), Text(0), Contest.Ratio(times[1], times[0]),
                Environment.ProcessorCount > 1 ? 1.6 : null),
        };
        var least = peak.Least(Operations(bench._model.Decoder), times[4]);
        string Rate(double[] seconds) => $"{Batch * Length / Contest.Median(seconds):#,0} (least time)";
        lines.Add(new("one thread, against the least time of any kernel", Text(0), Rate(least), Contest.Ratio(times[0], least), null));
        lines.Add(
            new("what the least time of any kernel would be against torch", Rate(least), Text(3), Contest.Ratio(least, times[3]), null));
        return new Results("training", "A training step against torch",
            $"A Llama decoder of 6 layers, d 256, 8 heads, d_mlp 640, 512 tokens ({learnt.Sum(t => t.Count) / 1e6:0.0} million parameters, "
                + $"float32), {Batch} sequences of {Length} tokens: forward, mean cross-entropy of every next token, "
                + $"backward by all tensors, gradient norm clipped to 1, AdamW. Ours takes {Together} sequences a pass on "
                + $"{Lanes} lanes, a thread each, so the bits do not depend on the threads. torch: the modules of `bench/torch_peer.py` "
                + "with autograd, the whole batch at once, its own AdamW and clipping. Before timing, loss and gradient norm of both were "
                + $"compared: {Math.Abs(ours.Loss / theirs[0] - 1):0.0e+0} and {Math.Abs(ours.Norm / theirs[1] - 1):0.0e+0} apart. "
                + $"{torch.Version}. The least time: three times the operations of the forward pass, at the rate of fused multiply-adds on "
                + $"registers alone in the same rounds. Medians of {Contest.Rounds} interleaved rounds.",
            ["ours, tokens/s", "the other"], lines, []);
    }

    private static double Operations(Decoder decoder)
    {
        var shape = decoder.Shape;
        double width = shape.ModelSize, rows = Batch * Length;
        var layer = 2 * rows * (4 * width * width + 3 * width * shape.MlpSize) + 2 * width * rows * (Length + 1);
        return 3 * (shape.Layers * layer + 2 * rows * width * decoder.VocabularySize);
    }

    public void Dispose()
    {
        _model.Dispose();
        _parameters.Dispose();
        _stored.Dispose();
        _scratch.Dispose();
    }
}
