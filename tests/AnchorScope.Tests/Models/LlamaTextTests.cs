using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Models;

/// <summary>A text-only model: the same decoder as in a vision-language model, raw text if there is no template, no pictures.</summary>
public sealed class LlamaTextTests : IDisposable
{
    private const string Text = "USER: How many objects are there? ASSISTANT:";

    private readonly TempFolder _temp = new();

    public LlamaTextTests() => LlamaTextCheckpoint.Write(_temp.File("model"));

    public void Dispose() => _temp.Dispose();

    /// <summary>What the reference computed for a prompt without pictures is what this decoder alone computes.</summary>
    [Fact]
    public void EverySite_IsTheReferences()
    {
        Directory.CreateDirectory(_temp.File("golden"));
        File.Copy(Fixtures.Path(LlamaTextCheckpoint.Source, "golden", "text_only.safetensors"),
            Path.Combine(_temp.File("golden"), "text_only.safetensors"));
        var (exit, output, error) = Ascope.Run(_temp.Path, "parity", "model", "golden", "--all");
        Assert.Equal((0, ""), (exit, error));
        foreach (var site in new[] { "lm.attn", "lm.z", "lm.hidden", "lm.logits", "lm.l0.q_rope", "gen.ids" })
            Assert.Contains(site, output, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryIntervention_GivesTheBitsOfTheVisionLanguageModel()
    {
        using var llava = Tiny.Open(LlamaTextCheckpoint.Source, "text_only");
        using var model = VisionLanguageModel.Open(_temp.File("model"));
        var prompt = model.Prompt(Text);
        Assert.Equal(llava.Prompt.Tokens, prompt.Tokens);
        var (shape, last) = (model.Decoder.Shape, Positions.Of(prompt.Length - 1));
        Assert.Equal(llava.Decoder.Shape, shape);
        Intervention[] interventions =
        [
            Intervention.None, Intervention.HeadGain(1, 2, 0), Intervention.HeadGain(3, 0, 2, last),
            Intervention.Knockout("cut", [0, 1], last, Positions.Range(1, 6)),
            new("mlp off", new Edit(Site.MlpOut, 2, Operation.Scale) { Factor = 0 }),
        ];
        foreach (var intervention in interventions)
        {
            var mark = llava.Compute.Arena.Here();
            var entry = Tensor.From(llava.Compute.Arena, prompt.Embeddings, prompt.Length, shape.ModelSize);
            var resid = model.Decoder.Forward(new Pass(shape, [new RowBlock(entry, prompt.Coordinates, 0, intervention)], llava.Compute));
            Assert.Equal(llava.Alone(intervention), model.Decoder.Unembed(resid, llava.Compute).ToArray());
            llava.Compute.Arena.Release(mark);
        }
    }

    [Fact]
    public void PlainText_IsTheInstruction_BehindTheBeginning()
    {
        using var model = VisionLanguageModel.Open(_temp.File("model"));
        var prompt = model.Prompt("How many?");
        Assert.Equal(model.Tokenizer.Encode("How many?").Select(t => t.Id), prompt.Tokens);
        Assert.Equal("<s>", model.Tokenizer.TokenText(prompt.Tokens[0]));
        // This tokenizer's leading space mark is a separate token that corresponds to no character of the text.
        Assert.Equal("▁", model.Tokenizer.TokenText(prompt.Tokens[1]));
        Assert.Equal(Enumerable.Range(2, prompt.Length - 2), prompt.Span(SpanKind.Instruction));
        Assert.Equal([1], model.Prompt("").Tokens);
    }

    /// <summary>As in apply_chat_template: the template places the begin token, and the tokenizer adds none.</summary>
    [Theory]
    [InlineData("{{ bos_token }}", "<s>")]
    [InlineData("", "")]
    public void ATemplate_BringsItsOwnSpecialTokens(string before, string rendered)
    {
        File.WriteAllText(Path.Combine(_temp.File("model"), "chat_template.jinja"),
            before + "{% for message in messages %}{{ message['content'] }}{% endfor %}");
        using var model = VisionLanguageModel.Open(_temp.File("model"));
        var prompt = model.Prompt([new ChatMessage("user", [new TextPart("How many?")])], pixels: null, features: null);
        Assert.Equal(model.Tokenizer.Encode(rendered + "How many?", addSpecial: false).Select(t => t.Id), prompt.Tokens);
    }

    [Fact]
    public void Commands_TakeIt()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, "inspect", "model");
        Assert.Equal((0, ""), (exit, error));
        foreach (var line in new[] { "Llama (model_type llama)", "vision        none: it reads text only", "image token   none",
            "template      none: --prompt is used as raw text" })
            Assert.Contains(line, output, StringComparison.Ordinal);

        (exit, _, error) = Ascope.Run(_temp.Path, "trace", "model", "--prompt", Text, "--generate", "4", "--out", "trace.safetensors");
        Assert.Equal((0, ""), (exit, error));
        using var golden = Golden.Open(LlamaTextCheckpoint.Source, "text_only");
        using (var trace = SafetensorsFile.Open(_temp.File("trace.safetensors")))
        {
            Assert.Equal(golden.Ints("inputs.input_ids"), trace.ReadInt64s("inputs.input_ids").Select(id => (int)id));
            Assert.Equal(golden.Ints("gen.ids"), trace.ReadInt64s("gen.ids").Select(id => (int)id));
        }

        foreach (var how in new[] { "planned", "naive" })
        {
            string[] more = how == "naive" ? ["--naive"] : [];
            (exit, _, error) = Ascope.Run(_temp.Path, ["sweep", "model", "--prompt", Text, "--heads", "all", "--positions", "instruction",
                "--logits", "5", "--out", how, .. more]);
            Assert.Equal((0, ""), (exit, error));
        }
        var rows = File.ReadAllLines(_temp.File("planned"));
        Assert.Equal(17, rows.Length);
        Assert.Equal(File.ReadAllBytes(_temp.File("naive")), File.ReadAllBytes(_temp.File("planned")));
    }

