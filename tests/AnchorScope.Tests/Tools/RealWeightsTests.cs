using System.Text.Json;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Tools;

/// <summary>Trained weights: the model gives its known output, and the laws hold on weights that are not random.</summary>
public sealed class RealWeightsTests : IClassFixture<RealWeights>, IDisposable
{
    private const string Story = "Tom had a red ball. He gave the ball to";

    private readonly RealWeights _weights;
    private readonly Arena _arena = new();
    private readonly Team _team = new(2);
    private readonly TempFolder _temp = new();

    public RealWeightsTests(RealWeights weights) => _weights = weights;

    public void Dispose()
    {
        _arena.Dispose();
        _team.Dispose();
        _temp.Dispose();
    }

    [PublishedFact(PublishedFiles.Stories)]
    public void GreedyText_IsTheKnownStory()
    {
        using var model = VisionLanguageModel.Open(_weights.Folder);
        foreach (var family in Enum.GetValues<KernelFamily>())
        {
            var generated = Generation.Run(model.Engine.On(new Compute(_arena, _team, family)), model.Prompt(""), new SequenceOptions(24));
            Assert.StartsWith("Once upon a time, there was a little girl named Lily. She loved to play outside",
                model.Tokenizer.Decode([.. generated.Tokens]), StringComparison.Ordinal);
        }
    }

    /// <summary>Its vocabulary is Llama-2's, for which the reference's ids are stored.</summary>
    [PublishedFact(PublishedFiles.Stories)]
    public void Tokens_AreTheReferences()
    {
        using var model = VisionLanguageModel.Open(_weights.Folder);
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("tokenizers-real", "golden.json")));
        // The tokenizer.json that these rows were made with looks for special tokens in the normalised text; a tokenizer built from
        // tokenizer.model looks for them in the raw text.
        var rows = golden.RootElement.GetProperty("llama2").EnumerateArray()
            .Where(row => !row.GetProperty("text").GetString()!.Contains("<s>", StringComparison.Ordinal)).ToList();
        Assert.Equal(24, rows.Count);
        foreach (var row in rows)
        {
            var text = row.GetProperty("text").GetString()!;
            Assert.Equal(row.GetProperty("ids_with_special").EnumerateArray().Select(i => i.GetInt32()),
                model.Tokenizer.Encode(text).Select(t => t.Id));
        }
    }

    [PublishedFact(PublishedFiles.Stories)]
    public void PlannedAndNaiveSweeps_AreTheSameBytes()
    {
        using var model = VisionLanguageModel.Open(_weights.Folder);
        var prompt = model.Prompt(Story);
        var shape = model.Decoder.Shape;
        var heads = Enumerable.Range(0, shape.Layers).SelectMany(
            layer => Enumerable.Range(0, shape.Heads).Select(
                head => Intervention.HeadGain(layer, head, 0, Positions.Range(1, prompt.Length)))).ToList();
        Assert.Equal(36, heads.Count);
        byte[] Rows(string name, bool naive, int threads)
        {
            using var rows = SweepFile.Open(_temp.File(name), model, prompt, heads, [278, 1075, 670], heads: true);
            new SweepStudy(model, prompt, heads, new SweepOptions(1 << 30, threads, naive)).Run(rows);
            rows.Finish();
            return File.ReadAllBytes(_temp.File(name));
        }
        var planned = Rows("planned", naive: false, threads: 1);
        Assert.Equal(Rows("naive", naive: true, threads: 2), planned);
        Assert.Equal(heads.Count, File.ReadLines(_temp.File("planned")).Distinct(StringComparer.Ordinal).Count());
    }

    [PublishedFact(PublishedFiles.Stories)]
    public void DecodingIsPrefill_AndPackingChangesNoBit()
    {
        using var model = VisionLanguageModel.Open(_weights.Folder);
        var prompt = model.Prompt(Story);
        var block = Intervention.HeadGain("a head of each layer",
            Enumerable.Range(0, model.Decoder.Shape.Layers).Select(layer => (layer, layer)), 0);
        var compute = new Compute(_arena, _team);
        var generated = Generation.Run(model.Engine.On(compute), prompt,
            new SequenceOptions(5) { Intervention = block, KeepLogits = true });
        Compare();
        model.Decoder.Pack();
        Compare();

        void Compare()
        {
            for (var step = 0; step < generated.Tokens.Count; step++)
            {
                // The whole text so far in one pass, without a cache.
                var whole = model.Prompt([.. prompt.Tokens, .. generated.Tokens.Take(step)], null, null);
                var entry = Tensor.From(_arena, whole.Embeddings, whole.Length, model.Decoder.Shape.ModelSize);
                var resid = model.Decoder.Forward(
                    new Pass(model.Decoder.Shape, [new RowBlock(entry, whole.Coordinates, 0, block)], compute));
                Assert.Equal(model.Decoder.Unembed(resid.RowRange(whole.Length - 1, 1), compute).ToArray(), generated.Logits[step]);
            }
        }
    }
}
