using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace AnchorScope.Tests.Server;

/// <summary>What clients of the OpenAI API rely on, beside the answer itself.</summary>
public sealed class ApiFormTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TheBytesOfAllTokens_AreTheText(bool stream)
    {
        await using var server = await RunningServer.Start();
        var chat = RunningServer.Chat(("max_tokens", 6), ("logprobs", true), ("top_logprobs", 3), ("n", 2), ("temperature", 1.3),
            ("seed", 5));
        var (_, whole) = await server.Post("/v1/chat/completions", chat);
        chat["stream"] = stream;
        JsonElement[] chunks = stream
            ? [.. (await server.Stream("/v1/chat/completions", chat)).SkipLast(1).Select(text => JsonElement.Parse(text))] : [whole];
        for (var answer = 0; answer < 2; answer++)
        {
            var bytes = new List<byte>();
            var choices = chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray());
            foreach (var choice in choices.Where(c => c.GetProperty("index").GetInt32() == answer))
            {
                if (choice.GetProperty("logprobs").ValueKind == JsonValueKind.Null) continue;
                foreach (var token in choice.GetProperty("logprobs").GetProperty("content").EnumerateArray())
                {
                    // Each is spelt in the same way where it stands among the likeliest tokens.
                    Assert.All(token.GetProperty("top_logprobs").EnumerateArray(), likely => Assert.Equal(bytes.Count > 0
                        && likely.GetProperty("bytes").ValueKind != JsonValueKind.Null,
                        likely.GetProperty("token").GetString()!.StartsWith(' ')));
                    if (token.GetProperty("bytes").ValueKind == JsonValueKind.Null) continue;
                    byte[] own = [.. token.GetProperty("bytes").EnumerateArray().Select(b => b.GetByte())];
                    Assert.Equal(token.GetProperty("token").GetString(), Encoding.UTF8.GetString(own));
                    bytes.AddRange(own);
                }
            }
            var text = whole.GetProperty("choices")[answer].GetProperty("message").GetProperty("content").GetString()!;
            Assert.NotEmpty(text);
            Assert.Equal(text, Encoding.UTF8.GetString([.. bytes]));
        }
        var (_, completion) = await server.Post("/v1/completions",
            new { model = "relay", prompt = "what colour", max_tokens = 4, logprobs = 2 });
        var only = completion.GetProperty("choices")[0];
        Assert.Equal(only.GetProperty("text").GetString(), string.Concat(
            only.GetProperty("logprobs").GetProperty("tokens").EnumerateArray().Select(token => token.GetString())));
    }

    /// <summary>An error names a member of the request as the client wrote it, or nothing: no type and no place of this program.</summary>
    [Theory]
    [InlineData("\"top_logprobs\": 2", "top_logprobs")]
    [InlineData("\"top_logprobs\": 2, \"logprobs\": false", "top_logprobs")]
    [InlineData("\"n\": 129", "n")]
    [InlineData("\"max_tokens\": 100000", "messages")]
    [InlineData("\"stop\": [\"a\", \"b\", \"c\", \"d\", \"e\"]", "stop")]
    [InlineData("\"anchorscope\": 3", "anchorscope")]
    [InlineData("\"anchorscope\": {\"report\": [\"decision\"]}", "anchorscope")]
    [InlineData("\"anchorscope\": {\"answers\": {\"vision\": [\"red\"], \"text\": [\"red\"]}}", "anchorscope.answers")]
    [InlineData("\"anchorscope\": {\"follow\": {\"none\": 1}}", "anchorscope.follow")]
    [InlineData("\"anchorscope\": {\"spans\": [{\"message\": 0, \"part\": 0, \"from\": 0, \"to\": 2, \"kind\": \"Image\"}]}",
        "anchorscope.spans[0].kind")]
    [InlineData("\"anchorscope\": {\"spans\": [{\"message\": 3, \"part\": 0, \"from\": 0, \"to\": 2, \"kind\": \"question\"}]}",
        "anchorscope.spans[0].message")]
    [InlineData("\"anchorscope\": {\"interventions\": [{\"kind\": \"edge_cut\", \"from\": \"text_context\", \"to\": \"last\"}]}",
        "anchorscope.interventions[0]")]
    public async Task AnError_NamesWhatTheClientWrote(string member, string parameter)
    {
        using var temp = new Checkpoints.TempFolder();
        var policy = RunningServer.WritePolicy(temp, """{"kinds": ["edge_cut"]}""");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        var (status, json) = await server.Post("/v1/chat/completions",
            $$"""{"model": "relay", "messages": [{"role": "user", "content": "what colour is it ?"}], {{member}}}""");
        var error = json.GetProperty("error");
        Assert.Equal((HttpStatusCode.BadRequest, parameter), (status, error.GetProperty("param").GetString()));
        var message = error.GetProperty("message").GetString()!;
        Assert.DoesNotMatch("[a-z][A-Z]|[A-Z][a-z]+[A-Z]|the document|--[a-z]", message);
    }

    [Theory]
    [InlineData("[]", "expected an object, found []")]
    [InlineData("3", "expected an object, found 3")]
    [InlineData("{", "line 1: not valid JSON")]
    public async Task ABodyThatIsNoObject_HasNoMemberToName(string body, string expected)
    {
        await using var server = await RunningServer.Start();
        var (status, json) = await server.Post("/v1/chat/completions", body);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal(JsonValueKind.Null, json.GetProperty("error").GetProperty("param").ValueKind);
        Assert.StartsWith("request: " + expected, json.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AWrongMethod_IsAnErrorObjectThatSaysWhichIsRight()
    {
        await using var server = await RunningServer.Start();
        foreach (var (method, path, allowed) in new[]
        {
            (HttpMethod.Get, "/v1/chat/completions", "POST"), (HttpMethod.Put, "/v1/completions", "POST"),
            (HttpMethod.Post, "/v1/models", "GET"), (HttpMethod.Delete, "/v1/models/relay", "GET"),
            (HttpMethod.Head, "/v1/chat/completions", "POST"),
        })
        {
            using var response = await server.Client.SendAsync(new HttpRequestMessage(method, path));
            Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
            Assert.Equal([allowed], response.Content.Headers.Allow);
            if (method == HttpMethod.Head) continue;
            var error = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
            Assert.Equal("method_not_allowed", error.GetProperty("code").GetString());
            Assert.Contains(allowed, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
        foreach (var path in new[] { "/v1/models", "/health/live", "/health/ready", "/version", "/metrics" })
        {
            using var head = await server.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, path));
            using var get = await server.Client.GetAsync(path);
            Assert.Equal((HttpStatusCode.OK, get.Content.Headers.ContentType), (head.StatusCode, head.Content.Headers.ContentType));
            Assert.Empty(await head.Content.ReadAsByteArrayAsync());
        }
        var missing = await server.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/v1/nothing"));
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
    }

    [Theory]
    [InlineData("application/json; charset=utf-8", null, HttpStatusCode.OK)]
    [InlineData("application/json; charset=\"UTF-8\"", null, HttpStatusCode.OK)]
    [InlineData("application/json; charset=utf-16", null, HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json; charset=iso-8859-1", null, HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json", "gzip", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("text/plain", null, HttpStatusCode.UnsupportedMediaType)]
    public async Task ABodyThatIsNotJsonInUtf8_IsRefused(string type, string? encoding, HttpStatusCode expected)
    {
        await using var server = await RunningServer.Start();
        using var content = RunningServer.Content(RunningServer.Chat(("max_tokens", 1)));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        if (encoding is not null) content.Headers.ContentEncoding.Add(encoding);
        using var response = await server.Client.PostAsync("/v1/chat/completions", content);
        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task AModel_HasTheMembersThatClientsRead()
    {
        await using var server = await RunningServer.Start();
        var list = JsonElement.Parse(await server.Client.GetStringAsync("/v1/models"));
        var one = JsonElement.Parse(await server.Client.GetStringAsync("/v1/models/relay"));
        Assert.Equal("list", list.GetProperty("object").GetString());
        Assert.Equal(list.GetProperty("data")[0].GetRawText(), one.GetRawText());
        Assert.Equal(("relay", "model", "anchorscope"), (one.GetProperty("id").GetString(), one.GetProperty("object").GetString(),
            one.GetProperty("owned_by").GetString()));
        var created = DateTimeOffset.FromUnixTimeSeconds(one.GetProperty("created").GetInt64());
        Assert.InRange(created, new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero), DateTimeOffset.UtcNow);
    }
}
