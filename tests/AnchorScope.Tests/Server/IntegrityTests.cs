using System.Net;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Server;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Integrity;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Server;

/// <summary>Each thing that decides answers is tampered with, and each time it is named: a file, a knob, a recorded hash.</summary>
public sealed class IntegrityTests : IDisposable
{
    private const string Weights = "model.safetensors";

    private readonly TempFolder _temp = new();
    private readonly string _model;

    public IntegrityTests() => _model = _temp.Copy(Fixtures.Grown("relay"), "relay");

    private string State => _temp.File("state");

    private IntegrityOptions Held => new()
    {
        Manifest = _temp.File("manifest.json"), Key = _temp.File("manifest.pub"), Period = TimeSpan.FromMilliseconds(50),
        BytesPerSecond = 1L << 30,
    };

    [Fact]
    public void AManifest_NamesEveryFileThatIsNotAsSigned()
    {
        Sign();
        (int ExitCode, string Output, string Error) Verify() =>
            Ascope.Run(_temp.Path, "manifest", "verify", _model, "--manifest", "manifest.json", "--key", "manifest.pub");
        Assert.Equal((0, "as signed: 14 files"), (Verify().ExitCode, Verify().Output.Trim()));
        Flip(Weights, 1_000_000);
        File.Delete(Path.Combine(_model, "recipe.json"));
        File.WriteAllText(Path.Combine(_model, "added.json"), "{}");
        var (exit, output, _) = Verify();
        Assert.Equal((1, $"changed: {Weights}|missing: recipe.json|added: added.json"), (exit, output.Trim().Replace('\n', '|')));
        // The statement is that of the OpenSSF's model signing: its digest is that of the digests of the files.
        var statement = JsonNode.Parse(Convert.FromBase64String(JsonNode.Parse(File.ReadAllText(_temp.File("manifest.json")))!
            ["dsseEnvelope"]!["payload"]!.ToString()))!;
        Assert.Equal("https://model_signing/signature/v1.0", statement["predicateType"]!.ToString());
        Assert.Equal(Digest.Of([.. statement["predicate"]!["resources"]!.AsArray()
            .SelectMany(file => Convert.FromHexString(file!["digest"]!.ToString()))]),
            statement["subject"]![0]!["digest"]!["sha256"]!.ToString());
        // Another key, and another manifest under the old signature.
        Assert.Equal(0, Ascope.Run(_temp.Path, "manifest", "key", "other").ExitCode);
        Assert.Equal(2, Ascope.Run(_temp.Path, "manifest", "key", "other").ExitCode);
        Assert.Contains("hint", Ascope.Run(_temp.Path, "manifest", "verify", _model, "--manifest", "manifest.json", "--key",
            Path.Combine("other", "manifest.pub")).Error, StringComparison.Ordinal);
        var text = File.ReadAllText(_temp.File("manifest.json"));
        var forged = Convert.ToBase64String(Manifest.Of(_model, null).Statement().ToJsonString().Select(c => (byte)c).ToArray());
        _temp.Write(
            "manifest.json", text.Replace(JsonNode.Parse(text)!["dsseEnvelope"]!["payload"]!.ToString(), forged, StringComparison.Ordinal));
        (exit, _, var error) = Verify();
        Assert.Equal(2, exit);
        Assert.Contains("none that is valid", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AChangedFile_StopsTheStart_AndIsFoundWhileServing()
    {
        Sign();
        await using (var server = await RunningServer.Start(options => options with { Model = _model, State = State, Integrity = Held }))
        {
            Flip(Weights, 1_000_000);
            await Alert("integrity", $"{Weights} changed false");
            Flip(Weights, 1_000_000);
            await Alert("integrity", $"{Weights} changed true");
            File.WriteAllText(Path.Combine(_model, "new.txt"), "x");
            await Alert("integrity", "new.txt added false");
            File.Move(Path.Combine(_model, "recipe.json"), _temp.File("recipe.json"));
            await Alert("integrity", "recipe.json missing false");
            Assert.Contains("anchorscope_audit_alerts_total{alert=\"integrity\",model_name=\"relay\"} 4",
                await server.Client.GetStringAsync("/metrics"), StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.OK, (await server.Post("/v1/chat/completions", RunningServer.Chat())).Status);
        }
        File.Move(_temp.File("recipe.json"), Path.Combine(_model, "recipe.json"));
        var added = await Refused();
        Assert.Contains("new.txt: SHA-256: expected no such file", added, StringComparison.Ordinal);
        File.Delete(Path.Combine(_model, "new.txt"));
        Flip(Weights, 1_000_000);
        Assert.Contains($"{Weights}: SHA-256: expected ", await Refused(), StringComparison.Ordinal);
        Flip(Weights, 1_000_000);
        await using (await RunningServer.Start(options => options with { Model = _model, Integrity = Held }))
        {
        }
    }

    [Fact]
    public async Task Canaries_GiveTheRecordedBits()
    {
        var policy = WritePolicy("""{"seconds": 1}""");
        await using (var server = await Serve(policy))
        {
            await Until(() => Records("canary").Count >= 2);
            // An operator may turn a knob: canaries run with its default.
            using var put = await server.Client.PutAsync("/v1/anchorscope/knobs/arbitration",
                RunningServer.Content("""{"value": 2, "reason": "x"}"""));
            Assert.Equal(HttpStatusCode.OK, put.StatusCode);
            var before = Records("canary").Count;
            await Until(() => Records("canary").Count >= before + 2);
        }
        Assert.Empty(Records("alert"));
        Assert.All(Records("canary"), r => Assert.Equal("3 0", $"{r["canaries"]} {r["different"]}"));
        Assert.Equal(["start", "schedule"], Records("canary").Take(2).Select(r => r["run"]!.ToString()));
    }

    [Theory]
    [InlineData("knob", "knob arbitration has the default 1.25, recorded with 1.5")]
    [InlineData("hash", "not known: weights, files, numerics of the engine and knobs are those of the recording")]
    [InlineData("numerics", "numerics of the engine ")]
    [InlineData("weights", "other weights (sha256 ")]
    public async Task ADifferentCanary_IsNamedWithItsCause(string what, string cause)
    {
        var policy = WritePolicy("{}");
        var canaries = JsonNode.Parse(File.ReadAllText(_temp.File("canaries.json")))!;
        var first = canaries["canaries"]![0]!;
        if (what == "knob") Edit(policy, "\"default\": 1.5", "\"default\": 1.25");
        else first["logits_sha256"] = new string('0', 64);
        if (what == "numerics") canaries["numerics"] = "other";
        if (what == "weights") canaries["model"] = new string('0', 64);
        var old = Digest.OfFile(_temp.File("canaries.json"));
        if (what != "knob") _temp.Write("canaries.json", canaries.ToJsonString());
        if (what == "hash")
        {
            // The file is not the one that the policy names, until it is signed again.
            var refused = await Assert.ThrowsAsync<InputException>(() => Serve(policy));
            Assert.Contains("is not the one that was approved", refused.Message, StringComparison.Ordinal);
        }
        Edit(policy, old, Digest.OfFile(_temp.File("canaries.json")));
        await using (var server = await Serve(policy))
        {
            await Until(() => Records("canary").Count > 0);
            Assert.Equal(HttpStatusCode.OK, (await server.Post("/v1/chat/completions", RunningServer.Chat())).Status);
        }
        var alerts = Records("alert");
        Assert.Equal(what == "knob" ? 3 : 1, alerts.Count);
        Assert.Equal(("canary", "test-0000/vision"), (alerts[0]["alert"]!.ToString(), alerts[0]["canary"]!.ToString()));
        Assert.Contains(cause, alerts[0]["cause"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal(first["logits_sha256"]!.ToString(), alerts[0]["expected"]!.ToString());
    }

    [Fact]
    public async Task ADifferentCanary_StopsAnswersByPolicy()
    {
        var policy = WritePolicy("{}", stop: true);
        await using (var server = await Serve(policy))
            Assert.Equal(HttpStatusCode.OK, (await server.Post("/v1/chat/completions", RunningServer.Chat())).Status);
        Edit(policy, "\"default\": 1.5", "\"default\": 1.25");
        await using (var server = await Serve(policy))
        {
            var (status, json) = await server.Post("/v1/chat/completions", RunningServer.Chat());
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "canary_failed"),
                (status, json.GetProperty("error").GetProperty("code").GetString()));
            using var ready = await server.Client.GetAsync("/health/ready");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
            Assert.Contains("canary test-0000/vision", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        Assert.Equal("canary_failed", Assert.Single(Records("refused"))["code"]!.ToString());
    }

    /// <summary>Changed weights: a policy is for one file of weights, so that the server does not start.</summary>
    [Fact]
    public async Task ChangedWeights_StopTheStart_WithAPolicy()
    {
        var policy = WritePolicy("{}");
        Flip(Weights, 1_000_000);
        var refused = await Assert.ThrowsAsync<InputException>(() => Serve(policy));
        Assert.Contains("model: expected the SHA-256 of the weights that are served", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"canaries\": {", "\"canaries\": {\"x\": 1, ", "an unknown member")]
    [InlineData("\"on_canary_failure\": \"stop\"", "\"on_canary_failure\": \"wait\"", "alert or stop")]
    [InlineData("\"on_canary_failure\": \"stop\"", "\"content_days\": 3", "keep_content true")]
    public async Task AWrongMember_StopsTheStart(string there, string instead, string message)
    {
        var policy = WritePolicy("{}", stop: true);
        Edit(policy, there, instead);
        Assert.Contains(message, (await Assert.ThrowsAsync<InputException>(() => Serve(policy))).Message, StringComparison.Ordinal);
    }

    private Task<RunningServer> Serve(string policy) =>
        RunningServer.Start(options => options with { Model = _model, State = State, Policy = policy });

    private async Task<string> Refused() => (await Assert.ThrowsAsync<InputException>(
        () => RunningServer.Start(options => options with { Model = _model, Integrity = Held }))).Message;

    private List<JsonObject> Records(string kind) =>
        [.. AuditReader.Records(Path.Combine(State, "audit")).Where(r => r.Json["kind"]!.ToString() == kind).Select(r => r.Json)];

    private Task Alert(string name, string text) =>
        Until(() => Records("alert").Exists(r => r["alert"]!.ToString() == name
            && $"{r["file"]} {r["what"]} {r["cleared"]!.ToJsonString()}" == text));

    private static async Task Until(Func<bool> condition)
    {
        for (var i = 0; i < 300 && !condition(); i++) await Task.Delay(50);
        Assert.True(condition());
    }

    private void Sign()
    {
        Assert.Equal(0, Ascope.Run(_temp.Path, "manifest", "key", ".").ExitCode);
        var (exit, _, error) = Ascope.Run(_temp.Path, "manifest", "sign", _model, "--key", "manifest.key", "--out", "manifest.json");
        Assert.True(exit == 0, error);
    }

    /// <summary>Changes a bit in place, as a faulty disk or an intruder would.</summary>
    private void Flip(string name, long place)
    {
        using var file = new FileStream(Path.Combine(_model, name), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Position = place;
        var before = file.ReadByte();
        file.Position = place;
        file.WriteByte((byte)(before ^ 1));
    }

    private static void Edit(string path, string there, string instead) =>
        File.WriteAllText(path, File.ReadAllText(path).Replace(there, instead, StringComparison.Ordinal));

    /// <summary>A policy with a knob that acts by default, and three canaries under it.</summary>
    private string WritePolicy(string canaries, bool stop = false)
    {
        using (var model = VisionLanguageModel.Open(_model))
        {
            var identity = model.Checkpoint.Identity;
            var set = new HeadSet("relay", identity.Weights, model.Tokenizer.Sha256, "", HeadSet.ByHand, [new ScoredHead(3, 5, double.NaN)])
                { Files = identity.Files };
            File.WriteAllText(_temp.File("heads.json"), HeadSetFile.Text(set));
            File.WriteAllText(_temp.File("policy.json"), $$"""
                {"version": 1, "name": "test", "model": "{{identity.Weights}}",
                 "head_sets": [{"name": "arbiters", "file": "heads.json", "sha256": "{{Digest.OfFile(_temp.File("heads.json"))}}"}],
                 "knobs": [{"name": "arbitration", "set": "arbiters", "at": "instruction", "default": 1.5, "bounds": [0.5, 2]}]}
                """);
        }
        var (exit, output, error) = Ascope.Run(_temp.Path, "policy", "canaries", Fixtures.Conflicts, "--model", _model,
            "--policy", "policy.json",
            "--count", "3", "--out", "canaries.json");
        Assert.True(exit == 0, error);
        var inner = canaries.Trim('{', '}');
        Edit(_temp.File("policy.json"), "\"bounds\": [0.5, 2]}]}", "\"bounds\": [0.5, 2]}], "
            + output.Trim()[..^1] + (inner.Length > 0 ? ", " + inner : "") + "}" + (stop ? ", \"on_canary_failure\": \"stop\"}" : "}"));
        return _temp.File("policy.json");
    }

    public void Dispose() => _temp.Dispose();
}
