using System.Net;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Pages;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server.Pages;

/// <summary>Nobody acts through the pages who may not, and no other site acts through somebody's browser.</summary>
public sealed class PageAccessTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public async Task AForm_OfAnotherSite_DoesNothing()
    {
        var (policy, state) = (MadeUp.WritePolicy(_temp), _temp.File("state"));
        await using (var server = await RunningServer.Start(options => options with { Policy = policy, State = state }))
        {
            var own = server.Client.BaseAddress!.GetLeftPart(UriPartial.Authority);
            var token = Token(await server.Client.GetStringAsync("/pages/knobs"));
            foreach (var (origin, sent, status) in new[]
            {
                (null, token, HttpStatusCode.Forbidden), ("null", token, HttpStatusCode.Forbidden),
                ("http://example.org", token, HttpStatusCode.Forbidden),
                (own.Replace("127.0.0.1", "localhost"), token, HttpStatusCode.Forbidden),
                (own, "", HttpStatusCode.Forbidden), (own, new string('0', 64), HttpStatusCode.Forbidden), (own, token, HttpStatusCode.OK),
            })
            {
                var answer = await Post(server, "/pages/knobs/arbitration", origin, ("token", sent), ("value", "1.5"), ("reason", "x"));
                Assert.Equal(status, answer.StatusCode);
            }
            // Without keys, a name that another site gave to this address opens nothing.
            using var renamed = new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { Host = "example.org" } };
            Assert.Equal(HttpStatusCode.Forbidden, (await server.Client.SendAsync(renamed)).StatusCode);
        }
        Assert.Single(AuditReader.Records(Path.Combine(state, "audit")), record => record.Json["kind"]!.ToString() == "knob");
    }

    [Fact]
    public async Task WithKeys_PagesNeedALogin_AndActionsTheirRole()
    {
        var (keys, policy) = (_temp.File("keys.json"), MadeUp.WritePolicy(_temp));
        var (infer, audit) = (KeyRing.Add(keys, "app", Role.Infer), KeyRing.Add(keys, "auditor", Role.Audit));
        await using var server = await RunningServer.Start(options => options with { Keys = keys, Policy = policy });
        var own = server.Client.BaseAddress!.GetLeftPart(UriPartial.Authority);
        using var client =
            new HttpClient(new HttpClientHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = new Uri(own) };
        foreach (var path in new[] { "/", "/pages/decisions", "/pages/alerts", "/pages/knobs", "/pages/audit", "/pages/playground" })
        {
            using var answer = await client.GetAsync(path);
            Assert.Equal((HttpStatusCode.Redirect, true),
                (answer.StatusCode, answer.Headers.Location!.ToString().StartsWith("/pages/login", StringComparison.Ordinal)));
        }
        foreach (var path in new[] { "/pages/live/overview", "/openapi/v1.json" })
            Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync(path)).StatusCode);
        foreach (var (key, path, status) in new[]
        {
            (infer, "/pages/playground", HttpStatusCode.OK), (infer, "/pages/audit", HttpStatusCode.Forbidden),
            (infer, "/pages/live/overview", HttpStatusCode.Forbidden), (audit, "/pages/audit", HttpStatusCode.OK),
            (audit, "/pages/playground", HttpStatusCode.Forbidden), (audit, "/openapi/v1.json", HttpStatusCode.OK),
        })
        {
            using var login = await Post(server, "/pages/login", own, client, ("key", key), ("next", "//example.org"));
            Assert.Equal((HttpStatusCode.Redirect, "/"), (login.StatusCode, login.Headers.Location!.ToString()));
            var cookie = login.Headers.GetValues("Set-Cookie").Single();
            foreach (var part in new[] { "httponly", "samesite=strict", "path=/" })
                Assert.Contains(part, cookie, StringComparison.OrdinalIgnoreCase);
            using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "Cookie", cookie.Split(';')[0] } } };
            Assert.Equal(status, (await client.SendAsync(request)).StatusCode);
            // The API itself takes no cookie: what other sites could send does nothing there.
            using var api = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { { "Cookie", cookie.Split(';')[0] } } };
            Assert.Equal(HttpStatusCode.Unauthorized, (await client.SendAsync(api)).StatusCode);
            if (path != "/pages/audit" || key == infer) continue;
            using var knobs = new HttpRequestMessage(HttpMethod.Get, "/pages/audit") { Headers = { { "Cookie", cookie.Split(';')[0] } } };
            var token = Token(await (await client.SendAsync(knobs)).Content.ReadAsStringAsync());
            using var turn = new HttpRequestMessage(HttpMethod.Post, "/pages/knobs/arbitration")
            {
                Headers = { { "Cookie", cookie.Split(';')[0] }, { "Origin", own } },
                Content = new FormUrlEncodedContent([new("token", token), new("value", "1.5"), new("reason", "x")]),
            };
            Assert.Contains("needs a key of the role operator, found audit",
                await (await client.SendAsync(turn)).Content.ReadAsStringAsync(),
                StringComparison.Ordinal);
            Assert.Equal(1, server.Server.Served.Knobs.All.Single().Setting.Value);
        }
    }

    [Fact]
    public async Task EveryPage_AllowsNothingFromElsewhere()
    {
        await using var server = await RunningServer.Start();
        foreach (var path in new[] { "/", "/pages/decisions", "/pages/playground", "/pages/assets/pages.css" })
        {
            using var answer = await server.Client.GetAsync(path);
            var policy = answer.Headers.GetValues("Content-Security-Policy").Single();
            Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self';", policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
            Assert.Equal("nosniff", answer.Headers.GetValues("X-Content-Type-Options").Single());
            var text = await answer.Content.ReadAsStringAsync();
            foreach (var inline in new[] { " style=\"", "<style", " onclick=", " onload=" })
                Assert.DoesNotContain(inline, text, StringComparison.Ordinal);
        }
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.GetAsync("/pages/assets/nothing.js")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.GetAsync("/pages/nothing")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.GetAsync("/pages/live/nothing")).StatusCode);
    }

    /// <summary>Whatever a form has, the answer is no error of the server, and nothing is done.</summary>
    [Fact]
    public async Task BrokenForms_AreRefused()
    {
        var policy = MadeUp.WritePolicy(_temp);
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        var own = server.Client.BaseAddress!.GetLeftPart(UriPartial.Authority);
        var token = Token(await server.Client.GetStringAsync("/pages/knobs"));
        var part = $"--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{token}\r\n";
        foreach (var path in new[] { "/pages/knobs/arbitration", "/pages/knobs/other", "/pages/audit/verify",
            "/pages/playground", "/pages/login",
            "/pages/logout" })
        {
            foreach (var (type, body) in new[]
            {
                ("application/json", "{}"), ("text/plain", ""), ("application/x-www-form-urlencoded", ""), ("multipart/form-data", part),
                ("application/x-www-form-urlencoded", new string('a', 200_000)),
                ("application/x-www-form-urlencoded", "token=%ff%00&token=&%"),
                ("multipart/form-data; boundary=x", part), ("multipart/form-data; boundary=x", part + "--x\r\nContent-Disposition: a\r\n"),
                ("multipart/form-data; boundary=x", part + "--x--"), ("application/x-www-form-urlencoded", $"token={token}"),
                ("application/x-www-form-urlencoded", $"token={token}&value=1e999&reason=x&tokens=-1&text0=x&change=knob:"),
                ("application/x-www-form-urlencoded",
                    $"token={token}&value=1.5&reason=+&tokens=4&text0=x&kind0=nothing&example=../test-0001"),
                ("application/x-www-form-urlencoded", $"token={token}&value=1.5&tokens=4&text0=x&change=set:other&vision=a&text=b"),
            })
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body) };
                request.Content.Headers.Remove("Content-Type");
                request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
                request.Headers.TryAddWithoutValidation("Origin", own);
                using var answer = await server.Client.SendAsync(request);
                Assert.True((int)answer.StatusCode < 500, $"{path}, {type}, {body}: {answer.StatusCode}");
            }
        }
        Assert.Equal(1, server.Server.Served.Knobs.All.Single().Setting.Value);
    }

    [Fact]
    public void TheTraffic_IsThatOfTheLastMinutes()
    {
        var clock = new Hand();
        var traffic = new Traffic(clock);
        for (var i = 0; i < 1000; i++)
        {
            traffic.Answered(10, 20, TimeSpan.FromMilliseconds(i), TimeSpan.FromMilliseconds(2 * i));
            if (i % 10 == 0) traffic.Refused();
            clock.Now += TimeSpan.FromSeconds(1);
        }
        var read = traffic.Read();
        Assert.Equal((1000, 100, 10_000, 20_000), (read.Answered, read.Refused, read.Prompt, read.Generated));
        Assert.Equal(60, read.Slots.Count);
        Assert.Equal(Enumerable.Range(0, 59).Select(i => read.Slots[0].Number + i + 1), read.Slots.Skip(1).Select(s => s.Number));
        Assert.All(read.Slots.SkipLast(1), slot => Assert.Equal((5, 100), (slot.Answered, slot.Generated)));
        Assert.Equal(20, read.TokensPerSecond);
        Assert.Equal(256, read.First.Count);
        Assert.Equal((0.744, 1.998), (read.First[0], read.Whole[^1]));
        clock.Now += TimeSpan.FromMinutes(10);
        Assert.All(traffic.Read().Slots, slot => Assert.Equal(0, slot.Answered));
    }

    private static Task<HttpResponseMessage> Post(
        RunningServer server, string path, string? origin, params (string Name, string Value)[] form) =>
        Post(server, path, origin, server.Client, form);

    private static async Task<HttpResponseMessage> Post(RunningServer server, string path, string? origin, HttpClient client,
        params (string Name, string Value)[] form)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Client.BaseAddress!, path))
            { Content = new FormUrlEncodedContent(form.Select(f => KeyValuePair.Create(f.Name, f.Value))) };
        if (origin is not null) request.Headers.TryAddWithoutValidation("Origin", origin);
        return await client.SendAsync(request);
    }

    private static string Token(string html) => html.Split("name=\"token\" value=\"")[1].Split('"')[0];

    /// <summary>A clock that a test moves.</summary>
    private sealed class Hand : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 12, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }

    public void Dispose() => _temp.Dispose();
}
