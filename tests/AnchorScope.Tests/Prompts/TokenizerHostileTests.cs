using System.Text.Json.Nodes;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>A wrong tokenizer.json is an error that names the field, never a crash.</summary>
public sealed class TokenizerHostileTests
{
    private const string Bpe = """ "type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"] """;

    [Theory]
    [InlineData("[]", "the document: expected an object")]
    [InlineData("{", "not valid JSON")]
    [InlineData("{}", "model: expected a value, found nothing")]
    [InlineData("""{"model": 3}""", "model: expected an object")]
    [InlineData("""{"model": {"type": "Unigram", "vocab": {}}}""", "model.type: expected one of the supported models BPE, WordLevel")]
    [InlineData("""{"model": {"type": "WordLevel", "vocab": []}}""", "model.vocab: expected an object")]
    [InlineData("""{"model": {"type": "WordLevel", "vocab": {"a": 0}}}""",
        "model.unk_token: expected a token of the vocabulary, found nothing")]
    [InlineData("""{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"}}""",
        "model.unk_token: expected a token of the vocabulary")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}""", "model.vocab.a: expected an integer from 0")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 1e99}, "merges": []}}""", "model.vocab.a: expected an integer from 0")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 2000000000}, "merges": []}}""", "model.vocab.a: expected an integer from 0")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}}""", "model.vocab: expected one token for each id")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}}""", "model.vocab.a: expected every token once")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"\ud800": 0}, "merges": []}}""", "half of a surrogate pair")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}}}""", "model.merges: expected a value")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}""", "model.merges[0]: expected \"left right\"")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", 1]]}}""", "model.merges[0][1]: expected a string")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}""",
        "model.merges[0]: expected two tokens of the vocabulary")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}}""",
        "model.dropout: expected one of the supported")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"}}""",
        "model.end_of_word_suffix")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": 1}}""",
        "model.byte_fallback: expected true or false")]
    [InlineData("""{"model": {BPE}, "added_tokens": {}}""", "added_tokens: expected an array")]
    [InlineData("""{"model": {BPE}, "added_tokens": [{"content": "x"}]}""", "added_tokens[0].id: expected a value")]
    [InlineData("""{"model": {BPE}, "added_tokens": [{"id": 5, "content": "a"}]}""",
        "added_tokens[0].id: expected 0, the id in model.vocab")]
    [InlineData("""{"model": {BPE}, "normalizer": {}}""", "normalizer.type: expected a value")]
    [InlineData("""{"model": {BPE}, "normalizer": {"type": "Precompiled"}}""",
        "normalizer.type: expected one of the supported normalizers Sequence")]
    [InlineData("""{"model": {BPE}, "normalizer": {"type": "Sequence", "normalizers": [{"type": "Nmt"}]}}""",
        "normalizer.normalizers[0].type")]
    [InlineData("""{"model": {BPE}, "normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}}""",
        "normalizer.pattern.Regex: this regular expression")]
    [InlineData("""{"model": {BPE}, "normalizer": {"type": "Replace", "pattern": {}, "content": ""}}""",
        "normalizer.pattern: expected one of the supported patterns")]
    [InlineData("""{"model": {BPE}, "pre_tokenizer": {"type": "UnicodeScripts"}}""",
        "pre_tokenizer.type: expected one of the supported pre-tokenizers")]
    [InlineData("""{"model": {BPE}, "pre_tokenizer": {"type": "Metaspace", "replacement": "ab"}}""",
        "pre_tokenizer.replacement: expected one character")]
    [InlineData("""{"model": {BPE}, "pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "X"}}""",
        "pre_tokenizer.behavior")]
    [InlineData("""{"model": {BPE}, "decoder": {"type": "CTC"}}""", "decoder.type: expected one of the supported decoders")]
    [InlineData("""{"model": {BPE}, "post_processor": {"type": "BertProcessing"}}""",
        "post_processor.type: expected one of the supported post-processors")]
    [InlineData("""{"model": {BPE}, "post_processor": {"type": "TemplateProcessing", "single": [], "special_tokens": {}}}""",
        "post_processor.single: expected the Sequence A once")]
    [InlineData(
        """{"model": {BPE}, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "s"}}], "special_tokens": {}}}""", "post_processor.single[0].SpecialToken.id: expected a token listed in special_tokens")]
    [InlineData(
        """{"model": {BPE}, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "s"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"s": {"ids": [7]}}}}""", "post_processor: expected ids of the vocabulary, 7 is not one")]
    public void WrongFile_NamesTheField(string json, string expected)
    {
        var error = Assert.Throws<InputException>(() => SmallTokenizer.FromText(json.Replace("BPE}", Bpe + "}", StringComparison.Ordinal)));
        Assert.Contains("tokenizer.json: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void MissingFile_IsNamed()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("tokenizer.json", Assert.Throws<InputException>(() => Tokenizer.Load(folder.Name)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("llama-nonlegacy")]
    [InlineData("llama-legacy")]
    [InlineData("qwen2")]
    public void DamagedFile_GivesAnErrorOrWorks(string name)
    {
        var source = File.ReadAllText(Fixtures.Path("tokenizers", name, "tokenizer.json"));
        string[] junk = ["null", "-1", "3", "1e30", "\"\"", "\"x\"", "[]", "{}", "true", "[[\"a\"]]", "{\"type\": \"Sequence\"}"];
        var random = new Random(7);
        var refused = 0;
        for (var trial = 0; trial < 80; trial++)
        {
            var root = JsonNode.Parse(source)!;
            Replace(root, random, JsonNode.Parse(junk[random.Next(junk.Length)]));
            try
            {
                SmallTokenizer.FromText(root.ToJsonString()).Encode("<s> What is <image> 12 é🙂?");
            }
            catch (InputException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 20, 79);
    }

    // Descends from the root, preferring the small parts over the vocabulary, and puts the value somewhere.
    private static void Replace(JsonNode root, Random random, JsonNode? value)
    {
        for (var node = root; ;)
        {
            var count = node is JsonObject o ? o.Count : ((JsonArray)node).Count;
            var index = random.Next(count);
            var child = node is JsonObject members ? members.ElementAt(index).Value : node[index];
            if (child is JsonObject { Count: > 0 } or JsonArray { Count: > 0 } && random.Next(4) > 0)
            {
                node = child;
                continue;
            }
            if (node is JsonObject parent) parent[parent.ElementAt(index).Key] = value;
            else node[index] = value;
            return;
        }
    }
}