    [Fact]
    public void Pictures_AreRefused()
    {
        var picture = Path.Combine(Fixtures.Conflicts, "images", "test-0000.png");
        const string Nothing = "model: pictures: expected none (Llama reads text only), found 1";
        Assert.Equal(Nothing, Refused("trace", "model", "--image", picture, "--prompt", "What is it?", "--out", "out"));
        Assert.Equal(Nothing, Refused("sweep", "model", "--image", picture, "--prompt", "What is it?", "--heads", "all", "--out", "out"));
        _temp.Write("messages.json", """[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]""");
        Assert.Equal(Nothing, Refused("trace", "model", "--messages", "messages.json", "--out", "out"));
        SafetensorsWriter.Write(
            _temp.File("inputs"), [TensorData.Of("input_ids", [1L, 5L], 1, 2), TensorData.Of("pixel_values", new float[12], 1, 3, 2, 2)]);
        Assert.Equal("inputs: pixel_values: expected none (Llama reads text only), found shape [1, 3, 2, 2]",
            Refused("trace", "model", "--inputs", "inputs", "--out", "out"));
        var diagnose = Refused("diagnose", "--model", "model", "--data", Fixtures.Conflicts, "--out", "out");
        Assert.StartsWith($"{Fixtures.Conflicts}: rank-0000: image: expected none (model, Llama, reads text only), found ", diagnose,
            StringComparison.Ordinal);
    }

    [Fact]
    public void MessagesWithoutATemplate_AreRefused()
    {
        _temp.Write("messages.json", """[{"role": "user", "content": "What is it?"}]""");
        Assert.StartsWith("model: no chat template", Refused("trace", "model", "--messages", "messages.json", "--out", "out"),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"num_attention_heads\": 7", "num_attention_heads: expected a divisor of hidden_size 64, found 7")]
    [InlineData("\"num_attention_heads\": 4, \"num_key_value_heads\": 3",
        "num_key_value_heads: expected a divisor of num_attention_heads 4, found 3")]
    [InlineData("\"num_attention_heads\": 4, \"rope_scaling\": {\"rope_type\": \"ntk\", \"factor\": 8.0}",
        "rope_scaling.rope_type: 'ntk' is not supported")]
    [InlineData("\"num_attention_heads\": 4, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0}",
        "rope_scaling.low_freq_factor: the key is missing")]
    public void WrongConfiguration_NamesTheKey(string keys, string message)
    {
        var config = Path.Combine(_temp.File("model"), "config.json");
        var text = File.ReadAllText(config);
        Assert.Contains("\"num_attention_heads\":4", text, StringComparison.Ordinal);
        File.WriteAllText(config, text.Replace("\"num_attention_heads\":4", keys, StringComparison.Ordinal));
        Assert.StartsWith($"{config}: {message}",
            Assert.Throws<InputException>(() => VisionLanguageModel.Open(_temp.File("model"))).Message, StringComparison.Ordinal);
    }

    /// <summary>Exit code 2, one line, nothing written.</summary>
    private string Refused(params string[] arguments)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal((2, ""), (exit, output));
        Assert.False(Path.Exists(_temp.File("out")), "something was left behind");
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("ascope: ", line, StringComparison.Ordinal);
        return line["ascope: ".Length..];
    }
}
