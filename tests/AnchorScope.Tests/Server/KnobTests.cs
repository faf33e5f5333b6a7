using System.Net;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
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
        var (infer, steer, turn) = (KeyRing.Add(keys, "app", Role.Infer), KeyRing.Add(keys, "lab", Role.Steer),
            KeyRing.Add(keys, "night shift", Role.Operator));
        var (clock, state, policy) = (new Clock(), _temp.File("state"), WritePolicy());
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
            Assert.Equal(("arbitration", 2, 3), (applied[0].GetProperty("kind").GetString(), applied[0].GetProperty("heads").GetInt32(),
                applied[0].GetProperty("rows").GetInt32()));
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
            request.Headers.Authorization = new("Bearer", infer);
            using var response = await server.Client.SendAsync(request);
            var listed = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("knobs");
            Assert.Equal([1.0, 0.0], listed.EnumerateArray().Select(k => k.GetProperty("value").GetDouble()));
        }
        var knobs = AuditReader.Records(Path.Combine(state, "audit")).Where(r => r.Json["kind"]!.ToString() == "knob").ToList();
        Assert.Equal(["1 1.5 night shift", "1.5 1 "], knobs.Select(k => $"{k.Json["old"]} {k.Json["new"]} {k.Json["caller"]}"));
        Assert.Equal("scanner 3 is noisy", knobs[0].Json["reason"]!.ToString());
    }

    [Theory]
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
        foreach (var broken in new[] { "{", "[]", "{\"version\": 1}", "{\"version\": 1, \"version\": 1, \"name\": \"x\", \"model\": \"y\"}" })
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

    private static async Task<(HttpStatusCode Status, JsonElement Json)> Put(RunningServer server, string knob, object body, string key)
    {
        using var request =
            new HttpRequestMessage(HttpMethod.Put, $"/v1/anchorscope/knobs/{knob}") { Content = RunningServer.Content(body) };
        if (key.Length > 0) request.Headers.Authorization = new("Bearer", key);
        using var response = await server.Client.SendAsync(request);
        return (response.StatusCode, JsonElement.Parse(await response.Content.ReadAsStringAsync()));
    }

    /// <summary>A policy with a head set, a gain of it as a knob, and a direction as a knob.</summary>
    private string WritePolicy()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var identity = model.Checkpoint.Identity;
        var set = new HeadSet("relay", identity.Weights, model.Tokenizer.Sha256, "", HeadSet.ByHand,
            [new ScoredHead(3, 5, double.NaN), new ScoredHead(3, 7, double.NaN)]) { Files = identity.Files };
        File.WriteAllText(_temp.File("heads.json"), HeadSetFile.Text(set));
        float[] vector = [.. Enumerable.Range(0, model.Engine.Shape.ModelSize).Select(i => 0.1f * (i % 5))];
        new DirectionFile
        {
            Path = _temp.File("directions.safetensors"), Model = identity, TokenizerHash = model.Tokenizer.Sha256, DatasetHash = "",
            Directions = new Dictionary<string, BoundedDirection>
            {
                ["mean"] = new(new Direction("mean", [new DirectionPart(Site.ResidPost, 3, null, null, new DonorRows(vector, 1))]), -2, 2),
            },
        }.Save("relay");
        var path = _temp.File("policy.json");
        File.WriteAllText(path, $$"""
            {"version": 1, "name": "test", "model": "{{identity.Weights}}",
             "head_sets": [{"name": "arbiters", "file": "heads.json", "sha256": "{{Digest.OfFile(_temp.File("heads.json"))}}"}],
             "knobs": [{"name": "arbitration", "set": "arbiters", "at": "instruction", "default": 1, "bounds": [0.5, 2]},
                       {"name": "direction", "direction": {"file": "directions.safetensors", "name": "mean",
                        "sha256": "{{Digest.OfFile(_temp.File("directions.safetensors"))}}"}, "default": 0, "bounds": [-2, 2]}]}
            """);
        return path;
    }

    /// <summary>A clock that a test sets ahead.</summary>
    private sealed class Clock : TimeProvider
    {
        public TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Ahead;
    }

    public void Dispose() => _temp.Dispose();
}
