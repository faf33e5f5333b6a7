using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>
/// Configurations beyond those of the fixtures: rope kinds, several feature layers, the projector's activations, pictures whose feature map
/// is empty, the rounding of SmolVLM's positions, tied weights declared at the root. Logits of the last position compared with the
/// reference library's.
/// </summary>
public sealed class VariantTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private readonly Arena _arena = new();
    private readonly Team _team = new(1);

    private Compute Compute => new(_arena, _team);

    public static TheoryData<string> Cases => new(VariantCheckpoints.Names.Where(name => name != "positions"));

    [Fact]
    public void EveryKindOfVariant_IsThere()
    {
        foreach (var kind in new[] { "rope linear", "rope llama3", "rope yarn", "rope longrope", "rope dynamic", "llava features",
            "onevision wide", "onevision tall", "large smolvlm", "projector relu" })
            Assert.Contains(kind, VariantCheckpoints.Names);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Variant_IsTheReferences(string name)
    {
        var @case = VariantCheckpoints.Case(name);
        using var model = VisionLanguageModel.Open(VariantCheckpoints.Write(_temp, @case));
        Close.AssertRelative(name, VariantCheckpoints.Golden(name), LastLogits(model, VariantCheckpoints.PromptOf(model, @case, Compute)));
    }

    /// <summary>Twelve angles of each rope kind differ from the plain ones, so the comparison above can detect a wrong kind.</summary>
    [Theory]
    [InlineData("rope linear")]
    [InlineData("rope llama3")]
    [InlineData("rope yarn")]
    [InlineData("rope longrope")]
    public void ScaledAngles_AreOthers(string name)
    {
        using var model = VisionLanguageModel.Open(VariantCheckpoints.Write(_temp, VariantCheckpoints.Case(name)));
        using var plain = VisionLanguageModel.Open(Fixtures.Path("llava15"));
        model.Decoder.Rope.Reserve(36);
        plain.Decoder.Rope.Reserve(36);
        Assert.NotEqual(plain.Decoder.Rope.At(35).ToArray(), model.Decoder.Rope.At(35).ToArray());
    }

    [Fact]
    public void Buckets_AreTheReferences_OnEverySide()
    {
        var sides = VariantCheckpoints.Manifest.GetProperty("buckets").EnumerateObject().ToList();
        Assert.Equal(63, sides.Count);
        foreach (var side in sides) Assert.Equal(side.Value.EnumerateArray().Select(v => v.GetInt32()),
            BucketedPositions.Buckets(int.Parse(side.Name, System.Globalization.CultureInfo.InvariantCulture)));
        Assert.Equal(4, BucketedPositions.Buckets(25)[5]);
    }

    [Theory]
    [InlineData("true", "false")]
    [InlineData("false", "true")]
    [InlineData("true", null)]
    [InlineData(null, "true")]
    public void Tied_AtTheRootOrInTheText_IsTied(string? root, string? text)
    {
        var folder = _temp.Copy(Fixtures.Path("llava-onevision"), "tied");
        VariantCheckpoints.Set(folder, "config.json", "tie_word_embeddings", root ?? "null");
        VariantCheckpoints.Set(folder, "config.json", "text_config.tie_word_embeddings", text ?? "null");
        using var model = VisionLanguageModel.Open(folder);
        using var golden = Golden.Open("llava-onevision", "one_image_anyres");
        var pixels = model.Accept(golden.Inputs);
        var logits = LastLogits(model, model.Prompt(golden.Ints("inputs.input_ids"), pixels, model.Engine.On(Compute).Features(pixels)));
        Close.AssertRelative("logits", golden.Singles("lm.logits").AsSpan(^logits.Length..), logits);
    }

    [Fact]
    public void TiedNowhere_NeedsAHead()
    {
        var folder = _temp.Copy(Fixtures.Path("llava-onevision"), "untied");
        VariantCheckpoints.Set(folder, "config.json", "text_config.tie_word_embeddings", "false");
        Assert.Contains("there is no tensor 'language_model.lm_head.weight'",
            Assert.Throws<InputException>(() => VisionLanguageModel.Open(folder).Dispose()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ImageTokensOfAnEmptyMap_LookSomewhereOrNowhere()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Path("llava-onevision"));
        foreach (var (height, width, tokens) in new[] { (33, 640, 16), (1000, 5, 20) })
        {
            var pixels = model.Preprocess([new AnchorScope.Prompts.Picture(width, height, new byte[3 * width * height])]);
            Assert.Equal(tokens, model.ImageTokens(pixels.Pictures[0]));
            var prompt = model.Prompt([.. Enumerable.Repeat(model.ImageToken!.Value, tokens)], pixels,
                model.Engine.On(Compute).Features(pixels));
            Assert.Equal(tokens, prompt.Places.Count);
            Assert.Equal(tokens - 16, prompt.Places.Count(place => place.Box is null));
        }
    }

    [Theory]
    [InlineData("""{"type": "ntk", "factor": 2.0}""",
        "rope_scaling.type: 'ntk' is not supported; supported: default, mrope, linear, dynamic, llama3, yarn, longrope")]
    [InlineData("""{"rope_type": "linear", "factor": 2.0, "beta_fast": 3}""",
        "rope_scaling.beta_fast: rope_type linear has no such key; it has rope_type, type, rope_theta, mrope_section, "
            + "partial_rotary_factor, factor")]
    [InlineData("""{"rope_type": "default", "factor": 2.0}""", "rope_scaling.factor: rope_type default has no such key")]
    [InlineData("""{"rope_type": "linear"}""", "rope_scaling.factor: the key is missing")]
    [InlineData("""{"rope_type": "linear", "factor": 0}""", "rope_scaling.factor: expected a positive number, found 0")]
    [InlineData("""{"rope_type": "default", "partial_rotary_factor": 0.5}""",
        "rope_scaling.partial_rotary_factor: '0.5' is not supported; supported: 1, whole heads")]
    [InlineData("""{"rope_type": "longrope", "factor": 2.0, "short_factor": [1, 1], "long_factor": [1, 1, 1, 1, 1, 1, 1, 1]}""",
        "short_factor: expected 8 positive numbers, one for each pair of a head, found 2 numbers")]
    [InlineData("""{"rope_type": "longrope", "factor": 2.0, "short_factor": [1, 1, 1, 1, 1, 1, 1, "x"], "long_factor": []}""",
        "long_factor: expected 8 positive numbers")]
    [InlineData("""{"full_attention": {"rope_type": "default"}}""", "rope_scaling.full_attention: rope_type default has no such key")]
    public void RopeSettings_ThatAreNotUnderstood_AreNamed(string rope, string message)
    {
        var folder = _temp.Copy(Fixtures.Path("llava15"), "rope");
        VariantCheckpoints.Set(folder, "config.json", "text_config.rope_scaling", rope);
        Assert.Contains(message, Assert.Throws<InputException>(() => VisionLanguageModel.Open(folder).Dispose()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void PromptsBeyondTheShortFactors_AreRefused()
    {
        var @case = VariantCheckpoints.Case("rope longrope");
        var folder = VariantCheckpoints.Write(_temp, @case);
        VariantCheckpoints.Set(folder, "config.json", "text_config.rope_scaling.original_max_position_embeddings", "30");
        using var model = VisionLanguageModel.Open(folder);
        Assert.Equal(30, model.Decoder.MaximumPositions);
        var prompt = VariantCheckpoints.PromptOf(model, @case, Compute);
        Assert.Equal("the prompt has 36 positions; the model was made for 30 (original_max_position_embeddings)",
            model.Decoder.TooLong(prompt));
        Assert.Contains("from 30 on (original_max_position_embeddings)", Assert.Throws<InputException>(() => LastLogits(model, prompt))
            .Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "vision_feature_layer: expected a layer or a list of layers, found an empty list")]
    [InlineData("[1, 5]", "vision_feature_layer: expected -5 to 4, found 5")]
    [InlineData("[1, \"2\"]", "vision_feature_layer[1]: expected an integer, found '2'")]
    public void FeatureLayers_OutOfRange_AreNamed(string layers, string message)
    {
        var folder = _temp.Copy(Fixtures.Path("llava15"), "layers");
        VariantCheckpoints.Set(folder, "config.json", "vision_feature_layer", layers);
        Assert.Contains(message, Assert.Throws<InputException>(() => VisionLanguageModel.Open(folder).Dispose()).Message,
            StringComparison.Ordinal);
    }

    private float[] LastLogits(VisionLanguageModel model, Prompt prompt)
    {
        var entry = Tensor.From(_arena, prompt.Embeddings, prompt.Length, model.Decoder.Shape.ModelSize);
        var resid = model.Decoder.ForwardLast(new Pass(model.Decoder.Shape, [new RowBlock(entry, prompt.Coordinates, 0, Intervention.None)],
            Compute));
        return model.Decoder.Unembed(resid, Compute).ToArray();
    }

    public void Dispose()
    {
        _temp.Dispose();
        _arena.Dispose();
        _team.Dispose();
    }
}
