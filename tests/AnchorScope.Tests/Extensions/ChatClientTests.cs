using System.Collections.Concurrent;
using System.Diagnostics;
using AnchorScope.Engines;
using AnchorScope.Extensions.AI;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tests.Server;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Message = Microsoft.Extensions.AI.ChatMessage;
using PromptMessage = AnchorScope.Prompts.ChatMessage;

namespace AnchorScope.Tests.Extensions;

/// <summary>A model in process as a chat client.</summary>
public sealed class ChatClientTests : IDisposable
{
    private const string Note = "note : one purple star on night . what colour is it ? ";

    private readonly VisionLanguageModel _model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
    private readonly AnchorScopeChatClient _client;

    public ChatClientTests() => _client = new AnchorScopeChatClient(_model);

    private static Message[] Messages(string picture = "test-0001", string told = "trust the picture") =>
    [
        new(ChatRole.User,
        [
            new DataContent(File.ReadAllBytes(Path.Combine(Fixtures.Conflicts, "images", picture + ".png")), "image/png"),
            new TextContent(Note), new TextContent(told),
        ]),
    ];

    private static Intervention Blocked(Prompt prompt) =>
        Intervention.HeadGain("blocked", [(2, 1), (3, 5)], 0, prompt.Positions(SpanKind.Instruction));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnAnswer_HasTheBitsOfTheModel(bool blocked)
    {
        var options = new ChatOptions { MaxOutputTokens = 5 }.WithLogits().WithAnswers(["green"], ["purple"]);
        if (blocked) options.WithIntervention(Blocked);
        var response = await _client.GetResponseAsync(Messages(), options);
        using var session = _model.OpenSession();
        var prompt = RunningServer.PromptOf(_model, session);
        var expected = Generation.Run(session, prompt, new SequenceOptions(5)
        {
            Intervention = blocked ? Blocked(prompt) : Intervention.None, KeepLogits = true, Stop = _model.StopTokens, Rules = _model.Rules,
        });
        var answer = response.ModelAnswer()!;
        Assert.Equal(prompt.Tokens, answer.Prompt.Tokens);
        Assert.Equal(expected.Tokens, answer.Tokens);
        Assert.Equal(expected.Logits, answer.Logits);
        Assert.Equal(_model.Tokenizer.Decode([.. expected.Tokens]), response.Text);
        int Word(string word) => _model.Tokenizer.Encode(word, addSpecial: false)[^1].Id;
        Assert.Equal((double)expected.Logits[0][Word("green")] - expected.Logits[0][Word("purple")], answer.Decision!.Margin);
        Assert.Equal((ChatFinishReason.Length, "relay", 36, 5),
            (response.FinishReason, response.ModelId, response.Usage!.InputTokenCount, response.Usage.OutputTokenCount));
    }

