using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Tokenizers of a few lines, to look at one component at a time.</summary>
internal static class SmallTokenizer
{
    /// <summary>A model whose tokens are whole words, so that token ranges show how the text was cut.</summary>
    public const string WordLevel = """{"type": "WordLevel", "vocab": {"<unk>": 0, "hello": 1, "ab": 2}, "unk_token": "<unk>"}""";

    public static Tokenizer Create(
        string model = WordLevel, string normalizer = "null", string preTokenizer = "null", string postProcessor = "null",
        string decoder = "null", string added = "[]") => FromText($$"""
        {"added_tokens": {{added}}, "normalizer": {{normalizer}}, "pre_tokenizer": {{preTokenizer}},
         "post_processor": {{postProcessor}}, "decoder": {{decoder}}, "model": {{model}} }
        """);

    public static Tokenizer FromText(string json)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json);
        return Tokenizer.Load(folder.Name);
    }

    /// <summary>The parts of the text that the tokens cover.</summary>
    public static string[] Cut(this Tokenizer tokenizer, string text) =>
        [.. tokenizer.Encode(text, addSpecial: false).Select(token => text[token.Start..token.End])];

    public static int[] Ids(this Tokenizer tokenizer, string text, bool addSpecial = false) =>
        [.. tokenizer.Encode(text, addSpecial).Select(token => token.Id)];
}
