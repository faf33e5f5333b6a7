using System.Runtime.InteropServices;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Synthesis;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>A LLaVA-shaped model of random weights and a prompt of image and text tokens, embedded.</summary>
internal sealed class Subject : IDisposable
{
    public const int TextTokens = 60;

    private readonly Scratch _scratch = new();

    public Subject(int layers = 12, int heads = 12)
    {
        Folder = _scratch.File("model");
        new SyntheticCheckpoint(new SynthesisOptions
        {
            Family = SyntheticFamily.Of("llava"), Layers = layers, Heads = heads, Width = 768, MlpSize = 2048, Vocabulary = 32000,
            ImageTokens = 576, VisionLayers = 1, Type = StoredType.F32, Seed = 1,
        }).Write(Folder);
        Model = VisionLanguageModel.Open(Folder);
        Model.Decoder.Pack();
        Prompt = Of(Model, 576);
        Embeddings = _scratch.File("embeddings.f32");
        File.WriteAllBytes(Embeddings, MemoryMarshal.AsBytes<float>(Prompt.Embeddings).ToArray());
    }

    public string Folder { get; }

    /// <summary>The prompt's embeddings as a file of float32.</summary>
    public string Embeddings { get; }

    public VisionLanguageModel Model { get; }

    public Prompt Prompt { get; }

    /// <summary>Embeddings of random tokens at all positions: the decoder's work does not depend on the values.</summary>
    public static Prompt Of(VisionLanguageModel model, int imageTokens, int seed = 2)
    {
        var random = new Random(seed);
        var length = imageTokens + TextTokens;
        int[] tokens = [.. Enumerable.Range(0, length).Select(_ => random.Next(1000, model.Decoder.VocabularySize))];
        using var arena = new Arena();
        var rows = arena.Take(length, model.Decoder.Shape.ModelSize);
        model.Decoder.Embed(tokens, rows);
        return new Prompt(tokens, [.. Enumerable.Range(0, length).Select(Coordinate.At)], rows.ToArray(),
            new Dictionary<SpanKind, int[]>(), "");
    }

    public void Dispose()
    {
        Model.Dispose();
        _scratch.Dispose();
    }
}
