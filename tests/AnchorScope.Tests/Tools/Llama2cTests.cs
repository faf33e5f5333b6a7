using System.Buffers.Binary;
using AnchorScope.Interventions;
using AnchorScope.Llama2c;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Tools;

/// <summary>llama2.c's files to a checkpoint: the same model, and one line for whatever is wrong with them.</summary>
public sealed class Llama2cTests : IDisposable
{
    private const int LastHeaderByte = 27;

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Logits_AreThoseOfLlama2c(bool tied)
    {
        var made = new MadeUpLlama2c(tied);
        Conversion.Write(_temp.Write("model.bin", made.Model()),
            _temp.Write("tokenizer.bin", MadeUpLlama2c.Tokenizer()), _temp.File("out"));
        using var model = VisionLanguageModel.Open(_temp.File("out"));
        Assert.Equal(new DecoderShape(MadeUpLlama2c.Layers, MadeUpLlama2c.Heads, MadeUpLlama2c.KeyHeads, MadeUpLlama2c.HeadSize,
            MadeUpLlama2c.Width, MadeUpLlama2c.MlpSize), model.Decoder.Shape);
        Assert.Equal(!tied, model.Checkpoint.Weights.Has("lm_head.weight"));
        int[] tokens = [1, 262, 3, 270, 17, 99, 261, 262, 8];
        var prompt = model.Prompt(tokens, null, null);
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var entry = Tensor.From(arena, prompt.Embeddings, prompt.Length, MadeUpLlama2c.Width);
        var resid = model.Decoder.Forward(
            new Pass(model.Decoder.Shape, [new RowBlock(entry, prompt.Coordinates, 0, Intervention.None)], compute));
        Close.AssertRelative("logits", made.Logits(tokens), model.Decoder.Unembed(resid, compute).ToArray());
    }

