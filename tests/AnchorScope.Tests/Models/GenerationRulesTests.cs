using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>
/// The rules of generation_config.json, compared with texts and probabilities of the reference library (tests/fixtures/variants/make.py).
/// </summary>
public sealed class GenerationRulesTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string> Texts => new(VariantCheckpoints.Manifest.GetProperty("texts").EnumerateArray()
        .Select(t => t.GetProperty("name").GetString()!));

    public static TheoryData<int> Draws => new(Enumerable.Range(0, VariantCheckpoints.Manifest.GetProperty("draws").GetArrayLength()));

    [Fact]
    public void EveryRule_ChangesTheText()
    {
        var texts = VariantCheckpoints.Manifest.GetProperty("texts").EnumerateArray()
            .ToDictionary(t => t.GetProperty("name").GetString()!, t => t.GetProperty("ids").GetRawText());
        Assert.Equal(16, texts.Count);
        Assert.All(texts.Where(t => t.Key is not ("plain" or "decay" or "no pair twice")), t => Assert.NotEqual(texts["plain"], t.Value));
        Assert.NotEqual(texts["reward"], texts["no pair twice"]);
    }

    [Theory]
    [MemberData(nameof(Texts))]
    public void GreedyText_IsTheReferences(string name)
    {
        var text = VariantCheckpoints.Manifest.GetProperty("texts").EnumerateArray().Single(t => t.GetProperty("name").GetString() == name);
        using var model = VisionLanguageModel.Open(With(text.GetProperty("generation_config").GetRawText()));
        using var golden = Golden.Open("llava15", "text_only");
        using var arena = new Arena();
        using var team = new Team(1);
        var prompt = model.Prompt(golden.Ints("inputs.input_ids"), null, null);
        var generated = Generation.Run(model.Engine.On(new Compute(arena, team)), prompt,
            new SequenceOptions(12) { Stop = model.StopTokens, Rules = model.Rules });
        Assert.Equal(text.GetProperty("ids").EnumerateArray().Select(t => t.GetInt32()), generated.Tokens);
    }

    [Theory]
    [InlineData(999_999)]
    [InlineData(-1)]
    public void AnEndThatTheVocabularyLacks_IsNoScore(int end)
    {
        var rules = new GenerationRules(
            ConfigSection.Load(
                _temp.Write("g.json", $$"""{"min_length": 5, "min_new_tokens": 3, "exponential_decay_length_penalty": [0, 1.5]}""")),
            new HashSet<int> { end, 1 }, 3);
        var scores = rules.Apply([1, 2, 3], [0], 1, 8);
        Assert.Equal([1, float.NegativeInfinity, 3], scores);
    }

    /// <summary>Values of the reference library: eos_token_id of the opened model's generation_config; llava15 has none.</summary>
    [Theory]
    [InlineData("llava15", null)]
    [InlineData("qwen25vl", 402)]
    [InlineData("qwen2vl", 402)]
    [InlineData("internvl3", 402)]
    [InlineData("llava-onevision", 402)]
    [InlineData("smolvlm", 2)]
    public void WithoutGenerationConfig_TheModelsConfigSaysWhatEndsAnAnswer(string family, int? end)
    {
        var folder = _temp.Copy(Fixtures.Path(family), family);
        File.Delete(Path.Combine(folder, "generation_config.json"));
        using var model = VisionLanguageModel.Open(folder);
        Assert.Equal(end is { } token ? [token] : [], model.StopTokens);
    }

    /// <summary>The same keys at the root of config.json or of its language model; the root's is taken where both have one.</summary>
    [Theory]
    [InlineData("internvl3")]
    [InlineData("smolvlm")]
    [InlineData("llava-onevision")]
    public void WithoutGenerationConfig_TheLanguageModelsKeysCount(string family)
    {
        var folder = _temp.Copy(Fixtures.Path(family), family);
        File.Delete(Path.Combine(folder, "generation_config.json"));
        var path = Path.Combine(folder, "config.json");
        var config = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(path))!;
        config["text_config"]!["repetition_penalty"] = 1.5;
        config["text_config"]!["max_length"] = 60;
        config["max_length"] = 70;
        File.WriteAllText(path, config.ToJsonString());
        using var model = VisionLanguageModel.Open(folder);
        Assert.Equal((true, 70), (model.Rules.Any, model.MaxLength));
        var scores = new float[model.Decoder.VocabularySize];
        (scores[1], scores[2]) = (3, 3);
        Assert.Equal((2, 3), (model.Rules.Apply(scores, [1], 1, 8)[1], model.Rules.Apply(scores, [1], 1, 8)[2]));
    }

    [Theory]
    [MemberData(nameof(Draws))]
    public void Probabilities_AreTheReferences(int draw)
    {
        var settings = VariantCheckpoints.Manifest.GetProperty("draws")[draw];
        using var golden = Golden.Open("llava15", "text_only");
        var rules = Rules(settings.GetProperty("generation_config").GetRawText(), 512);
        var tokens = golden.Ints("inputs.input_ids");
        var scores = rules.Apply(VariantCheckpoints.Golden(settings.GetProperty("top_p").GetDouble() < 1 ? "draws of"
            : "draws of rounded"), tokens, tokens.Length, tokens.Length + 12);
        var sampling = new Sampling(settings.GetProperty("temperature").GetDouble(), settings.GetProperty("top_k").GetInt32(),
            settings.GetProperty("top_p").GetDouble());
        var probabilities = new float[512];
        foreach (var (token, probability) in new Sampler(sampling).Probabilities(scores)) probabilities[token] = (float)probability;
        // Both are sums of float32 exponentials of at most 512 tokens.
        Close.AssertAbsolute("probabilities", VariantCheckpoints.Golden($"draw {draw}"), probabilities, 1e-6);
    }

    [Fact]
    public void EmptyRules_LeaveTheLogitsAlone()
    {
        float[] logits = [1, -2, 3];
        Assert.False(GenerationRules.None.Any);
        Assert.Equal(logits, GenerationRules.None.Apply(logits, [0], 1, 2));
        Assert.False(
            Rules(
                """{"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_new_tokens": 0, "suppress_tokens": [], "bad_words_ids": null, "eos_token_id": 2}""", 3).Any);
    }

    [Fact]
    public void WhatIsNotApplied_IsNamed()
    {
        var rules = Rules(
            """{"num_beams": 4, "guidance_scale": 1.5, "stop_strings": ["x"], "typical_p": 0.9, "min_p": 0.1, "do_sample": true, "num_return_sequences": 1, "length_penalty": 2.0, "chat_format": "chatml"}""", 8);
        Assert.Equal(
            ["generation_config.json: guidance_scale: not applied; the text is generated without it",
                "generation_config.json: num_beams: not applied; the text is generated without it",
                "generation_config.json: stop_strings: not applied; the text is generated without it"],
            rules.NotApplied(sampling: false).Select(line => line[line.IndexOf("generation_config", StringComparison.Ordinal)..]));
        Assert.Equal(["min_p", "typical_p"], rules.NotApplied(sampling: true).Select(line => line.Split(": ")[1])
            .Where(key => key.EndsWith("_p", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("""{"repetition_penalty": 0}""", "repetition_penalty: expected a number above 0, found 0")]
    [InlineData("""{"repetition_penalty": "1.1"}""", "repetition_penalty: expected a number, found '1.1'")]
    [InlineData("""{"no_repeat_ngram_size": -1}""", "no_repeat_ngram_size: expected 0 or a positive integer, found -1")]
    [InlineData("""{"bad_words_ids": [1]}""", "bad_words_ids: expected lists of token ids, none of them empty, found 1")]
    [InlineData("""{"bad_words_ids": [[8]]}""", "bad_words_ids: expected tokens of the vocabulary, 0 to 7, found 8")]
    [InlineData("""{"bad_words_ids": 3}""", "bad_words_ids: expected a list of lists of token ids, found 3")]
    [InlineData("""{"suppress_tokens": [-1]}""", "suppress_tokens: expected token ids, found -1")]
    [InlineData("""{"forced_eos_token_id": 9}""", "forced_eos_token_id: expected tokens of the vocabulary, 0 to 7, found 9")]
    [InlineData("""{"sequence_bias": [[[1]]]}""", "sequence_bias: expected a list of pairs, token ids and a number, found [[[1]]]")]
    [InlineData("""{"exponential_decay_length_penalty": [1.5, 2.0], "eos_token_id": 1}""",
        "exponential_decay_length_penalty: expected a number of tokens and a factor, found 1.5, 2")]
    public void WrongValues_AreNamed(string json, string message) => Assert.EndsWith(message, Assert.Throws<InputException>(() =>
        Rules(json, 8)).Message, StringComparison.Ordinal);

    private GenerationRules Rules(string json, int vocabulary)
    {
        var section = ConfigSection.Load(_temp.Write("generation_config.json", json));
        return new GenerationRules(section, section.Has("eos_token_id") ? new HashSet<int> { section.Int("eos_token_id") }
            : new HashSet<int>(), vocabulary);
    }

    private string With(string generation)
    {
        var folder = _temp.Copy(Fixtures.Path("llava15"), "llava15");
        File.WriteAllText(Path.Combine(folder, "generation_config.json"), generation);
        return folder;
    }

    public void Dispose() => _temp.Dispose();
}
