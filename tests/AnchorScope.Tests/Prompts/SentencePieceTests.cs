using System.Text.Json;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Prompts;

/// <summary>tokenizer.model against SentencePiece 0.1.97 itself (tests/fixtures/sentencepiece/make.py made model and rows).</summary>
public sealed class SentencePieceTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("llama")]
    [InlineData("internlm2")]
    public void Rows_AreSentencePieces(string name)
    {
        File.Copy(Fixtures.Path("sentencepiece", name, "tokenizer.model"), _folder.File("tokenizer.model"));
        var tokenizer = Tokenizer.Load(_folder.Path);
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("sentencepiece", name, "golden.json")));
        Assert.Equal(golden.RootElement.GetProperty("vocabulary").GetInt32(), tokenizer.VocabularySize);
        var rows = golden.RootElement.GetProperty("rows").EnumerateArray().ToList();
        Assert.Equal(30, rows.Count);
        foreach (var row in rows)
        {
            var text = row.GetProperty("text").GetString()!;
            int[] ids = [.. row.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(text, addSpecial: false).Select(t => t.Id));
            Assert.Equal([1, .. ids], tokenizer.Encode(text).Select(t => t.Id));
            Assert.Equal(row.GetProperty("decoded").GetString(), tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void AddedTokens_AreThoseOfTheCheckpoint()
    {
        File.Copy(Fixtures.Path("sentencepiece", "llama", "tokenizer.model"), _folder.File("tokenizer.model"));
        _folder.Write("added_tokens.json", "{\"<pad>\": 901}");
        _folder.Write("tokenizer_config.json", """
            {"tokenizer_class": "LlamaTokenizer", "add_bos_token": false, "add_eos_token": true, "bos_token": "<s>",
             "added_tokens_decoder": {"900": {"content": "<image>", "special": true}}}
            """);
        var tokenizer = Tokenizer.Load(_folder.Path);
        var tokens = tokenizer.Encode("<s>it<image>is<pad>");
        Assert.Equal((1, 900, 901, 2), (tokens[0].Id, tokens.Single(t => t.Id == 900).Id, tokens[^2].Id, tokens[^1].Id));
        Assert.Equal((902, "<s>"), (tokenizer.VocabularySize, tokenizer.SpecialTokens["bos_token"]));
        // The older behaviour, which applies if the keys are absent: the mark is put before every text between special tokens.
        Assert.Equal("▁is", tokenizer.TokenText(tokens[^3].Id));
    }

    [Fact]
    public void LaterForm_MarksOnlyTheBeginning()
    {
        File.Copy(Fixtures.Path("sentencepiece", "llama", "tokenizer.model"), _folder.File("tokenizer.model"));
        _folder.Write(
            "tokenizer_config.json", """{"legacy": false, "added_tokens_decoder": {"900": {"content": "<image>", "special": true}}}""");
        var tokenizer = Tokenizer.Load(_folder.Path);
        string[] tokens = [.. tokenizer.Encode("is<image>is", addSpecial: false).Select(t => tokenizer.TokenText(t.Id))];
        Assert.Equal("▁is", tokens[0]);
        Assert.Equal(["is"], tokens[(Array.IndexOf(tokens, "<image>") + 1)..]);
    }

    [Theory]
    [InlineData(new byte[] { 0x12, 0x02, 0x18, 0x01 }, "trainer_spec.model_type: expected 2 (BPE), found 1")]
    [InlineData(new byte[] { 0x12, 0x03, 0x98, 0x02, 0x00 }, "trainer_spec.byte_fallback: expected true, found false")]
    [InlineData(new byte[] { 0x12, 0x04, 0xC0, 0x02, 0x85, 0x07 }, "trainer_spec.unk_id: expected an id below 900, found 901")]
    [InlineData(new byte[] { 0x1a, 0x03, 0x12, 0x01, 0x07 },
        "normalizer_spec.precompiled_charsmap: expected nothing (identity), found 1 bytes")]
    [InlineData(new byte[] { 0x1a, 0x02, 0x20, 0x01 }, "normalizer_spec.remove_extra_whitespaces: expected false, found true")]
    [InlineData(new byte[] { 0x1a, 0x02, 0x28, 0x00 }, "normalizer_spec.escape_whitespaces: expected true, found false")]
    [InlineData(new byte[] { 0x0a, 0x05, 0x0a, 0x03, (byte)'<', (byte)'s', (byte)'>' },
        "pieces[900].piece: expected every piece once, found \"<s>\" again")]
    [InlineData(new byte[] { 0x0a, 0x02, 0x0a, 0x00 }, "pieces[900].piece: expected a text, found nothing")]
    [InlineData(new byte[] { 0x0a, 0x08, 0x0a, 0x01, (byte)'~', 0x15, 0x00, 0x00, 0xC0, 0x7F },
        "pieces[900].score: expected a number, found NaN")]
    [InlineData(new byte[] { 0x0a, 0x06, 0x0a, 0x02, 0xC3, 0xBF, 0x18, 0x09 }, "pieces[900].type: expected 1 to 6, found 9")]
    [InlineData(new byte[] { 0x0a, 0x03, 0x0a, 0x01, 0xFF }, "expected UTF-8 text")]
    [InlineData(new byte[] { 0x0a, 0x7F }, "field 1: expected at most 0 bytes, found 127")]
    [InlineData(new byte[] { 0x08, 0x01 }, "field 1: expected wire type 2, found 0")]
    [InlineData(new byte[] { 0x23 }, "field 4: expected a wire type of 0, 1, 2 or 5, found 3")]
    public void WhatIsWrong_IsNamed(byte[] appended, string expected)
    {
        File.WriteAllBytes(_folder.File("tokenizer.model"),
            [.. File.ReadAllBytes(Fixtures.Path("sentencepiece", "llama", "tokenizer.model")), .. appended]);
        var message = Assert.Throws<InputException>(() => Tokenizer.Load(_folder.Path)).Message;
        Assert.StartsWith(_folder.File("tokenizer.model") + ": ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherClass_IsRefusedByName()
    {
        File.Copy(Fixtures.Path("sentencepiece", "llama", "tokenizer.model"), _folder.File("tokenizer.model"));
        _folder.Write("tokenizer_config.json", """{"tokenizer_class": "GemmaTokenizer"}""");
        Assert.Contains("tokenizer_class: expected one of the supported classes with tokenizer.model: LlamaTokenizer",
            Assert.Throws<InputException>(() => Tokenizer.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    /// <summary>Cut anywhere and with random bytes: it loads or says what is wrong.</summary>
    [Fact]
    public void DamagedFiles_LoadOrAreRefused()
    {
        var whole = File.ReadAllBytes(Fixtures.Path("sentencepiece", "llama", "tokenizer.model"));
        var random = new Random(3);
        var refused = 0;
        for (var trial = 0; trial < 600; trial++)
        {
            var bytes = trial % 2 == 0 ? whole[..random.Next(whole.Length)] : [.. whole];
            for (var i = 0; trial % 2 == 1 && i < 1 + trial % 5; i++)
                bytes[random.Next(trial % 3 == 0 ? 400 : bytes.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(_folder.File("tokenizer.model"), bytes);
            try
            {
                _ = Tokenizer.Load(_folder.Path).Encode("What colour is it? été 🙂", addSpecial: false);
            }
            catch (InputException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 300, 599);
    }

    public void Dispose() => _folder.Dispose();
}