    [Fact]
    public async Task AStream_IsTheSameAnswerInPieces_AndTheServersToo()
    {
        var options = new ChatOptions { MaxOutputTokens = 6, Temperature = 1.3f, Seed = 4 };
        var whole = await _client.GetResponseAsync(Messages(), options);
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in _client.GetStreamingResponseAsync(Messages(), options)) updates.Add(update);
        Assert.True(updates.Count(update => update.Text.Length > 0) > 2);
        Assert.Equal(whole.Text, string.Concat(updates));
        Assert.Equal(whole.FinishReason, updates[^1].FinishReason);
        Assert.All(updates.SkipLast(1), update => Assert.Null(update.FinishReason));
        Assert.Single(updates.Select(update => update.ResponseId).Distinct());
        await using var server = await RunningServer.Start();
        var (_, json) = await server.Post("/v1/chat/completions",
            RunningServer.Chat(("max_tokens", 6), ("temperature", 1.3), ("seed", 4)));
        Assert.Equal(json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), whole.Text);
        var stopped = await _client.GetResponseAsync(Messages(),
            new ChatOptions { MaxOutputTokens = 6, Temperature = 1.3f, Seed = 4, StopSequences = ["never", whole.Text[4..7]] });
        Assert.Equal((whole.Text[..whole.Text.IndexOf(whole.Text[4..7], StringComparison.Ordinal)], ChatFinishReason.Stop),
            (stopped.Text, stopped.FinishReason));
    }

    [Fact]
    public async Task SystemMessagesAndTurns_AreTheModelsPrompt()
    {
        Message[] messages =
        [
            new(ChatRole.User, "what colour is it ?"), new(ChatRole.Assistant, "green"), new(ChatRole.User, "trust the note"),
        ];
        var answer = (await _client.GetResponseAsync(messages, new ChatOptions { MaxOutputTokens = 1 })).ModelAnswer()!;
        using var session = _model.OpenSession();
        var expected = _model.Prompt([.. messages.Select(m => new PromptMessage(m.Role.Value, [new TextPart(m.Text)
            { Kind = m.Text == "trust the note" ? SpanKind.Instruction : null }]))], [], session);
        Assert.Equal(expected.Tokens, answer.Prompt.Tokens);
        Assert.Equal(expected.Span(SpanKind.Instruction), answer.Prompt.Span(SpanKind.Instruction));
        var labelled = new ChatOptions { MaxOutputTokens = 1 }.WithSpans(new TextLabel(0, 0, 0, 11, SpanKind.Question));
        var question = (await _client.GetResponseAsync(messages, labelled)).ModelAnswer()!.Prompt.Span(SpanKind.Question);
        Assert.Equal(2, question.Count);
    }

    [Fact]
    public async Task ManyAtOnce_AreEachAlone()
    {
        (Message[] Messages, ChatOptions Options)[] calls = [.. Enumerable.Range(0, 8).Select(i => (
            Messages($"test-{i % 3:0000}", i % 2 == 0 ? "trust the picture" : "now use the note"),
            new ChatOptions { MaxOutputTokens = 3 + i % 3 }.WithLogits()))];
        foreach (var call in calls.Where((_, i) => i % 3 == 0)) call.Options.WithIntervention(Blocked);
        var alone = new List<ModelAnswer>();
        foreach (var (messages, options) in calls) alone.Add((await _client.GetResponseAsync(messages, options)).ModelAnswer()!);
        var together = await Task.WhenAll(calls.Select(call => _client.GetResponseAsync(call.Messages, call.Options)));
        for (var i = 0; i < calls.Length; i++)
        {
            Assert.Equal(alone[i].Tokens, together[i].ModelAnswer()!.Tokens);
            Assert.Equal(alone[i].Logits, together[i].ModelAnswer()!.Logits);
        }
    }

    public static TheoryData<string, Action<ChatOptions>> Unsupported => new()
    {
        { "Tools", options => options.Tools = [AIFunctionFactory.Create(() => 1, "clock")] },
        { "ToolMode", options => options.ToolMode = ChatToolMode.RequireAny },
        { "ResponseFormat", options => options.ResponseFormat = ChatResponseFormat.Json },
        { "FrequencyPenalty", options => options.FrequencyPenalty = 1 },
        { "PresencePenalty", options => options.PresencePenalty = 1 },
        { "ConversationId", options => options.ConversationId = "1" },
        { "RawRepresentationFactory", options => options.RawRepresentationFactory = _ => null },
        { "ModelId", options => options.ModelId = "other" },
        { "AdditionalProperties", options => options.AdditionalProperties = new() { ["top_a"] = 1 } },
    };

    [Theory]
    [MemberData(nameof(Unsupported))]
    public async Task WhatCannotBeDone_IsNamed(string name, Action<ChatOptions> ask)
    {
        var options = new ChatOptions();
        ask(options);
        var error = await Assert.ThrowsAsync<NotSupportedException>(() => _client.GetResponseAsync(Messages(), options));
        Assert.Contains("ChatOptions." + name, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WrongMessagesAndNumbers_AreNamed()
    {
        async Task<string> Error<T>(Message message, ChatOptions? options = null) where T : Exception =>
            (await Assert.ThrowsAsync<T>(() => _client.GetResponseAsync([message], options))).Message;
        Assert.Contains("messages[0].Contents[0]: nothing is fetched", await Error<NotSupportedException>(
            new Message(ChatRole.User, [new UriContent("http://x/y.png", "image/png")])), StringComparison.Ordinal);
        Assert.Contains("expected a picture, found audio/wav", await Error<NotSupportedException>(
            new Message(ChatRole.User, [new DataContent(new byte[1], "audio/wav")])), StringComparison.Ordinal);
        Assert.Contains("expected a role of", await Error<NotSupportedException>(new Message(ChatRole.Tool, "x")),
            StringComparison.Ordinal);
        Assert.Contains("messages[0].Contents[0]", await Error<InputException>(
            new Message(ChatRole.User, [new DataContent(new byte[4], "image/png")])), StringComparison.Ordinal);
        var hi = new Message(ChatRole.User, "hi");
        Assert.Contains("MaxOutputTokens", await Error<InputException>(hi, new ChatOptions { MaxOutputTokens = 0 }),
            StringComparison.Ordinal);
        Assert.Contains("the model was made for", await Error<InputException>(hi, new ChatOptions { MaxOutputTokens = 9999 }),
            StringComparison.Ordinal);
        Assert.Contains("TopP: has no effect", await Error<InputException>(hi, new ChatOptions { Temperature = 0, TopP = 0.5f }),
            StringComparison.Ordinal);
        Assert.Contains("times 1 changes nothing", await Error<InputException>(
            hi, new ChatOptions().WithIntervention(Intervention.HeadGain(1, 1, 1))), StringComparison.Ordinal);
        Assert.Contains("first tokens differ", await Error<InputException>(hi, new ChatOptions().WithAnswers(["red"], ["red"])),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task ACallThatIsGivenUp_LeavesTheOthersAlone()
    {
        using var cancel = new CancellationTokenSource();
        var long1 = new ChatOptions { MaxOutputTokens = 60, Temperature = 2, Seed = 1 };
        var given = Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in _client.GetStreamingResponseAsync(Messages(), long1, cancel.Token)) await cancel.CancelAsync();
        });
        var other = _client.GetResponseAsync(Messages(), new ChatOptions { MaxOutputTokens = 4 });
        await given;
        Assert.Equal((await _client.GetResponseAsync(Messages(), new ChatOptions { MaxOutputTokens = 4 })).Text, (await other).Text);
        await foreach (var _ in _client.GetStreamingResponseAsync(Messages(), long1)) break;
    }

    [Fact]
    public async Task AClientThatIsDisposedOf_FailsTheCallsThatWait_AndLeavesTheModel()
    {
        var client = new AnchorScopeChatClient(_model, new ChatClientSettings { Answers = 1 });
        var asked = Enumerable.Range(0, 40).Select(i => client.GetResponseAsync(
            Messages(), new ChatOptions { MaxOutputTokens = 60, Temperature = 2, Seed = i })).ToList();
        await Task.WhenAny(asked);
        client.Dispose();
        client.Dispose();
        var failed = 0;
        foreach (var call in asked)
        {
            try
            {
                Assert.NotEmpty((await call).Text);
            }
            catch (ObjectDisposedException)
            {
                failed++;
            }
        }
        Assert.InRange(failed, 1, asked.Count - 1);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetResponseAsync(Messages()));
        Assert.NotEmpty(_model.Prompt("hi").Tokens);
    }

    [Fact]
    public async Task Middleware_GoesAroundIt()
    {
        const string Source = "AnchorScope.Tests.ChatClient";
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using var log = new Lines();
        using var client = _client.AsBuilder().UseOpenTelemetry(sourceName: Source).UseLogging(log).Build();
        var response = await client.GetResponseAsync(Messages(), new ChatOptions { MaxOutputTokens = 2 }.WithIntervention(Blocked));
        Assert.Equal(2, response.ModelAnswer()!.Tokens.Count);
        var span = Assert.Single(spans);
        Assert.Equal(("chat relay", "relay", 2), (span.DisplayName, span.GetTagItem("gen_ai.response.model"),
            span.GetTagItem("gen_ai.usage.output_tokens")));
        Assert.Contains(log.Written, line => line.Contains("GetResponseAsync", StringComparison.Ordinal));
        Assert.Equal(("anchorscope", "relay"), (client.GetService<ChatClientMetadata>()!.ProviderName,
            client.GetService<ChatClientMetadata>()!.DefaultModelId));
        Assert.Same(_model, client.GetService<VisionLanguageModel>());
        Assert.Same(_client, client.GetService<AnchorScopeChatClient>());
    }

    public void Dispose()
    {
        _client.Dispose();
        _model.Dispose();
    }

    /// <summary>A log that keeps its lines.</summary>
    private sealed class Lines : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Written { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Written.Enqueue(formatter(state, exception));

        public void Dispose() => Written.Clear();
    }
}
