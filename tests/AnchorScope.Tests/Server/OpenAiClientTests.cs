using System.ClientModel;
using System.ClientModel.Primitives;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;

namespace AnchorScope.Tests.Server;

/// <summary>The OpenAI package for .NET as a client: what a program that uses OpenAI today does, with another address.</summary>
public sealed class OpenAiClientTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private static ChatMessage Message => ChatMessage.CreateUserMessage(
        ChatMessageContentPart.CreateImagePart(
            BinaryData.FromBytes(File.ReadAllBytes(Path.Combine(Fixtures.Conflicts, "images", "test-0001.png"))), "image/png"),
        ChatMessageContentPart.CreateTextPart("note : one purple star on night . what colour is it ? "),
        ChatMessageContentPart.CreateTextPart("trust the picture"));

    [Fact]
    public async Task AChat_IsAnswered_WholeAndAsAStream()
    {
        await using var server = await RunningServer.Start();
        var client = Client(server, "any").GetChatClient("relay");
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 4, IncludeLogProbabilities = true, TopLogProbabilityCount = 3 };
        ChatCompletion whole = await client.CompleteChatAsync([Message], options);
        Assert.Equal(ChatFinishReason.Length, whole.FinishReason);
        Assert.Equal((36, 4), (whole.Usage.InputTokenCount, whole.Usage.OutputTokenCount));
        Assert.Equal(4, whole.ContentTokenLogProbabilities.Count);
        Assert.Equal(3, whole.ContentTokenLogProbabilities[0].TopLogProbabilities.Count);
        Assert.StartsWith("fp_", whole.SystemFingerprint, StringComparison.Ordinal);
        var (text, finish, used) = ("", (ChatFinishReason?)null, 0);
        await foreach (var update in client.CompleteChatStreamingAsync([Message], new ChatCompletionOptions { MaxOutputTokenCount = 4 }))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            finish ??= update.FinishReason;
            used += update.Usage?.OutputTokenCount ?? 0;
        }
        Assert.Equal((whole.Content[0].Text, ChatFinishReason.Length, 4), (text, finish!.Value, used));
    }

    [Fact]
    public async Task ErrorsAndKeys_AreThoseThatThePackageKnows()
    {
        var key = KeyRing.Add(_temp.File("keys.json"), "app", Role.Infer);
        await using var server = await RunningServer.Start(options => options with { Keys = _temp.File("keys.json") });
        var refused = await Assert.ThrowsAsync<ClientResultException>(
            () => Client(server, "wrong").GetChatClient("relay").CompleteChatAsync([Message]));
        Assert.Equal(401, refused.Status);
        refused = await Assert.ThrowsAsync<ClientResultException>(() => Client(server, key).GetChatClient("relay").CompleteChatAsync(
            [Message], new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("clock") } }));
        Assert.Equal(400, refused.Status);
        Assert.Contains("tools are not supported", refused.Message, StringComparison.Ordinal);
        OpenAIModelCollection models = await Client(server, key).GetOpenAIModelClient().GetModelsAsync();
        Assert.Equal(["relay"], models.Select(model => model.Id));
    }

    private static OpenAIClient Client(RunningServer server, string key) => new(new ApiKeyCredential(key), new OpenAIClientOptions
    {
        Endpoint = new Uri(server.Client.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0),
    });

    public void Dispose() => _temp.Dispose();
}
