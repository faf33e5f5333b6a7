using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Models;

/// <summary>From a conversation to token ids for unusual checkpoints and texts; expected ids are those of transformers 5.12.1.</summary>
public sealed class PromptTextTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public PromptTextTests()
    {
        Directory.CreateDirectory(_temp.File("model"));
        foreach (var file in Directory.GetFiles(Fixtures.Path("llava15"))) File.Copy(file,
            Path.Combine(_temp.File("model"), Path.GetFileName(file)));
    }

    public void Dispose() => _temp.Dispose();

    /// <summary>A processor adds no special tokens to a text that begins with bos_token.</summary>
    [Fact]
    public void ATemplateThatWritesItsOwnBeginning_GetsNoSecondOne()
    {
        var without = Ids();
        File.WriteAllText(InModel("chat_template.json"), JsonNode.Parse(File.ReadAllText(InModel("chat_template.json")))! is { } json
            ? new JsonObject { ["chat_template"] = "{{ bos_token }}" + json["chat_template"]!.GetValue<string>() }.ToJsonString() : "");
        int[] expected = [1, 443, 271, 313, .. Enumerable.Repeat(448, 16), 13, 277, 292, 299, 299, 302, 319, 318, 400, 439, 435, 442, 441];
        Assert.Equal(expected, Ids());
        Assert.Equal([1, 313, .. expected[1..]], without);
    }

    [Fact]
    public void FlagsOfTheConfiguration_TakeWhiteSpaceWithAToken()
    {
        var config = JsonNode.Parse(File.ReadAllText(InModel("tokenizer_config.json")))!;
        foreach (var flag in new[] { "lstrip", "rstrip" }) config["added_tokens_decoder"]!["448"]![flag] = true;
        File.WriteAllText(InModel("tokenizer_config.json"), config.ToJsonString());
        int[] expected = [1, 313, 443, 271, .. Enumerable.Repeat(448, 16), 274, 292, 293, 302, 318, 313, 13, 313, 313, 13, 315, 389, 321,
            400, 439, 435, 442, 441];
        Assert.Equal(expected, Ids(new TextPart("Before \n"), new ImagePart(), new TextPart(" \n after")));
    }

    [Fact]
    public void ATokenOfTheConfigurationAlone_IsOneToken()
    {
        var config = JsonNode.Parse(File.ReadAllText(InModel("tokenizer_config.json")))!;
        config["added_tokens_decoder"]!["450"] = new JsonObject { ["content"] = "XY", ["special"] = true };
        File.WriteAllText(InModel("tokenizer_config.json"), config.ToJsonString());
        int[] expected = [1, 313, 443, 271, 313, .. Enumerable.Repeat(448, 16), 13, 296, 306, 313, 450, 315, 313, 450, 313, 398, 305, 291,
            400, 439, 435, 442, 441];
        Assert.Equal(expected, Ids(new ImagePart(), new TextPart("is XY a XY word")));
    }

    [Fact]
    public void TextThatTheTokenizerDoesNotKnow_IsCounted_AndSaid()
    {
        var file = JsonNode.Parse(File.ReadAllText(InModel("tokenizer.json")))!;
        (file["model"]!["byte_fallback"], file["model"]!["fuse_unk"]) = (false, false);
        File.WriteAllText(InModel("tokenizer.json"), file.ToJsonString());
        using (var model = VisionLanguageModel.Open(_temp.File("model")))
        {
            var prompt = model.Prompt([new ChatMessage("user", [new TextPart("Hi 漢字")])], pixels: null, features: null);
            Assert.Equal((2, prompt.Length), (prompt.UnknownTokens, prompt.TextTokens));
            Assert.Equal($"2 of {prompt.Length} tokens of the text are <unk>, the tokenizer's unknown token: that text does not "
                + "reach the model", Assert.Single(prompt.Warnings));
            var known = model.Prompt([new ChatMessage("user", [new TextPart("Hi")])], pixels: null, features: null);
            Assert.Equal((0, known.Length), (known.UnknownTokens, known.TextTokens));
            Assert.Empty(known.Warnings);
        }
        var (exit, _, error) = Ascope.Run(_temp.Path, "trace", "model", "--prompt", "Hi 漢字", "--out", "out.safetensors");
        Assert.Equal(0, exit);
        Assert.StartsWith("ascope: warning: 2 of ", error, StringComparison.Ordinal);
        (exit, _, error) = Ascope.RunWithInput(_temp.Path, """["Hi 漢字", "Hi"]""", "tokenize", "model");
        Assert.Equal(0, exit);
        Assert.StartsWith("ascope: warning: 2 of ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatTheTemplateDoesWithMessages_IsSaid()
    {
        File.WriteAllText(_temp.File("messages.json"), """[{"role": "user", "content": "Hello there"}]""");
        var (exit, _, error) = Ascope.Run(_temp.Path, "trace", "model", "--messages", "messages.json", "--out", "out.safetensors");
        Assert.Equal((0,
            "ascope: warning: message 0: the chat template drops a content that is a string, so its text is given as a list of one part; " +
            "the reference library would leave it out"), (exit, error.TrimEnd()));
        using var trace = SafetensorsFile.Open(_temp.File("out.safetensors"));
        Assert.Equal([1, 313, 443, 271, 313, 277, 292, 299, 299, 302, 319, 318, 400, 439, 435, 442, 441],
            trace.ReadInt64s("inputs.input_ids"));
    }

    private string InModel(string file) => Path.Combine(_temp.File("model"), file);

    private int[] Ids(params ContentPart[] parts)
    {
        if (parts.Length == 0) parts = [new ImagePart(), new TextPart("Hello there")];
        using var model = VisionLanguageModel.Open(_temp.File("model"));
        using var arena = new Arena();
        using var team = new Team(1);
        return model.Prompt([new ChatMessage("user", parts)], [Picture.Load(Fixtures.Path("llava15", "golden", "one_image_img0.png"))],
            model.Engine.On(new Compute(arena, team))).Tokens;
    }
}