    [Fact]
    public void OneFile_IsTheSameAsTwo()
    {
        var (model, tokenizer) = (new MadeUpLlama2c(tied: true).Model(), MadeUpLlama2c.Tokenizer(older: true));
        Conversion.Write(_temp.Write("model.bin", model), _temp.Write("tokenizer.bin", tokenizer), _temp.File("two"));
        Conversion.Write(_temp.Write("both.data", [.. model, .. tokenizer]), null, _temp.File("one"));
        string[] names = [.. Directory.GetFiles(_temp.File("two")).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];
        Assert.Equal(["config.json", "generation_config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json"], names);
        Assert.All(names,
            name => Assert.Equal(File.ReadAllBytes(Path.Combine(_temp.File("two"), name)),
                File.ReadAllBytes(Path.Combine(_temp.File("one"), name))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Tokenizer_IsSentencePieces(bool older)
    {
        Conversion.Write(_temp.Write("model.bin", new MadeUpLlama2c(tied: true).Model()),
            _temp.Write("tokenizer.bin", MadeUpLlama2c.Tokenizer(older)), _temp.File("out"));
        using var model = VisionLanguageModel.Open(_temp.File("out"));
        Assert.Equal(MadeUpLlama2c.Vocabulary, model.Tokenizer.VocabularySize);
        var tokens = model.Tokenizer.Encode("abc é?").Select(t => model.Tokenizer.TokenText(t.Id));
        Assert.Equal(["<s>", "▁abc", "▁", "é", "<0x3F>"], tokens);
        Assert.Equal("abc é?", model.Tokenizer.Decode([.. model.Tokenizer.Encode("abc é?").Select(t => t.Id)]));
        Assert.Equal([1, 2], model.StopTokens.Order());
    }

    [Theory]
    [InlineData(0, 0, "header: dim: expected 1 to 1048576, found 0")]
    [InlineData(0, 0x616b3432, "header: expected the layout without version, which begins with the size dim, found the mark ak42 of a "
        + "later version")]
    [InlineData(1, -3, "header: hidden_dim: expected 1 to 1048576, found -3")]
    [InlineData(2, 5000, "header: n_layers: expected 1 to 4096, found 5000")]
    [InlineData(3, 5, "header: n_heads: expected a number that divides dim 24 into heads of an even size, found 5")]
    [InlineData(3, 8, "header: n_heads: expected a number that divides dim 24 into heads of an even size, found 8")]
    [InlineData(4, 3, "header: n_kv_heads: expected a divisor of n_heads 4, found 3")]
    [InlineData(5, 0, "header: vocab_size: expected 1 to 1048576, negative where the model has an output head of its own, found 0")]
    [InlineData(5, int.MinValue, "header: vocab_size: expected 1 to 1048576, negative where the model has an output head of its own, "
        + "found -2147483648")]
    [InlineData(6, 0, "header: seq_len: expected 1 to 1048576, found 0")]
    public void AWrongHeader_NamesTheField(int field, int value, string expected)
    {
        var model = new MadeUpLlama2c(tied: true).Model();
        BinaryPrimitives.WriteInt32LittleEndian(model.AsSpan(4 * field), value);
        Refused("model.bin", expected, model, MadeUpLlama2c.Tokenizer());
    }

    [Fact]
    public void CutOrLengthenedModels_AreRefused()
    {
        var model = new MadeUpLlama2c(tied: false).Model();
        Refused("model.bin", "header: expected 28 bytes, found 27", model[..LastHeaderByte], MadeUpLlama2c.Tokenizer());
        Refused("model.bin", $"weights: expected {model.Length} bytes for the sizes in its header, found {model.Length - 1}", model[..^1],
            MadeUpLlama2c.Tokenizer());
        Refused("model.bin", $"weights: expected {model.Length} bytes for the sizes in its header, found {model.Length + 1}", [.. model, 0],
            MadeUpLlama2c.Tokenizer());
        Refused("model.bin", $"tokenizer: expected one behind the {model.Length} bytes of the model, or a file of its own, found 0 bytes",
            model, null);
        Refused("model.bin", "header: expected 28 bytes, found 0", [], null);
        // Sizes for which the file is too short, and too long.
        const int OfOneNeuron = 3 * MadeUpLlama2c.Layers * MadeUpLlama2c.Width * sizeof(float);
        foreach (var more in new[] { 1, -1 })
        {
            BinaryPrimitives.WriteInt32LittleEndian(model.AsSpan(sizeof(int)), MadeUpLlama2c.MlpSize + more);
            Refused("model.bin", $"weights: expected {model.Length + more * OfOneNeuron} bytes for the sizes in its header, "
                + $"found {model.Length}", model, MadeUpLlama2c.Tokenizer());
        }
    }

    [Fact]
    public void AnotherRotaryBase_IsRefused()
    {
        var model = new MadeUpLlama2c(tied: true).Model();
        // Cosine of the second pair at position 1: the tables are the last of a model without an output head.
        var tables = model.Length - 2 * MadeUpLlama2c.Context * (MadeUpLlama2c.HeadSize / 2) * sizeof(float);
        BinaryPrimitives.WriteSingleLittleEndian(model.AsSpan(tables + (MadeUpLlama2c.HeadSize / 2 + 1) * sizeof(float)),
            (float)Math.Cos(0.01));
        Refused("model.bin", "freq_cis_real[1][1]: expected 0.99892 (rotary base 10000, sizes as in the header), found 0.99995", model,
            MadeUpLlama2c.Tokenizer());
    }

    [Fact]
    public void AWrongTokenizer_NamesTheToken()
    {
        var model = new MadeUpLlama2c(tied: true).Model();
        var tokenizer = MadeUpLlama2c.Tokenizer();
        Refused("tokenizer.bin", "max_token_length: expected 4 bytes, found 3 before the end of the file", model, tokenizer[..3]);
        Refused("tokenizer.bin", "token 271: text: expected 2 bytes, found 1 before the end of the file", model, tokenizer[..^1]);
        Refused("tokenizer.bin", "tokens: expected 272, as the model's vocab_size says, "
            + $"in {tokenizer.Length} bytes, found {tokenizer.Length + 1} bytes", model, [.. tokenizer, 0]);
        Refused("tokenizer.bin", "max_token_length: expected at least 1, found 0", model, With(0, 0, 0, 0, 0));
        Refused("tokenizer.bin", "token 0: score: expected a finite number, found NaN", model, With(4, 0, 0, 0xC0, 0x7F));
        Refused("tokenizer.bin", "token 0: length: expected 1 to max_token_length 6, found -1", model, With(8, 0xFF, 0xFF, 0xFF, 0xFF));
        Refused("tokenizer.bin", "token 0: text: expected <unk>, found '<unj>'", model, With(15, (byte)'j'));
        var bytes = tokenizer.AsSpan().IndexOf("<0x04>"u8);
        Refused("tokenizer.bin", "token 7: text: expected the byte <0x04>, found '<0x05>'", model, With(bytes + 4, (byte)'5'));
        Refused("tokenizer.bin", "token 271: text: expected UTF-8, found 64FF", model, With(tokenizer.Length - 1, 0xFF));
        Refused("tokenizer.bin", "token 270: text: expected every piece once, found that of token 260 again", model,
            With(tokenizer.Length - 11, (byte)'a'));
        Assert.Equal("few: tokens: expected at least 259: <unk>, <s>, </s> and 256 bytes, found 200",
            Assert.Throws<InputException>(() => TokenizerFile.Read("few", tokenizer, 200)).Message);
        _temp.Write("both.data", [.. model, .. tokenizer[..^1]]);
        var both = Assert.Throws<InputException>(() => Conversion.Write(_temp.File("both.data"), null, _temp.File("out"))).Message;
        Assert.Equal($"{_temp.File("both.data")}: tokenizer behind the weights: token 271: text: expected 2 bytes, found 1 before the "
            + "end of the file", both);

        byte[] With(int at, params byte[] changed)
        {
            byte[] copy = [.. tokenizer];
            changed.CopyTo(copy, at);
            return copy;
        }
    }

    [Fact]
    public void TheProgram_EndsWithACode()
    {
        _temp.Write("both.data", [.. new MadeUpLlama2c(tied: true).Model(), .. MadeUpLlama2c.Tokenizer()]);
        var (exit, output, error) = Ascope.RunOther("AnchorScope.Llama2c.dll", _temp.Path, "both.data", "--out", "out");
        Assert.Equal((0, "", "out: 3 layers, 4 heads (2 key/value), d_model 24, d_mlp 40, vocabulary 272\n"), (exit, error, output));
        foreach (var (arguments, message) in new (string[], string)[]
        {
            (["both.data"], "llama2c: expected MODEL [TOKENIZER] --out DIR"),
            (["none.bin", "--out", "other"], "llama2c: none.bin: the file cannot be read"),
            (["both.data", "--out", "out"], "llama2c: out: expected a new or empty folder"),
        })
        {
            (exit, output, error) = Ascope.RunOther("AnchorScope.Llama2c.dll", _temp.Path, arguments);
            Assert.Equal((2, ""), (exit, output));
            Assert.StartsWith(message, error, StringComparison.Ordinal);
            Assert.Single(error.TrimEnd().Split('\n'));
        }
        Assert.Equal(["both.data", "out"],
            Directory.EnumerateFileSystemEntries(_temp.Path).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
    }

    private void Refused(string file, string expected, byte[] model, byte[]? tokenizer)
    {
        var (modelPath, tokenizerPath) = (_temp.Write("model.bin", model),
            tokenizer is null ? null : _temp.Write("tokenizer.bin", tokenizer));
        var error = Assert.Throws<InputException>(() => Conversion.Write(modelPath, tokenizerPath, _temp.File("out")));
        Assert.Equal($"{_temp.File(file)}: {expected}", error.Message);
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(_temp.Path),
            path => Path.GetFileName(path) is not ("model.bin" or "tokenizer.bin"));
    }
}
