using System.Net;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>A change that cannot change the answer is refused, so that no answer is called steered that is not.</summary>
public sealed class EditEffectTests : IDisposable
{
    private const string All = """{"kinds": ["head_gain", "edge_cut", "edge_boost"], "listed_heads": true, "factor": [0, 2]}""";

    private readonly TempFolder _temp = new();

    public static TheoryData<string, string?> Changes => new()
    {
        // What the last layer computes at the instruction goes nowhere.
        { """{"kind": "head_gain", "heads": [[7, 0]], "factor": 2, "at": "instruction"}""", "layer 7 is the last one" },
        { """{"kind": "head_gain", "heads": [[6, 0]], "factor": 2, "at": "instruction"}""", null },
        { """{"kind": "head_gain", "heads": [[7, 0]], "factor": 2, "at": "last"}""", null },
        { """{"kind": "head_gain", "heads": [[7, 0]], "factor": 2}""", null },
        { """{"kind": "edge_cut", "from": "image", "to": "instruction", "layers": [7]}""", "layer 7 is the last one" },
        { """{"kind": "edge_cut", "from": "image", "to": "last", "layers": [7]}""", null },
        // The smallest number that changes a weight of attention.
        { """{"kind": "edge_boost", "from": "image", "to": "last", "add": 1e-30}""", "too small" },
        { """{"kind": "edge_boost", "from": "image", "to": "last", "add": 1e-3}""", null },
        { """{"kind": "edge_boost", "from": "image", "to": "last", "add": 1}, {"kind": "edge_cut", "from": "image", "to": "last"}""",
            "adds to edges of layer 0 that are cut" },
        {
            """{"kind": "edge_cut", "from": "image", "to": "last"}, {"kind": "edge_boost", "from": "image", "to": "last", "layers": [5], "add": 1}""",
            "adds to edges of layer 5 that are cut" },
        {
            """{"kind": "edge_cut", "from": "image", "to": "last", "layers": [5], "heads": [1]}, {"kind": "edge_boost", "from": "image", "to": "last", "layers": [5], "add": 1}""",
            null },
        { """{"kind": "edge_cut", "from": "image", "to": "last"}, {"kind": "edge_boost", "from": "instruction", "to": "last", "add": 1}""",
            null },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task AChange_ChangesTheLogits_OrIsRefused(string edits, string? message)
    {
        var policy = RunningServer.WritePolicy(_temp, All);
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        string Ask(string changes)
        {
            var chat = System.Text.Json.JsonSerializer.Serialize(RunningServer.Chat(("max_tokens", 1), ("logprobs", true)));
            return chat[..^1] + ", \"anchorscope\": {\"interventions\": [" + changes + "]}}";
        }
        var (status, json) = await server.Post("/v1/chat/completions", Ask(edits));
        if (message is not null)
        {
            Assert.Equal((HttpStatusCode.BadRequest, "intervention_without_effect"),
                (status, json.GetProperty("error").GetProperty("code").GetString()));
            Assert.Contains(message, json.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
            return;
        }
        Assert.Equal(HttpStatusCode.OK, status);
        var (_, plain) = await server.Post("/v1/chat/completions", Ask(""));
        double Probability(System.Text.Json.JsonElement answer) =>
            answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[0].GetProperty("logprob").GetDouble();
        Assert.NotEqual(Probability(plain), Probability(json));
    }

    [Theory]
    [InlineData(
        """[{"message": 0, "part": 1, "from": 0, "to": 5, "kind": "question"}, {"message": 0, "part": 1, "from": 4, "to": 9, "kind": "text_context"}]""",
        "anchorscope.spans[1]")]
    [InlineData(
        """[{"message": 0, "part": 1, "from": 3, "to": 5, "kind": "question"}, {"message": 0, "part": 1, "from": 0, "to": 4, "kind": "question"}]""",
        "anchorscope.spans[0]")]
    public async Task SpansThatOverlap_AreRefused(string spans, string place)
    {
        await using var server = await RunningServer.Start();
        var chat = System.Text.Json.JsonSerializer.Serialize(RunningServer.Chat());
        var (status, json) = await server.Post("/v1/chat/completions", chat[..^1] + ", \"anchorscope\": {\"spans\": " + spans + "}}");
        Assert.Equal((HttpStatusCode.BadRequest, place), (status, json.GetProperty("error").GetProperty("param").GetString()));
    }

    /// <summary>A decision between a known word and one that the tokenizer lacks would be about any unknown word.</summary>
    [Fact]
    public async Task AnAnswerOutsideTheVocabulary_IsRefused()
    {
        await using var server = await RunningServer.Start();
        var (status, json) = await server.Post("/v1/chat/completions", RunningServer.Chat(("anchorscope",
            new { answers = new { vision = new[] { "green" }, text = new[] { "xylophone" } }, report = new[] { "decision" } })));
        Assert.Equal((HttpStatusCode.BadRequest, "anchorscope.answers.text"),
            (status, json.GetProperty("error").GetProperty("param").GetString()));
    }

    public void Dispose() => _temp.Dispose();
}
