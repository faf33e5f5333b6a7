using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using AnchorScope.Tests.Checkpoints;
using Microsoft.Extensions.AI;
using OpenAI;

namespace AnchorScope.Tests.Server;

/// <summary>Microsoft.Extensions.AI.OpenAI as a client.</summary>
public sealed class ExtensionsClientTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private static ChatMessage[] Messages =>
    [
        new(ChatRole.User,
        [
            new DataContent(File.ReadAllBytes(Path.Combine(Fixtures.Conflicts, "images", "test-0001.png")), "image/png"),
            new TextContent("note : one purple star on night . what colour is it ? "), new TextContent("trust the picture"),
        ]),
    ];

    [Fact]
    public async Task AChat_IsAnswered_WholeAndAsAStream()
    {
        await using var server = await RunningServer.Start();
        using var client = Client(server);
        var options = new ChatOptions { MaxOutputTokens = 4, Temperature = 0 };
        var whole = await client.GetResponseAsync(Messages, options);
        var (_, json) = await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 4), ("temperature", 0)));
        Assert.Equal(json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), whole.Text);
        Assert.Equal((ChatFinishReason.Length, "relay", 36, 4),
            (whole.FinishReason, whole.ModelId, whole.Usage!.InputTokenCount, whole.Usage.OutputTokenCount));
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in client.GetStreamingResponseAsync(Messages, options)) updates.Add(update);
        Assert.True(updates.Count(update => update.Text.Length > 0) > 1);
        var gathered = updates.ToChatResponse();
        Assert.Equal((whole.Text, whole.FinishReason, whole.Usage.TotalTokenCount),
            (gathered.Text, gathered.FinishReason, gathered.Usage!.TotalTokenCount));
        var stopped = await client.GetResponseAsync(Messages, new ChatOptions { MaxOutputTokens = 4, StopSequences = [whole.Text[^3..]] });
        Assert.Equal((whole.Text[..^3], ChatFinishReason.Stop), (stopped.Text, stopped.FinishReason));
        var error = await Assert.ThrowsAsync<ClientResultException>(
            () => client.GetResponseAsync(Messages, new ChatOptions { ResponseFormat = ChatResponseFormat.Json }));
        Assert.Equal(400, error.Status);
        Assert.Contains("response_format.type: only text is supported", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Members that the package does not know go through its raw options, and come back in its raw response.</summary>
    [Fact]
    public async Task TheMemberAnchorscope_IsAnExtraMember()
    {
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": ["head_gain"], "listed_heads": true, "factor": [0, 2]}""");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        using var client = Client(server);
#pragma warning disable SCME0001 // the package's own way for extra members, which it marks as experimental
        var response = await client.GetResponseAsync(Messages, new ChatOptions
        {
            MaxOutputTokens = 1,
            RawRepresentationFactory = _ =>
            {
                var raw = new OpenAI.Chat.ChatCompletionOptions();
                raw.Patch.Set("$.anchorscope"u8, BinaryData.FromString(
                    """{"interventions": [{"kind": "head_gain", "heads": [[2, 1]], "factor": 0.5}]}"""));
                return raw;
            },
        });
        var completion = Assert.IsType<OpenAI.Chat.ChatCompletion>(response.RawRepresentation);
        var ours = JsonElement.Parse(completion.Patch.GetJson("$.anchorscope"u8).ToMemory().Span);
#pragma warning restore SCME0001
        Assert.Equal("head_gain", ours.GetProperty("applied")[0].GetProperty("what").GetString());
        Assert.Equal(64, ours.GetProperty("fingerprint").GetString()!.Length);
    }

    private static IChatClient Client(RunningServer server) => new OpenAIClient(new ApiKeyCredential("any"), new OpenAIClientOptions
    {
        Endpoint = new Uri(server.Client.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0),
    }).GetChatClient("relay").AsIChatClient();

    public void Dispose() => _temp.Dispose();
}
