using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Readouts;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Cli;

/// <summary>The public proof of parity, through the command itself: files in, files out.</summary>
public sealed class TraceCommandTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Theory]
    [InlineData("llava15", "one_image")]
    [InlineData("llava15", "two_images")]
    [InlineData("llava15", "text_only")]
    [InlineData("llava15-gqa-f16-sharded", "one_image")]
    [InlineData("qwen25vl", "two_images")]
    [InlineData("qwen25vl", "text_only")]
    [InlineData("qwen2vl", "one_image_nonsquare")]
    [InlineData("internvl3", "tiled_image")]
    [InlineData("llava-onevision", "one_image_anyres")]
    [InlineData("smolvlm", "one_image_split")]
    public void EveryArrayIsTheReferences(string model, string @case)
    {
        using var golden = Golden.Open(model, @case);
        using var found = Trace(model, golden, "--keep", string.Join(',', TraceExport.Optional), "--generate",
            $"{golden.Ints("gen.ids").Length}");
        var compared = 0;
        foreach (var name in golden.Names.Where(n => found.Tensors.ContainsKey(n) && !n.StartsWith("lens", StringComparison.Ordinal)))
        {
            if (name != "gen.ids") Assert.Equal(golden.Shape(name), found.Entry(name).Shape);
            if (name == "gen.ids") Assert.Equal(golden.Ints(name), found.ReadInt64s(name).Select(v => (int)v));
            else if (name == "lm.attn") Close.AssertAbsolute(name, golden.Singles(name), found.ReadSingles(name), Close.Probability);
            else Close.AssertRows(name, golden.Singles(name), found.ReadSingles(name), golden.Shape(name)[^1]);
            compared++;
        }
        var wanted = golden.Names.Where(
            n => n.StartsWith("lm.", StringComparison.Ordinal) || n.StartsWith("gen.", StringComparison.Ordinal) || n == "vision.features")
            .ToList();
        Assert.True(compared >= wanted.Count, $"only {compared} of {wanted.Count} arrays were written");
        Assert.All(wanted, name => Assert.True(found.Tensors.ContainsKey(name), $"{name} is missing"));
    }

    [Fact]
    public void EveryInterventionIsTheReferences()
    {
        using var golden = Golden.Open("llava15", "one_image");
        var seen = 0;
        foreach (var intervention in golden.Manifest.GetProperty("interventions").EnumerateObject())
        {
            using var found = Trace("llava15", golden, "--edits", _temp.Write("edits.json", Edits(intervention.Value)));
            Close.AssertRows(intervention.Name, golden.Singles($"iv.{intervention.Name}.logits"), found.ReadSingles("lm.logits"),
                found.Entry("lm.logits").Shape[^1]);
            seen++;
        }
        Assert.True(seen > 0);
    }

    [Fact]
    public void PictureAndTextGoThroughTemplateTokenizerAndPreprocessing()
    {
        using var reference = SafetensorsFile.Open(Fixtures.Path("organism", "reference", "reference.safetensors"));
        var output = _temp.File("organism.safetensors");
        var (exit, _, error) = Ascope.Run(
            _temp.Path, "trace", Fixtures.Organism, "--image", Path.Combine(Fixtures.Conflicts, "images", "test-0000.png"),
            "--prompt", "text : the moon is pink , there are three , on night . which thing ? take the picture not the message", "--out",
            output);
        Assert.Equal((0, ""), (exit, error));
        using var found = SafetensorsFile.Open(output);
        var length = (int)reference.ReadInt64s("test.first100.length")[0];
        Assert.Equal([1, length], found.Entry("inputs.input_ids").Shape);
        Assert.Equal(reference.ReadInt64s("test.first100.token_ids")[..length], found.ReadInt64s("inputs.input_ids"));
        Assert.Equal([1, 3, 64, 64], found.Entry("inputs.pixel_values").Shape);
        Close.AssertRelative("logits", reference.ReadSingles("test.first100.last_logits").AsSpan(0, 96),
            found.ReadSingles("lm.logits").AsSpan((length - 1) * 96, 96));
    }

    [Theory]
    [InlineData("qwen25vl", "one_image_nonsquare")]
    [InlineData("internvl3", "tiled_image")]
    [InlineData("llava-onevision", "one_image_anyres")]
    [InlineData("smolvlm", "one_image_split")]
    public void PicturesOfEveryFamily_GiveTheReferencesInputs(string model, string @case)
    {
        using var golden = Golden.Open(model, @case);
        var output = _temp.File("rendered.safetensors");
        var picture = Fixtures.Path(model, "golden", golden.Manifest.GetProperty("images")[0].GetString()!);
        var (exit, _, error) = Ascope.Run(_temp.Path, "trace", Fixtures.Path(model), "--image", picture, "--prompt",
            "What is shown in the picture?", "--out", output);
        Assert.Equal((0, ""), (exit, error));
        using var found = SafetensorsFile.Open(output);
        Assert.Equal(golden.Ints("inputs.input_ids"), found.ReadInt64s("inputs.input_ids").Select(i => (int)i));
        Assert.Equal(golden.Shape("inputs.pixel_values"), found.Entry("inputs.pixel_values").Shape);
        foreach (var companion in new[] { "image_grid_thw", "image_sizes" })
        {
            if (golden.Inputs64(companion) is { } want) Assert.Equal(want, found.ReadInt64s("inputs." + companion));
        }
        Close.AssertRows("lm.logits", golden.Singles("lm.logits"), found.ReadSingles("lm.logits"), found.Entry("lm.logits").Shape[^1]);
    }

    [Theory]
    [InlineData("--top-k: says how tokens are generated; expected --generate N beside it, found none", "--top-k", "3")]
    [InlineData("--temperature: says how tokens are generated", "--temperature", "0.5")]
    [InlineData("--seed: says how tokens are generated", "--seed", "7")]
    [InlineData("--temperature: expected 0 (the arg-max) or above, found -1", "--generate", "2", "--temperature", "-1")]
    [InlineData("--top-k: expected 0 (all tokens) or above, found -3", "--generate", "2", "--temperature", "1", "--top-k", "-3")]
    [InlineData("--top-p: expected above 0 and at most 1, found 1.5", "--generate", "2", "--temperature", "1", "--top-p", "1.5")]
    [InlineData("--top-k: has no effect with greedy decoding; expected --temperature above 0 beside it", "--generate", "2",
        "--top-k", "3")]
    public void OptionsOfGeneration_ThatDoNothing_AreRefused(string message, params string[] options)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, ["trace", Fixtures.Grown("relay"), "--prompt", "what", "--out",
            _temp.File("out.safetensors"), .. options]);
        Assert.Equal((2, ""), (exit, output));
        Assert.StartsWith($"ascope: {message}", error, StringComparison.Ordinal);
        Assert.False(File.Exists(_temp.File("out.safetensors")));
    }

    [Fact]
    public void AnArrayThatIsAlwaysWritten_IsNothingToKeep()
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, "trace", Fixtures.Path("llava15"), "--keep", "z,attn_out", "--out", "a.safetensors");
        Assert.Equal(2, exit);
        Assert.Contains("found attn_out, which is always written", error, StringComparison.Ordinal);
        Assert.DoesNotContain(TraceExport.Optional, name => name is "attn_out" or "mlp_out");
    }

    [Fact]
    public void PromptsThatAreTooLong_AreRefusedWithBothNumbers()
    {
        var model = _temp.Copy(Fixtures.Path("llava15"), "short");
        VariantCheckpoints.Set(model, "config.json", "text_config.max_position_embeddings", "30");
        using var golden = Golden.Open("llava15", "text_only");
        var input = _temp.File("in.safetensors");
        SafetensorsWriter.Write(input, [TensorData.Of("input_ids", golden.Inputs64("input_ids")!, golden.Shape("inputs.input_ids"))]);
        (int ExitCode, string Output, string Error) Run(params string[] more) =>
            Ascope.Run(_temp.Path, ["trace", model, "--inputs", input, "--force", "--out", _temp.File("out.safetensors"), .. more]);
        Assert.Equal(0, Run("--generate", "10").ExitCode);
        Assert.Equal((2, "ascope: the prompt has 21 positions and 10 generated tokens come after it; the model was made for 30 "
            + "(max_position_embeddings)"), (Run("--generate", "11").ExitCode, Run("--generate", "11").Error.Trim()));
        VariantCheckpoints.Set(model, "config.json", "text_config.max_position_embeddings", "20");
        Assert.Equal((2, "ascope: the prompt has 21 positions; the model was made for 20 (max_position_embeddings)"),
            (Run().ExitCode, Run().Error.Trim()));
    }

    [Fact]
    public void RulesThatAreNotApplied_AreWarnings()
    {
        var model = _temp.Copy(Fixtures.Path("llava15"), "beams");
        VariantCheckpoints.Set(model, "generation_config.json", "num_beams", "4");
        using var golden = Golden.Open("llava15", "text_only");
        var input = _temp.File("in.safetensors");
        SafetensorsWriter.Write(input, [TensorData.Of("input_ids", golden.Inputs64("input_ids")!, golden.Shape("inputs.input_ids"))]);
        var (exit, _, error) = Ascope.Run(_temp.Path, "trace", model, "--inputs", input, "--out", _temp.File("out.safetensors"),
            "--generate", "2");
        Assert.Equal((0, $"ascope: warning: {Path.Combine(model, "generation_config.json")}: num_beams: not applied; "
            + "the text is generated without it"), (exit, error.Trim()));
        (exit, _, error) = Ascope.Run(_temp.Path, "trace", model, "--inputs", input, "--force", "--out", _temp.File("out.safetensors"));
        Assert.Equal((0, ""), (exit, error));
    }

    /// <summary>What is there stays, unless --force is given; the likeliest tokens add up and lead with the arg-max.</summary>
    [Theory]
    [InlineData("--edits", "edits.json", """[{"kind": "head_scale", "layer": 0, "factor": 0}]""", "--prompt", "what")]
    [InlineData("--messages", "chat.json", """[{"role": "user", "content": "what"}]""")]
    public void AnInputIsNeverOverwritten(string option, string file, string text, params string[] more)
    {
        _temp.Write(file, text);
        var (exit, output, error) = Ascope.Run(_temp.Path,
            ["trace", Fixtures.Grown("relay"), option, file, "--out", file, "--force", .. more]);
        Assert.Equal((2, "", $"ascope: --out: {file}: expected another file than those that are read, found {file}\n"),
            (exit, output, error));
        Assert.Equal(text, File.ReadAllText(_temp.File(file)));
    }

    [Fact]
    public void LogitsBeyondFloat32_AreSaid_AndHaveNoProbabilities()
    {
        _temp.Write("edits.json", """[{"kind": "head_scale", "layer": 2, "head": 1, "factor": 1e38}]""");
        var (exit, output, error) = Ascope.Run(_temp.Path, "trace", Fixtures.Grown("relay"), "--image",
            Path.Combine(Fixtures.Conflicts, "images", "test-0001.png"), "--prompt",
            "message : star , purple , one , night . what colour is it ? trust the picture", "--edits", "edits.json", "--top", "2",
            "--out", "out.safetensors");
        Assert.Equal(0, exit);
        Assert.StartsWith("out.safetensors: ", output, StringComparison.Ordinal);
        Assert.Contains("edits.json: logits are beyond the range of float32", error, StringComparison.Ordinal);
    }

    [Fact]
    public void AnEmptyConversation_IsRefused()
    {
        _temp.Write("chat.json", "[]");
        var (exit, _, error) = Ascope.Run(_temp.Path, "trace", Fixtures.Grown("relay"), "--messages", "chat.json",
            "--out", "out.safetensors");
        Assert.Equal((2, "ascope: chat.json: messages: expected at least one, found an empty list\n"), (exit, error));
    }

    [Fact]
    public void AnOutputThatIsThereIsRefused_AndTheLikeliestTokensArePrinted()
    {
        string[] trace = ["trace", Fixtures.Grown("relay"), "--prompt", "what is it ?", "--out", "out.safetensors",
            "--top", "96", "--threads", "1"];
        File.WriteAllText(_temp.File("out.safetensors"), "mine");
        var (exit, _, error) = Ascope.Run(_temp.Path, trace);
        Assert.Equal((2, "ascope: --out: out.safetensors: expected a new file, found one that exists; --force overwrites it\n"),
            (exit, error));
        Assert.Equal("mine", File.ReadAllText(_temp.File("out.safetensors")));
        (exit, var output, error) = Ascope.Run(_temp.Path, [.. trace, "--force"]);
        Assert.Equal((0, ""), (exit, error));
        using var found = SafetensorsFile.Open(_temp.File("out.safetensors"));
        var logits = found.ReadSingles("lm.logits")[^96..];
        var lines = output.Split('\n')[..96].Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).ToList();
        Assert.Equal(Enumerable.Range(0, 96).OrderByDescending(i => logits[i]),
            lines.Select(line => int.Parse(line[0], CultureInfo.InvariantCulture)));
        Assert.Equal(1, lines.Sum(line => double.Parse(line[1], CultureInfo.InvariantCulture)), 0.005);
    }

    private SafetensorsFile Trace(string model, Golden golden, params string[] more)
    {
        var (input, output) = (_temp.File("in.safetensors"), _temp.File("out.safetensors"));
        var ids = golden.Ints("inputs.input_ids");
        var arrays = new List<TensorData> { TensorData.Of("input_ids", [.. ids.Select(i => (long)i)], 1, ids.Length) };
        if (golden.Has("inputs.pixel_values"))
            arrays.Add(TensorData.Of("pixel_values", golden.Singles("inputs.pixel_values"), golden.Shape("inputs.pixel_values")));
        if (golden.Inputs64("image_grid_thw") is { } grids) arrays.Add(TensorData.Of("image_grid_thw", grids, grids.Length / 3, 3));
        if (golden.Inputs64("image_sizes") is { } sizes) arrays.Add(TensorData.Of("image_sizes", sizes, sizes.Length / 2, 2));
        SafetensorsWriter.Write(input, arrays);
        var (exit, _, error) = Ascope.Run(
            _temp.Path, ["trace", Fixtures.Path(model), "--inputs", input, "--force", "--out", output, .. more]);
        Assert.Equal((0, ""), (exit, error));
        return SafetensorsFile.Open(output);
    }

    private static string Edits(JsonElement intervention)
    {
        if (intervention.GetProperty("type").GetString() == "knockout")
        {
            return JsonSerializer.Serialize(new[]
            {
                new { kind = "attention_cut", layers = intervention.GetProperty("layers"), queries = intervention.GetProperty("Q"), keys =
                intervention.GetProperty("K"), heads = intervention.GetProperty("heads") },
            });
        }
        return JsonSerializer.Serialize(intervention.GetProperty("pairs").EnumerateArray().Select(pair => new
        {
            kind = "head_scale", layer = pair[0], head = pair[1], positions = intervention.GetProperty("positions"), factor =
            intervention.GetProperty("factor"),
        }));
    }

    public void Dispose() => _temp.Dispose();
}
