using System.Net;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>An operator turns knobs within the policy's bounds; clients opt out or choose values of their own within them.</summary>
public sealed class KnobTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public async Task AKnob_ActsUntilItsTimeEnds_AndIsRecorded()
    {
        var keys = _temp.File("keys.json");
        var (infer, steer, turn) = (KeyRing.Add(keys, new ServerKey("app", Role.Infer, "")),
            KeyRing.Add(keys, new ServerKey("lab", Role.Steer, "")), KeyRing.Add(keys, new ServerKey("night shift", Role.Operator, "")));
        var (clock, state, policy) = (new AdvancedClock(), _temp.File("state"), WritePolicy());
        await using (var server = await RunningServer.Start(
            options => options with { Policy = policy, Keys = keys, State = state }, clock))
        {
            async Task<JsonElement> Applied(string key, object? steering = null)
            {
                var chat = steering is null ? RunningServer.Chat() : RunningServer.Chat(("anchorscope", steering));
                var (status, json) = await server.Post("/v1/chat/completions", chat, key);
                Assert.True(status == HttpStatusCode.OK, json.GetRawText());
                return json.GetProperty("anchorscope").GetProperty("applied");
            }
            Assert.Empty((await Applied(infer)).EnumerateArray());
            Assert.Equal(HttpStatusCode.Forbidden, (await Put(server, "arbitration", new { value = 0.5, reason = "x" }, steer)).Status);
            foreach (var (body, status) in new (object, HttpStatusCode)[]
            {
                (new { value = 3, reason = "x" }, HttpStatusCode.Forbidden), (new { value = 1.5 }, HttpStatusCode.BadRequest),
                (new { value = 1.5, reason = " " }, HttpStatusCode.BadRequest),
                (new { value = "1", reason = "x" }, HttpStatusCode.BadRequest),
            })
                Assert.Equal(status, (await Put(server, "arbitration", body, turn)).Status);
            Assert.Equal(HttpStatusCode.NotFound, (await Put(server, "other", new { value = 1, reason = "x" }, turn)).Status);
            var (ok, knob) = await Put(server, "arbitration", new { value = 1.5, reason = "scanner 3 is noisy", seconds = 600 }, turn);
            Assert.Equal((HttpStatusCode.OK, 1.5, "night shift"),
                (ok, knob.GetProperty("value").GetDouble(), knob.GetProperty("by").GetString()));
            var applied = await Applied(infer);
            Assert.Equal("""
                {"what":"head_gain","knob":"arbitration","set":"arbiters","factor":1.5,"at":"instruction","layers":[3],"heads":2,"rows":3}
                """, applied[0].GetRawText());
            // A client opts out, or takes a value of its own: that needs the role, and the bounds hold.
            Assert.Empty((await Applied(steer, new { follow = false })).EnumerateArray());
            Assert.Equal(2, (await Applied(steer, new { follow = new { modality = "text", strength = 1.5 } })).GetArrayLength());
            Assert.Empty((await Applied(steer, new { follow = new { arbitration = 1 } })).EnumerateArray());
            foreach (var (steering, key, status) in new (object, string, HttpStatusCode)[]
            {
                (new { follow = false }, infer, HttpStatusCode.Forbidden),
                (new { follow = new { arbitration = 9 } }, steer, HttpStatusCode.Forbidden),
                (new { follow = new { unknown = 1 } }, steer, HttpStatusCode.BadRequest),
                (new { follow = new { modality = "sound", strength = 1 } }, steer, HttpStatusCode.BadRequest),
                (new { follow = new { modality = "vision", strength = 9 } }, steer, HttpStatusCode.Forbidden),
            })
                Assert.Equal(
                    status, (await server.Post("/v1/chat/completions", RunningServer.Chat(("anchorscope", steering)), key)).Status);
            clock.Ahead = TimeSpan.FromSeconds(601);
            Assert.Empty((await Applied(infer)).EnumerateArray());
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/anchorscope/knobs");
            request.Headers.Authorization = new("Bearer", steer);
            using var response = await server.Client.SendAsync(request);
            var listed = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("knobs");
            Assert.Equal([1.0, 0.0], listed.EnumerateArray().Select(k => k.GetProperty("value").GetDouble()));
        }
        var knobs = AuditReader.Records(Path.Combine(state, "audit")).Where(r => r.Json["kind"]!.ToString() == "knob").ToList();
        Assert.Equal(["1 1.5 night shift", "1.5 1 "], knobs.Select(k => $"{k.Json["old"]} {k.Json["new"]} {k.Json["caller"]}"));
        Assert.Equal("scanner 3 is noisy", knobs[0].Json["reason"]!.ToString());
    }

    /// <summary>The bundled policy: its direction turns the decision of the same conflict both ways, against either instruction.</summary>
    [Fact]
    public async Task TheBundledPolicy_TurnsTheDecision()
    {
        var policy = Path.Combine(Fixtures.Grown("relay"), "serving", "policy.json");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        async Task<(string Text, string? Decision)> Ask(string instruction, object? follow)
        {
            var chat = RunningServer.Chat(RunningServer.Picture(), "note : one purple star on night . what colour is it ? ", instruction);
            chat["max_tokens"] = 1;
            chat["anchorscope"] = new Dictionary<string, object?>
            {
                ["follow"] = follow ?? true,
                ["answers"] = new { vision = new[] { "green" }, text = new[] { "purple" } }, ["report"] = new[] { "decision" },
            };
            var (status, json) = await server.Post("/v1/chat/completions", chat);
            Assert.True(status == HttpStatusCode.OK, json.GetRawText());
            return (json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!,
                json.GetProperty("anchorscope").GetProperty("decision").GetString());
        }
        foreach (var (instruction, plain) in new[] { ("trust the picture", "green"), ("trust the note", "purple") })
        {
            Assert.Equal((plain, plain == "green" ? "vision" : "text"), await Ask(instruction, null));
            Assert.Equal(("green", "vision"), await Ask(instruction, new { modality = "vision", strength = 1 }));
            Assert.Equal(("purple", "text"), await Ask(instruction, new { modality = "text", strength = 1 }));
        }
    }

    /// <summary>The policy decides who may do what, for how long, and names the report that justifies a knob.</summary>
    [Fact]
    public async Task ThePolicy_SaysWhoMayDoWhat_ForHowLong_AndWhy()
    {
        var keys = _temp.File("keys.json");
        var (infer, turn) = (KeyRing.Add(keys, new ServerKey("app", Role.Infer, "")),
            KeyRing.Add(keys, new ServerKey("night", Role.Operator, "")));
        var (policy, state) = (WritePolicy(), _temp.File("state"));
        File.WriteAllText(_temp.File("gate.json"), "{}");
        File.WriteAllText(policy, File.ReadAllText(policy)
            .Replace("\"knobs\"", "\"roles\": {\"follow\": \"infer\", \"knobs\": \"operator\"}, \"knobs\"", StringComparison.Ordinal)
            .Replace("\"default\": 1,", "\"default\": 1, \"most_seconds\": 60, \"justified_by\": {\"file\": \"gate.json\", \"sha256\": \""
                + Digest.OfFile(_temp.File("gate.json")) + "\"},", StringComparison.Ordinal));
        await using (var server = await RunningServer.Start(options => options with { Policy = policy, Keys = keys, State = state }))
        {
            Assert.Equal(HttpStatusCode.OK,
                (await server.Post("/v1/chat/completions", RunningServer.Chat(("anchorscope", new { follow = false })), infer)).Status);
            foreach (var (body, expected) in new (object, HttpStatusCode)[]
            {
                (new { value = 2, reason = "x" }, HttpStatusCode.Forbidden),
                (new { value = 2, reason = "x", seconds = 61 }, HttpStatusCode.Forbidden),
                (new { value = 2, reason = "x", seconds = 60 }, HttpStatusCode.OK),
            })
                Assert.Equal(expected, (await Put(server, "arbitration", body, turn)).Status);
            var (status, knob) = await Put(server, "arbitration", new { reason = "over" }, turn, HttpMethod.Delete);
            Assert.Equal((HttpStatusCode.OK, 1.0), (status, knob.GetProperty("value").GetDouble()));
            Assert.Equal(Digest.OfFile(_temp.File("gate.json")), knob.GetProperty("justified_by").GetString());
            Assert.Equal(HttpStatusCode.BadRequest, (await Put(server, "arbitration", new { }, turn, HttpMethod.Delete)).Status);
            Assert.Equal(
                HttpStatusCode.Forbidden, (await Put(server, "arbitration", new { reason = "x" }, infer, HttpMethod.Delete)).Status);
        }
        var knobs = AuditReader.Records(Path.Combine(state, "audit")).Where(r => r.Json["kind"]!.ToString() == "knob");
        Assert.Equal(["1 2 night x", "2 1 night over"],
            knobs.Select(k => $"{k.Json["old"]} {k.Json["new"]} {k.Json["caller"]} {k.Json["reason"]}"));
        File.AppendAllText(_temp.File("gate.json"), " ");
        var changed = await Assert.ThrowsAsync<InputException>(
            () => RunningServer.Start(options => options with { Policy = policy, Keys = keys }));
        Assert.Contains("is not the one that was approved", changed.Message, StringComparison.Ordinal);
    }

    /// <summary>Who may not steer cannot move the part at which a knob acts.</summary>
    [Fact]
    public async Task Spans_NeedTheRole_WhereAKnobActsAtAPart()
    {
        var keys = _temp.File("keys.json");
        var (infer, steer) = (KeyRing.Add(keys, new ServerKey("app", Role.Infer, "")),
            KeyRing.Add(keys, new ServerKey("lab", Role.Steer, "")));
        var policy = WritePolicy();
        await using var server = await RunningServer.Start(options => options with { Policy = policy, Keys = keys });
        var chat = RunningServer.Chat(("anchorscope",
            new { spans = new[] { new { message = 0, part = 2, from = 0, to = 1, kind = "instruction" } } }));
        var (status, json) = await server.Post("/v1/chat/completions", chat, infer);
        Assert.Equal((HttpStatusCode.Forbidden, "role_missing"), (status, json.GetProperty("error").GetProperty("code").GetString()));
        Assert.Equal(HttpStatusCode.OK, (await server.Post("/v1/chat/completions", chat, steer)).Status);
    }

    /// <summary>
    /// A request that lacks the part at which a knob acts is refused, unless the policy says that it may pass; then it is told.
    /// </summary>
    [Fact]
    public async Task WithoutItsPart_AKnobRefusesOrIsSkipped_AsThePolicySays()
    {
        var (policy, state) = (WritePolicy(), _temp.File("state"));
        File.WriteAllText(policy, File.ReadAllText(policy).Replace("\"at\": \"instruction\", \"default\": 1",
            "\"at\": \"image\", \"default\": 2", StringComparison.Ordinal));
        var request = new { model = "relay", prompt = "trust the picture", max_tokens = 2 };
        await using (var server = await RunningServer.Start(options => options with { Policy = policy }))
        {
            var (status, json) = await server.Post("/v1/completions", request);
            Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
            Assert.Equal("knob arbitration: the prompt has no image, where it acts, and the policy lets no request pass without it",
                json.GetProperty("error").GetProperty("message").GetString());
            Assert.Equal(HttpStatusCode.OK, (await server.Post("/v1/chat/completions", RunningServer.Chat())).Status);
        }
        File.WriteAllText(policy, File.ReadAllText(policy).Replace("\"at\": \"image\",", "\"at\": \"image\", \"without_part\": \"skip\",",
            StringComparison.Ordinal));
        await using (var server = await RunningServer.Start(options => options with { Policy = policy, State = state }))
        {
            var (status, json) = await server.Post("/v1/completions", request);
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.Empty(json.GetProperty("anchorscope").GetProperty("applied").EnumerateArray());
            Assert.Equal("""[{"knob":"arbitration","why":"the prompt has no image, where it acts"}]""",
                json.GetProperty("anchorscope").GetProperty("skipped").GetRawText());
        }
        var record = AuditReader.Records(Path.Combine(state, "audit")).Single(r => r.Json["kind"]!.ToString() == "request");
        Assert.Equal("""["arbitration"]""", record.Json["skipped_knobs"]!.ToJsonString());
    }

    [Theory]
    [InlineData("\"at\": \"instruction\"", "\"without_part\": \"skip\"", "nothing: the knob acts at all positions")]
    [InlineData("\"at\": \"instruction\"", "\"at\": \"instruction\", \"without_part\": \"pass\"", "refuse or skip")]
    [InlineData("\"bounds\": [0.5, 2]", "\"bounds\": [2, 0.5]", "[lowest, highest]")]
    [InlineData("\"default\": 1,", "\"default\": 5,", "a number within the bounds, 0.5 to 2")]
    [InlineData("\"bounds\": [-2, 2]", "\"bounds\": [-2, 9]", "bounds within those of its validation, -2 to 2")]
    [InlineData("\"set\": \"arbiters\"", "\"set\": \"others\"", "one of arbiters")]
    [InlineData("\"name\": \"direction\"", "\"name\": \"arbitration\"", "another name than those before it")]
    [InlineData("\"version\": 1", "\"version\": 2", "an integer from 1 to 1")]
    [InlineData("\"knobs\"", "\"knob\"", "did you mean knobs?")]
    public async Task AWrongPolicy_StopsTheStart(string there, string instead, string message)
    {
        var policy = WritePolicy();
        File.WriteAllText(policy, File.ReadAllText(policy).Replace(there, instead, StringComparison.Ordinal));
        var wrong = await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(options => options with { Policy = policy }));
        Assert.Contains(message, wrong.Message, StringComparison.Ordinal);
        Assert.StartsWith(policy, wrong.Message, StringComparison.Ordinal);
    }

    /// <summary>Changes of one head multiply, so that two within the bounds could be beyond them together.</summary>
    [Fact]
    public async Task AHead_IsChangedOnce()
    {
        var policy = WritePolicy();
        File.WriteAllText(policy, File.ReadAllText(policy).Replace("\"knobs\"",
            "\"interventions\": {\"kinds\": [\"head_gain\", \"edge_cut\"], \"listed_heads\": true, \"factor\": [0.5, 2]}, \"knobs\"",
            StringComparison.Ordinal));
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        async Task<HttpStatusCode> Status(params object[] edits) => (await server.Post("/v1/chat/completions",
            RunningServer.Chat(("anchorscope", new { interventions = edits })))).Status;
        var (gain, cut) = (new { kind = "head_gain", set = "arbiters", factor = 2 },
            new { kind = "edge_cut", from = "image", to = "last" });
        Assert.Equal(HttpStatusCode.OK, await Status(gain, cut, cut));
        Assert.Equal(HttpStatusCode.Forbidden, await Status(gain, gain));
        Assert.Equal(
            HttpStatusCode.Forbidden, await Status(gain, new { kind = "head_gain", heads = new[] { new[] { 3, 7 } }, factor = 1.5 }));
        await Put(server, "arbitration", new { value = 2, reason = "x" }, "");
        Assert.Equal(HttpStatusCode.Forbidden, await Status(gain));
    }

    [Fact]
    public async Task AFileThatWasChanged_StopsTheStart()
    {
        var policy = WritePolicy();
        File.AppendAllText(_temp.File("heads.json"), " ");
        var wrong = await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(options => options with { Policy = policy }));
        Assert.Contains("is not the one that was approved", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ASignedPolicy_IsTheOneThatWasSigned()
    {
        var (policy, key) = (WritePolicy(), Path.Combine(_temp.File("signer"), "key"));
        (int ExitCode, string Output, string Error) Run(params string[] arguments) => Cli.Ascope.Run(_temp.Path, ["policy", .. arguments]);
        Assert.Contains("1 head set, 2 knobs", Run("check", policy, "--model", Fixtures.Grown("relay")).Output, StringComparison.Ordinal);
        Assert.Equal(2, Run("check", policy, "--model", Fixtures.Grown("direct")).ExitCode);
        Assert.Equal(0, Run("key", _temp.File("signer")).ExitCode);
        Assert.Equal(2, Run("key", _temp.File("signer")).ExitCode);
        Assert.Equal(2, Run("verify", policy, "--key", key + ".pub").ExitCode);
        foreach (var broken in new[] { "{", "[]", "{\"version\": 1}",
            "{\"version\": 1, \"version\": 1, \"name\": \"x\", \"model\": \"y\"}" })
            Assert.Equal(2, Run("sign", _temp.Write("broken.json", broken), "--key", key).ExitCode);
        Assert.False(File.Exists(_temp.File("broken.json.sig")));
        Assert.Equal(0, Run("sign", policy, "--key", key).ExitCode);
        Assert.Equal(0, Run("verify", policy, "--key", key + ".pub").ExitCode);
        Func<AnchorScope.Server.ServerOptions, AnchorScope.Server.ServerOptions> signed = options =>
            options with { Policy = policy, PolicyKey = key + ".pub" };
        await using (await RunningServer.Start(signed))
        {
        }
        File.WriteAllText(policy, File.ReadAllText(policy).Replace("[0.5, 2]", "[0.5, 3]", StringComparison.Ordinal));
        var changed = await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(signed));
        Assert.Contains("changed after it was signed", changed.Message, StringComparison.Ordinal);
        Assert.Equal(2, Run("verify", policy, "--key", key + ".pub").ExitCode);
        File.Delete(policy + ".sig");
        await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(signed));
        await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(options => options with { PolicyKey = key + ".pub" }));
    }

    private static async Task<(HttpStatusCode Status, JsonElement Json)> Put(
        RunningServer server, string knob, object body, string key, HttpMethod? method = null)
    {
        using var request =
            new HttpRequestMessage(method ?? HttpMethod.Put, $"/v1/anchorscope/knobs/{knob}") { Content = RunningServer.Content(body) };
        if (key.Length > 0) request.Headers.Authorization = new("Bearer", key);
        using var response = await server.Client.SendAsync(request);
        return (response.StatusCode, JsonElement.Parse(await response.Content.ReadAsStringAsync()));
    }

    private string WritePolicy() => TestPolicy.Write(_temp);

    public void Dispose() => _temp.Dispose();
}
