using System.Net;
using System.Text.Json;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>Requests for text over HTTP: what is answered, and what is refused.</summary>
public sealed class CompletionTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public async Task AChat_IsTheModelsAnswer()
    {
        await using var server = await RunningServer.Start();
        var (status, json) = await server.Post("/v1/chat/completions",
            RunningServer.Chat(("max_tokens", 3), ("logprobs", true), ("top_logprobs", 2), ("metadata", new { a = "b" }), ("store", true)));
        Assert.Equal(HttpStatusCode.OK, status);
        var (tokens, logits) = Offline(Intervention.None, 3);
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var choice = json.GetProperty("choices")[0];
        Assert.Equal(model.Tokenizer.Decode([.. tokens]), choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        var first = choice.GetProperty("logprobs").GetProperty("content")[0];
        var largest = logits[0].Max();
        Assert.Equal(-Math.Log(logits[0].Sum(l => Math.Exp((double)l - largest))), first.GetProperty("logprob").GetDouble(), 1e-9);
        Assert.Equal(2, first.GetProperty("top_logprobs").GetArrayLength());
        Assert.Equal("chat.completion", json.GetProperty("object").GetString());
        Assert.Equal(3, json.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        var ours = json.GetProperty("anchorscope");
        Assert.Equal(["metadata", "store"], ours.GetProperty("ignored").EnumerateArray().Select(i => i.GetString()));
        Assert.Equal("generation_config.json", ours.GetProperty("defaults").GetProperty("temperature").GetProperty("source").GetString());
        Assert.Empty(ours.GetProperty("applied").EnumerateArray());
    }

    [Fact]
    public async Task AStream_IsTheSameAnswerInPieces()
    {
        await using var server = await RunningServer.Start();
        var chat = RunningServer.Chat(("max_tokens", 6), ("n", 3), ("temperature", 1.5), ("seed", 4));
        var (_, whole) = await server.Post("/v1/chat/completions", chat);
        chat["stream"] = true;
        chat["stream_options"] = new { include_usage = true };
        var events = await server.Stream("/v1/chat/completions", chat);
        Assert.Equal("[DONE]", events[^1]);
        JsonElement[] chunks = [.. events.SkipLast(1).Select(text => JsonElement.Parse(text))];
        Assert.Equal(whole.GetProperty("usage").GetProperty("completion_tokens").GetInt32(),
            chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.All(chunks.SkipLast(1), chunk => Assert.Equal(JsonValueKind.Null, chunk.GetProperty("usage").ValueKind));
        Assert.Single(chunks.Select(chunk => chunk.GetProperty("id").GetString()).Distinct());
        JsonElement[] choices = [.. chunks.SkipLast(1).Select(chunk => chunk.GetProperty("choices")[0])];
        for (var i = 0; i < 3; i++)
        {
            var own = choices.Where(choice => choice.GetProperty("index").GetInt32() == i).ToList();
            Assert.Equal("assistant", own[0].GetProperty("delta").GetProperty("role").GetString());
            var text = string.Concat(
                own.Select(c => c.GetProperty("delta").TryGetProperty("content", out var part) ? part.GetString() : ""));
            var expected = whole.GetProperty("choices")[i];
            Assert.Equal(expected.GetProperty("message").GetProperty("content").GetString(), text);
            Assert.Equal(expected.GetProperty("finish_reason").GetString(), own[^1].GetProperty("finish_reason").GetString());
        }
        // The answers differ, as their seeds do.
        Assert.True(whole.GetProperty("choices").EnumerateArray()
            .Select(c => c.GetProperty("message").GetProperty("content").GetString()).Distinct().Count() > 1);
    }

    [Fact]
    public async Task AStopString_EndsTheAnswerBeforeIt()
    {
        await using var server = await RunningServer.Start();
        var (_, json) = await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 8)));
        var text = json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
        // Across the border of two words, which are two tokens.
        var at = text.IndexOf(' ', 1);
        var stop = text[(at - 1)..(at + 2)];
        (_, json) = await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 8), ("stop", new[] { "never", stop })));
        var choice = json.GetProperty("choices")[0];
        Assert.Equal(text[..(at - 1)], choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.InRange(json.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), 1, 7);
    }

    [Fact]
    public async Task AnIntervention_IsAppliedWithinThePolicy_AndNothingElse()
    {
        var policy = RunningServer.WritePolicy(
            _temp, """{"kinds": ["head_gain", "edge_cut"], "listed_heads": true, "factor": [0, 2], "most_edits": 2}""");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        object Steering(params object[] edits) => new { interventions = edits };
        var chat = RunningServer.Chat(("logprobs", true), ("max_tokens", 3), ("anchorscope", Steering(
            new { kind = "head_gain", heads = new[] { new[] { 2, 1 }, new[] { 3, 5 } }, factor = 0, at = "instruction" },
            new { kind = "edge_cut", from = "image", to = "last", layers = new[] { 4, 5 } })));
        using var response = await server.Client.PostAsync("/v1/chat/completions", RunningServer.Content(chat));
        var json = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var applied = json.GetProperty("anchorscope").GetProperty("applied");
        Assert.Equal([2, 3], applied[0].GetProperty("layers").EnumerateArray().Select(l => l.GetInt32()));
        Assert.Equal((2, 3), (applied[0].GetProperty("heads").GetInt32(), applied[0].GetProperty("rows").GetInt32()));
        Assert.Equal(1, applied[1].GetProperty("rows").GetInt32());
        Assert.Equal(json.GetProperty("anchorscope").GetProperty("fingerprint").GetString(),
            response.Headers.GetValues("anchorscope-steered").Single());
        using (var model = VisionLanguageModel.Open(Fixtures.Grown("relay")))
        using (var session = model.OpenSession())
        {
            var prompt = RunningServer.PromptOf(model, session);
            var (tokens, logits) = Offline(new Intervention("offline", [
                .. Intervention.HeadGain("gain", [(2, 1), (3, 5)], 0, prompt.Positions(SpanKind.Instruction)).Edits,
                .. Intervention.Knockout("cut", [4, 5], prompt.Positions(SpanKind.Last), prompt.Positions(SpanKind.Image)).Edits]), 3);
            Assert.Equal(model.Tokenizer.Decode([.. tokens]),
                json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
            var largest = logits[1].Max();
            Assert.Equal(logits[1][tokens[1]] - largest - Math.Log(logits[1].Sum(l => Math.Exp((double)l - largest))),
                json.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[1].GetProperty("logprob").GetDouble(), 1e-9);
        }
        foreach (var (edit, expected, named) in new (object, HttpStatusCode, string)[]
        {
            (new { kind = "head_gain", heads = new[] { new[] { 2, 1 } }, factor = 3 }, HttpStatusCode.Forbidden, "from 0 to 2, found 3"),
            (new { kind = "edge_boost", from = "image", to = "last", add = 1 }, HttpStatusCode.Forbidden, "does not allow edge_boost"),
            (new { kind = "head_gain", set = "unknown", factor = 2 }, HttpStatusCode.BadRequest, "expected a head set of the policy"),
            (new { kind = "head_gain", heads = new[] { new[] { 99, 1 } }, factor = 2 }, HttpStatusCode.BadRequest, "0 to 7, found 99"),
            (new { kind = "head_gain", heads = new[] { new[] { 1, 1 } }, factor =
            1 }, HttpStatusCode.BadRequest, "times 1 changes nothing"),
            (new { kind = "edge_cut", from = "text_context", to =
            "last" }, HttpStatusCode.BadRequest, "found text_context, which it lacks"),
            (new { kind = "edge_cut", from = "last", to = "image" }, HttpStatusCode.BadRequest, "come after the queries"),
            (new { kind = "edge_cut", from = "image", to = "last", hads = 1 }, HttpStatusCode.BadRequest, "did you mean heads?"),
        })
        {
            var (status, wrong) = await server.Post("/v1/chat/completions", RunningServer.Chat(("anchorscope", Steering(edit))));
            Assert.Equal(expected, status);
            Assert.Contains(named, wrong.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.StartsWith("anchorscope.interventions", wrong.GetProperty("error").GetProperty("param").GetString(),
                StringComparison.Ordinal);
        }
        await using var none = await RunningServer.Start();
        var (refused, error) = await none.Post("/v1/chat/completions", chat);
        Assert.Equal(HttpStatusCode.Forbidden, refused);
        Assert.Contains("the policy allows no interventions", error.GetProperty("error").GetProperty("message").GetString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spans_SayWhatIsWhat()
    {
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": ["edge_cut"]}""");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        const string Note = "note : one purple star on night . ";
        var chat = RunningServer.Chat(RunningServer.Picture(), Note + "what colour is it ? ", "trust the picture");
        chat["anchorscope"] = new
        {
            spans = new[] { new { message = 0, part = 1, from = 0, to = Note.Length, kind = "text_context" } },
            interventions = new[] { new { kind = "edge_cut", from = "text_context", to = "instruction" } },
        };
        var (status, json) = await server.Post("/v1/chat/completions", chat);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(3, json.GetProperty("anchorscope").GetProperty("applied")[0].GetProperty("rows").GetInt32());
        chat["anchorscope"] = new { spans = new[] { new { message = 0, part = 1, from = 0, to = 999, kind = "question" } } };
        (status, json) = await server.Post("/v1/chat/completions", chat);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("anchorscope.spans[0].to", json.GetProperty("error").GetProperty("param").GetString());
    }

    [Theory]
    [InlineData("""{"model": "relay"}""", 400, "messages")]
    [InlineData("""{"model": "other", "messages": [{"role": "user", "content": "hi"}]}""", 404, "model")]
    [InlineData("""{"model": "relay", "messages": []}""", 400, "messages")]
    [InlineData("""{"model": "relay", "messages": [{"role": "tool", "content": "x"}]}""", 400, "messages[0].role")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}""", 400,
        "messages[0].content[0].type")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function"}]}""", 400, "tools")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "temperature": 3}""", 400, "temperature")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "n": 0}""", 400, "n")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "top_p": 0.5}""", 400, "top_p")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object"}}""", 400,
        "response_format.type")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "frequency_penalty": 1}""",
        400, "frequency_penalty")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1000}""", 400, "messages")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "stream_options": {}}""", 400, "stream_options")]
    [InlineData("""{"model": "relay", "messages": [{"role": "user", "content": "hi"}], "temprature": 1}""", 400, "temprature")]
    [InlineData(
        """{"model": "relay", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]}""",
        400, "messages[0].content[0].image_url.url")]
    [InlineData(
        """{"model": "relay", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}""",
        400, "messages[0].content[0].image_url.url")]
    [InlineData("""not json""", 400, null)]
    public async Task AWrongRequest_IsAnErrorThatNamesTheMember(string body, int status, string? parameter)
    {
        await using var server = await RunningServer.Start();
        var (found, json) = await server.Post("/v1/chat/completions", body);
        var error = json.GetProperty("error");
        Assert.Equal((status, parameter), ((int)found, error.GetProperty("param").GetString()));
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
        Assert.DoesNotContain('\n', error.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task ATextIsContinued_AndSmallRoutesAnswer()
    {
        await using var server = await RunningServer.Start();
        var (status, json) = await server.Post("/v1/completions",
            new { model = "relay", prompt = "what colour is it ?", max_tokens = 2, logprobs = 1 });
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("text_completion", json.GetProperty("object").GetString());
        Assert.Equal(2, json.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("tokens").GetArrayLength());
        Assert.Equal("relay",
            JsonElement.Parse(await server.Client.GetStringAsync("/v1/models")).GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal("ok", await server.Client.GetStringAsync("/health/live"));
        Assert.Equal("ok", await server.Client.GetStringAsync("/health/ready"));
        Assert.Contains("cpu-f32", await server.Client.GetStringAsync("/version"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.GetAsync("/v1/nothing")).StatusCode);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType,
            (await server.Client.PostAsync("/v1/completions", new StringContent("{}"))).StatusCode);
        await server.Server.Stop();
    }

    /// <summary>Many clients at once: each gets its own answer.</summary>
    [Fact]
    public async Task ManyAtOnce_AreEachAlone()
    {
        await using var server = await RunningServer.Start(options => options with { Scheduler = options.Scheduler with { Rows = 24 } });
        var requests = Enumerable.Range(0, 24).Select(i => RunningServer.Chat(RunningServer.Picture($"test-{i % 6:0000}"),
            "note : one purple star on night . what colour is it ? ", i % 2 == 0 ? "trust the picture" : "now use the note")).ToList();
        foreach (var request in requests) (request["max_tokens"], request["logprobs"]) = (5, true);
        string Answer((HttpStatusCode Status, JsonElement Json) response) => response.Json.GetProperty("choices").GetRawText();
        var alone = new List<string>();
        foreach (var request in requests) alone.Add(Answer(await server.Post("/v1/chat/completions", request)));
        var together = await Task.WhenAll(requests.Select(request => server.Post("/v1/chat/completions", request)));
        Assert.Equal(alone, together.Select(Answer));
        Assert.True(alone.Distinct().Count() > 4);
    }

    [Theory]
    [InlineData("ab|cd|ef", "cde", "ab", true)]
    [InlineData("ab|cd|ef", "bcd", "a", true)]
    [InlineData("ab|ab|ac", "abac", "ab", true)]
    [InlineData("ab|cd", "xyz", "abcd", false)]
    [InlineData("ab|c", "cd", "abc", false)]
    [InlineData("x|\ud83d\ude00|y", "\ud83d\ude00y", "x", true)]
    public void StopStrings_AreFoundAcrossTokens(string pieces, string stop, string expected, bool stopped)
    {
        var (text, given) = (AnswerText.Of([stop]), "");
        foreach (var piece in pieces.Split('|'))
        {
            given += text.Add(piece);
            // Nothing that is given is taken back.
            Assert.StartsWith(given, expected, StringComparison.Ordinal);
        }
        Assert.Equal((expected, stopped), (given + text.End(), text.Stopped));
    }

    /// <summary>Every request has its record, and every answer can be computed again to the bit.</summary>
    [Fact]
    public async Task AnAnswer_IsRecorded_AndReplayed()
    {
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": ["head_gain"], "listed_heads": true}""", keep: true);
        var state = _temp.File("state");
        var ids = new List<string>();
        await using (var server = await RunningServer.Start(options => options with { Policy = policy, State = state }))
        {
            var steering = new { interventions = new[] { new { kind = "head_gain", heads = new[] { new[] { 2, 1 } }, factor = 0.5 } } };
            foreach (var chat in new[]
            {
                RunningServer.Chat(("max_tokens", 4)),
                RunningServer.Chat(("max_tokens", 4), ("anchorscope", steering)),
                RunningServer.Chat(("max_tokens", 4), ("temperature", 1.3), ("n", 3)),
            })
            {
                var (status, json) = await server.Post("/v1/chat/completions", chat);
                Assert.Equal(HttpStatusCode.OK, status);
                ids.Add(json.GetProperty("id").GetString()!);
                Assert.Equal(ids.Count, json.GetProperty("anchorscope").GetProperty("audit").GetProperty("index").GetInt64());
            }
            var streamed = RunningServer.Chat(("max_tokens", 4), ("stream", true));
            var events = await server.Stream("/v1/chat/completions", streamed);
            ids.Add(JsonElement.Parse(events[0]).GetProperty("id").GetString()!);
            Assert.Equal(4, JsonElement.Parse(events[^2]).GetProperty("anchorscope").GetProperty("audit").GetProperty("index").GetInt64());
            await server.Post("/v1/chat/completions", RunningServer.Chat(("n", 0)));
            await server.Server.Stop();
        }
        var records = AuditReader.Records(Path.Combine(state, "audit"));
        Assert.Equal(["start", "request", "request", "request", "request", "refused", "stop"],
            records.Select(record => record.Json["kind"]!.ToString()));
        Assert.Equal("n", records[5].Json["member"]!.ToString());
        Assert.DoesNotContain("purple", File.ReadAllText(Path.Combine(state, "audit", AuditLog.FileName)), StringComparison.Ordinal);
        foreach (var id in ids)
        {
            var (exit, output, error) = Cli.Ascope.Run(_temp.Path, "audit", "replay", state, "--id", id);
            Assert.Equal((0, ""), (exit, error));
            Assert.StartsWith("same bits", output, StringComparison.Ordinal);
        }
        Assert.Equal(0, Cli.Ascope.Run(_temp.Path, "audit", "verify", state).ExitCode);
        var other = Cli.Ascope.Run(_temp.Path, "audit", "replay", state, "--id", ids[0], "--model", Fixtures.Grown("direct"));
        Assert.Equal(1, other.ExitCode);
        Assert.Contains("differs: weights", other.Output, StringComparison.Ordinal);
        Assert.Contains("differs: answers[0].logits_sha256", other.Output, StringComparison.Ordinal);
        var log = Path.Combine(state, "audit", AuditLog.FileName);
        File.WriteAllText(log, File.ReadAllText(log).Replace("\"prompt_tokens\":36", "\"prompt_tokens\":35", StringComparison.Ordinal));
        var (broken, told, _) = Cli.Ascope.Run(_temp.Path, "audit", "verify", state);
        Assert.Equal(1, broken);
        Assert.Contains("record 1", told, StringComparison.Ordinal);
    }

    private static (IReadOnlyList<int> Tokens, IReadOnlyList<float[]> Logits) Offline(Intervention intervention, int tokens)
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        using var session = model.OpenSession();
        var generated = Generation.Run(session, RunningServer.PromptOf(model, session),
            new SequenceOptions(tokens) { Intervention = intervention, KeepLogits = true, Stop = model.StopTokens, Rules = model.Rules });
        return (generated.Tokens, generated.Logits);
    }

    public void Dispose() => _temp.Dispose();
}
