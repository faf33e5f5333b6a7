using System.Net;
using System.Text;
using System.Text.Json;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Server;

/// <summary>Who may do what, what is counted, and how the server starts and ends.</summary>
public sealed class AccessTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private string Keys => _temp.File("keys.json");

    [Fact]
    public async Task WithKeys_EveryRouteNeedsOne_AndEachMayWhatItsRoleMay()
    {
        var (exit, output, _) = Ascope.Run(_temp.Path, "keys", "add", Keys, "--name", "app", "--role", "infer");
        var infer = output.Trim();
        Assert.Equal(0, exit);
        Assert.StartsWith("ask-", infer, StringComparison.Ordinal);
        Assert.DoesNotContain(infer, File.ReadAllText(Keys), StringComparison.Ordinal);
        var (steer, audit) = (KeyRing.Add(Keys, new ServerKey("researcher", Role.Steer, "")),
            KeyRing.Add(Keys, new ServerKey("auditor", Role.Audit, "")));
        Assert.Equal(2, Ascope.Run(_temp.Path, "keys", "add", Keys, "--name", "app", "--role", "admin").ExitCode);
        Assert.Equal(["infer     app", "steer     researcher", "audit     auditor"],
            Ascope.Run(_temp.Path, "keys", "list", Keys).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Keys));
        var state = _temp.File("state");
        await using (var server = await RunningServer.Start(options => options with { Keys = Keys, State = state }))
        {
            foreach (var path in new[] { "/v1/models", "/health/ready", "/version", "/metrics", "/nothing" })
                Assert.Equal(HttpStatusCode.Unauthorized, (await server.Client.GetAsync(path)).StatusCode);
            Assert.Equal("ok", await server.Client.GetStringAsync("/health/live"));
            var chat = RunningServer.Chat();
            Assert.Equal(HttpStatusCode.Unauthorized, (await server.Post("/v1/chat/completions", chat)).Status);
            Assert.Equal(HttpStatusCode.Unauthorized, (await server.Post("/v1/chat/completions", chat, infer + "x")).Status);
            Assert.Equal(HttpStatusCode.OK, (await server.Post("/v1/chat/completions", chat, infer)).Status);
            Assert.Equal(HttpStatusCode.Forbidden, (await server.Post("/v1/chat/completions", chat, audit)).Status);
            foreach (var (key, path, expected) in new[]
            {
                (infer, "/metrics", HttpStatusCode.Forbidden), (steer, "/metrics", HttpStatusCode.Forbidden),
                (audit, "/metrics", HttpStatusCode.OK), (infer, "/v1/anchorscope/policy", HttpStatusCode.Forbidden),
                (infer, "/v1/anchorscope/heads", HttpStatusCode.Forbidden), (infer, "/v1/anchorscope/knobs", HttpStatusCode.Forbidden),
                (steer, "/v1/anchorscope/knobs", HttpStatusCode.OK), (audit, "/v1/anchorscope/policy", HttpStatusCode.OK),
                (infer, "/v1/models", HttpStatusCode.OK),
            })
                Assert.Equal(expected, await Get(server, path, key));
            chat["anchorscope"] = new { interventions = new[] { new { kind = "edge_cut", from = "image", to = "last" } } };
            var (status, json) = await server.Post("/v1/chat/completions", chat, infer);
            Assert.Equal((HttpStatusCode.Forbidden, "role_missing"), (status, json.GetProperty("error").GetProperty("code").GetString()));
            (status, json) = await server.Post("/v1/chat/completions", chat, steer);
            Assert.Equal((HttpStatusCode.Forbidden, "policy_violation"),
                (status, json.GetProperty("error").GetProperty("code").GetString()));
        }
        var records = AuditReader.Records(Path.Combine(state, "audit"));
        // What was answered, and what was refused for its role or by the policy, each with who asked.
        Assert.Equal(["request app", "refused auditor", "refused app", "refused researcher", "refused app", "refused app", "refused app",
            "refused app", "refused researcher"],
            records.Where(record => record.Json["kind"]!.ToString() is "request" or "refused")
                .Select(record => $"{record.Json["kind"]} {record.Json["caller"]}"));
        Assert.Equal(7, records.Where(r => r.Json["kind"]!.ToString() == "unauthorized").Sum(r => r.Json["count"]!.GetValue<int>()));
        Assert.DoesNotContain(infer, File.ReadAllText(Path.Combine(state, "audit", AuditLog.FileName)), StringComparison.Ordinal);
    }

    /// <summary>Keys and values of one client are never those of another, whatever the time of an answer tells.</summary>
    [Fact]
    public async Task KeptPrefixes_AreNotShared()
    {
        var (one, other) = (KeyRing.Add(Keys, new ServerKey("one", Role.Infer, "")),
            KeyRing.Add(Keys, new ServerKey("other", Role.Infer, "")));
        await using var server = await RunningServer.Start(options => options with { Keys = Keys });
        async Task<int> Reused(string key) => (await server.Post("/v1/chat/completions", RunningServer.Chat(), key)).Json
            .GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
        Assert.Equal(0, await Reused(one));
        Assert.Equal(0, await Reused(other));
        Assert.Equal(32, await Reused(one));
    }

    /// <summary>A key that was removed or has expired is refused without a restart; one that was added is let in.</summary>
    [Fact]
    public async Task Keys_ChangeWhileTheServerRuns()
    {
        var (one, two) = (KeyRing.Add(Keys, new ServerKey("one", Role.Infer, "")),
            KeyRing.Add(Keys, new ServerKey("two", Role.Infer, "") { Expires = DateTimeOffset.UtcNow.AddHours(1) }));
        var clock = new AdvancedClock();
        await using var server = await RunningServer.Start(options => options with { Keys = Keys }, clock);
        Assert.Equal(HttpStatusCode.OK, await Get(server, "/v1/models", two));
        clock.Ahead = TimeSpan.FromHours(2);
        Assert.Equal(HttpStatusCode.Unauthorized, await Get(server, "/v1/models", two));
        Assert.Equal(0, Ascope.Run(_temp.Path, "keys", "remove", Keys, "--name", "two").ExitCode);
        var three = KeyRing.Add(Keys, new ServerKey("three", Role.Infer, ""));
        Assert.Equal(0, Ascope.Run(_temp.Path, "keys", "remove", Keys, "--name", "one").ExitCode);
        clock.Ahead += TimeSpan.FromSeconds(2);
        Assert.Equal(HttpStatusCode.Unauthorized, await Get(server, "/v1/models", one));
        Assert.Equal(HttpStatusCode.OK, await Get(server, "/v1/models", three));
        // The last key is not removed, and a damaged file locks nobody out.
        Assert.Equal(2, Ascope.Run(_temp.Path, "keys", "remove", Keys, "--name", "three").ExitCode);
        Assert.Equal(2, Ascope.Run(_temp.Path, "keys", "remove", Keys, "--name", "nobody").ExitCode);
        File.WriteAllText(Keys, "{");
        clock.Ahead += TimeSpan.FromSeconds(2);
        Assert.Equal(HttpStatusCode.OK, await Get(server, "/v1/models", three));
    }

    [Fact]
    public async Task AKey_SendsAsManyRequestsAMinuteAsItMay()
    {
        var (slow, usual) = (KeyRing.Add(Keys, new ServerKey("slow", Role.Infer, "") { RequestsPerMinute = 2 }),
            KeyRing.Add(Keys, new ServerKey("usual", Role.Infer, "")));
        await using var server = await RunningServer.Start(options => options with { Keys = Keys, Rate = 3 });
        async Task<HttpStatusCode> Ask(string key) =>
            (await server.Post("/v1/completions", new { model = "relay", prompt = "what", max_tokens = 1 }, key)).Status;
        foreach (var (key, most) in new[] { (slow, 2), (usual, 3) })
        {
            for (var i = 0; i < most; i++) Assert.Equal(HttpStatusCode.OK, await Ask(key));
            Assert.Equal(HttpStatusCode.TooManyRequests, await Ask(key));
            Assert.Equal(HttpStatusCode.OK, await Get(server, "/v1/models", key));
        }
    }

    /// <summary>A page whose own name was made to resolve to this machine is not let in by the browser that shows it.</summary>
    [Theory]
    [InlineData("evil.example", HttpStatusCode.Forbidden)]
    [InlineData("127.0.0.1.evil.example:80", HttpStatusCode.Forbidden)]
    [InlineData("localhost:1234", HttpStatusCode.OK)]
    [InlineData("[::1]:1234", HttpStatusCode.OK)]
    public async Task WithoutKeys_TheHostIsThisMachine(string host, HttpStatusCode expected)
    {
        await using var server = await RunningServer.Start();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Host = host;
        Assert.Equal(expected, (await server.Client.SendAsync(request)).StatusCode);
    }

    [Fact]
    public async Task APortInUse_IsOneLine()
    {
        await using var server = await RunningServer.Start();
        var (exit, output, error) = Ascope.Run(_temp.Path, "serve", "--model", Fixtures.Grown("relay"), "--urls",
            server.Server.Url, "--state",
            _temp.File("state"));
        Assert.Equal((2, ""), (exit, output));
        Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("--urls", error, StringComparison.Ordinal);
    }

    private static async Task<HttpStatusCode> Get(RunningServer server, string path, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = new("Bearer", key);
        using var response = await server.Client.SendAsync(request);
        return response.StatusCode;
    }

    [Theory]
    [InlineData("http://0.0.0.0:0")]
    [InlineData("http://192.168.0.1:0")]
    [InlineData("http://*:0")]
    [InlineData("http://example.org:0")]
    [InlineData("http://127.0.0.1.example.org:0")]
    public async Task WithoutKeys_AnAddressThatOthersReach_IsRefused(string url)
    {
        var refused = await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(options => options with { Url = url }));
        Assert.Contains("--urls", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public async Task Metrics_CountWhatHappened()
    {
        await using var server = await RunningServer.Start();
        await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 3)));
        await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 3)));
        await server.Post("/v1/chat/completions", RunningServer.Chat(("n", 0)));
        var text = await server.Client.GetStringAsync("/metrics");
        foreach (var expected in new[]
        {
            "anchorscope_prompt_tokens_total{model_name=\"relay\"} 72",
            "anchorscope_generation_tokens_total{model_name=\"relay\"} 6",
            "anchorscope_request_success_total{finished_reason=\"length\",model_name=\"relay\"} 2",
            "anchorscope_request_refused_total{status=\"400\",model_name=\"relay\"} 1",
            "anchorscope_prefix_cache_hits_total{model_name=\"relay\"} 32",
            "anchorscope_time_to_first_token_seconds_count{model_name=\"relay\"} 2",
            "anchorscope_num_requests_running{model_name=\"relay\"} 0",
            "anchorscope_audit_tree_size{model_name=\"relay\"} 4",
        })
            Assert.Contains(expected + "\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("purple", text, StringComparison.Ordinal);
    }

    /// <summary>The program: it says where it listens, and ends in order.</summary>
    [Fact]
    public async Task TheProgram_ListensUntilItIsTold()
    {
        if (OperatingSystem.IsWindows()) return;
        using var process = Ascope.Start(_temp.Path, "serve", "--model", Fixtures.Grown("relay"), "--urls", "http://127.0.0.1:0", "--state",
            _temp.File("state"));
        var line = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.StartsWith("listening on http://127.0.0.1:", line, StringComparison.Ordinal);
        using var client = new HttpClient { BaseAddress = new Uri(line!["listening on ".Length..]) };
        using var content = new StringContent(JsonSerializer.Serialize(RunningServer.Chat()), Encoding.UTF8, "application/json");
        Assert.Equal(HttpStatusCode.OK, (await client.PostAsync("/v1/chat/completions", content)).StatusCode);
        using var kill = System.Diagnostics.Process.Start("kill",
            ["-TERM", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(0, process.ExitCode);
        Assert.Equal(["start", "request", "stop"],
            AuditReader.Records(_temp.File("state/audit")).Select(record => record.Json["kind"]!.ToString()));
        Assert.Equal(3, AuditReader.LastSealed(_temp.File("state/audit")));
    }

    public void Dispose() => _temp.Dispose();
}
