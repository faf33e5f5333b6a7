using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>A server that watches its requests against a profile.</summary>
public sealed class MonitorTests : IDisposable
{
    private readonly TempFolder _temp = new();

    /// <summary>
    /// Traffic like the profile raises nothing. An operator turns a knob: alerts come, in the log before anything is done about them, and
    /// the knob goes back. They are cleared when the traffic is as before.
    /// </summary>
    [Fact]
    public async Task AShift_RaisesAlerts_PutsTheKnobBack_AndIsRecorded()
    {
        var (policy, profile, state) = (MonitoredServer.WritePolicy(_temp), _temp.File("profile.json"), _temp.File("state"));
        using (var model = VisionLanguageModel.Open(Fixtures.Grown("relay")))
        {
            var (requests, _) = await ProfileRun.Make(model,
                new ProfileOptions { Data = Fixtures.Conflicts, Output = profile, Policy = policy, Limit = 150, Seed = 1 }, (_, _) => { },
                CancellationToken.None);
            Assert.Equal(300, requests);
        }
        await using (var server = await RunningServer.Start(
            options => options with { Policy = policy, Profile = profile, State = state }))
        {
            var bodies = MonitoredServer.Bodies(seed: 5);
            var sent = 0;
            async Task<MonitorSnapshot> Send(int count)
            {
                for (var i = 0; i < count; i++)
                {
                    var (status, json) = await server.Post("/v1/chat/completions", bodies[sent++ % bodies.Count]);
                    Assert.True(status == HttpStatusCode.OK, json.GetRawText());
                }
                return await MonitoredServer.Settled(server, sent);
            }
            var before = await Send(100);
            Assert.Empty(before.Alerts);
            Assert.Equal((100, 300), (before.Now.Requests, before.Profile!.Requests));
            Assert.True(before.Now.Margin.Count == 100 && before.Now.AtInstruction.Count == before.Profile.AtLast.Count);
            Assert.Equal(["image", "text_context", "question", "instruction", "template"], before.Now.Attention.Select(part => part.Span));
            using (var turned = await server.Client.PutAsync("/v1/anchorscope/knobs/arbitration",
                RunningServer.Content(new { value = 0, reason = "a try" })))
                Assert.Equal(HttpStatusCode.OK, turned.StatusCode);
            var shifted = 0;
            while (server.Server.Monitor.Snapshot().Alerts.Count == 0 && shifted < 100)
            {
                await Send(1);
                shifted++;
            }
            Assert.InRange(shifted, 1, 60);
            var alert = server.Server.Monitor.Snapshot().Alerts[^1];
            Assert.Null(alert.Cleared);
            Assert.True(alert.Statistic >= alert.Threshold);
            Assert.Equal("knob arbitration put back from 0 to its default, 1", alert.Action);
            var knob = JsonElement.Parse(await server.Client.GetStringAsync("/v1/anchorscope/knobs/arbitration"));
            Assert.Equal((1.0, "monitor"), (knob.GetProperty("value").GetDouble(), knob.GetProperty("by").GetString()));
            var (after, more) = (server.Server.Monitor.Snapshot(), 0);
            while (after.Alerts.Any(a => a.Cleared is null) && more++ < 30) after = await Send(10);
            Assert.All(after.Alerts, a => Assert.True(a.Cleared is not null, a.ToString()));
            var metrics = await server.Client.GetStringAsync("/metrics");
            foreach (var line in new[] {
                $"anchorscope_decisions_total{{model_name=\"relay\",followed=\"vision\"}} {after.Now.Decisions["vision"]}",
                "anchorscope_alerts_raised{model_name=\"relay\"} 0" })
                Assert.True(metrics.Split('\n').Any(l => Labels(l) == Labels(line)), line + "\n" + metrics);
            await server.Server.Stop();
        }
        var records = AuditReader.Records(Path.Combine(state, "audit")).Select(record => record.Json).ToList();
        var raised = records.FindIndex(r => r["kind"]!.ToString() == "alert");
        var knobBack = records.FindIndex(r => r["kind"]!.ToString() == "knob" && r["caller"]!.ToString() == "monitor");
        Assert.True(raised >= 0 && knobBack > raised, $"{raised} {knobBack}");
        Assert.Equal(("false", Digest.OfFile(profile), "0", "1"), (records[raised]["cleared"]!.ToJsonString(),
            records[raised]["profile_sha256"]!.ToString(), records[knobBack]["old"]!.ToString(), records[knobBack]["new"]!.ToString()));
        Assert.StartsWith("alert 1:", records[knobBack]["reason"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal(records.Count(r => r["cleared"]?.ToJsonString() == "false"),
            records.Count(r => r["cleared"]?.ToJsonString() == "true"));
        Assert.Equal(Digest.OfFile(profile), records[0]["profile_sha256"]!.ToString());
    }

    /// <summary>The reading of a profile is that of a request: the same numbers, bit for bit.</summary>
    [Fact]
    public async Task AProfile_HasTheNumbersOfRequests()
    {
        var (policy, profile) = (MonitoredServer.WritePolicy(_temp), _temp.File("profile.json"));
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        await ProfileRun.Make(model, new ProfileOptions { Data = Fixtures.Conflicts, Output = profile, Policy = policy, Limit = 3 },
            (_, _) => { }, CancellationToken.None);
        var conditions = JsonNode.Parse(File.ReadAllText(profile))!["conditions"]!;
        await using var server = await RunningServer.Start(options => options with { Policy = policy, Profile = profile });
        var found = new List<double>();
        foreach (var body in MonitoredServer.Bodies(seed: 0, limit: 3, all: true))
        {
            var (status, json) = await server.Post("/v1/chat/completions", body);
            Assert.Equal(HttpStatusCode.OK, status);
            found.Add(json.GetProperty("anchorscope").GetProperty("margin").GetDouble());
        }
        Assert.Equal(conditions["all"]!["quantities"]!["margin"]!["values"]!.AsArray().Select(v => v!.GetValue<double>()), found.Order());
        var snapshot = await MonitoredServer.Settled(server, 6);
        Assert.Equal(snapshot.Profile!.Attention, snapshot.Now.Attention);
        Assert.Equal(snapshot.Profile.AtInstruction, snapshot.Now.AtInstruction);
        Assert.Equal(snapshot.Profile.Heads, snapshot.Now.Heads);
        Assert.Equal(snapshot.Profile.Decisions, snapshot.Now.Decisions);
    }

    [Fact]
    public async Task IdleTime_ComputesRequestsAgain_WithEdgesCutAndHeadsBlocked()
    {
        var policy = MonitoredServer.WritePolicy(_temp);
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        var chat = RunningServer.Chat(("anchorscope", new
        {
            answers = new { vision = new[] { "green" }, text = new[] { "purple" } }, report = new[] { "decision" },
            spans = new[] { new { message = 0, part = 1, from = 0, to = 34, kind = "text_context" } },
        }), ("max_tokens", 1));
        var (_, json) = await server.Post("/v1/chat/completions", chat);
        var margin = json.GetProperty("anchorscope").GetProperty("margin").GetDouble();
        var until = DateTime.UtcNow.AddSeconds(60);
        while (server.Server.Monitor.RerunCounts.Done == 0 && DateTime.UtcNow < until) await Task.Delay(20, CancellationToken.None);
        var reruns = server.Server.Monitor.Snapshot().Reruns.ToDictionary(rerun => rerun.Name);
        Assert.Equal(["context->instruction", "context->last", "heads arbiters", "instruction->suffix"],
            reruns.Keys.Order(StringComparer.Ordinal));
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        using var session = model.OpenSession();
        var prompt = RunningServer.PromptOf(model, session);
        // The label of the note, which the request names.
        var length = model.Tokenizer.Encode("note : one purple star on night .", addSpecial: false).Count;
        var first = prompt.Span(SpanKind.Image)[^1] + 1;
        int[] context = [.. prompt.Span(SpanKind.Image), .. Enumerable.Range(first, length)];
        int Word(string word) => model.Tokenizer.Encode(word, addSpecial: false)[^1].Id;
        IEnumerable<int> layers = Enumerable.Range(0, model.Engine.Shape.Layers);
        foreach (var (name, change) in new[]
        {
            ("context->instruction", Intervention.Knockout("a", layers, prompt.Positions(SpanKind.Instruction), Positions.Of(context))),
            ("context->last", Intervention.Knockout("b", layers, Positions.Of(prompt.Last), Positions.Of(context))),
            ("instruction->suffix", Intervention.Knockout("c", layers, prompt.Positions(SpanKind.Suffix),
                prompt.Positions(SpanKind.Instruction))),
            ("heads arbiters", Intervention.HeadGain("d", MonitoredServer.Heads, 0,
                Positions.Of(prompt.Union(SpanKind.Instruction, SpanKind.Suffix)))),
        })
        {
            var resid = session.Forward(prompt, change);
            var logits = session.Unembed(resid.AsSpan(prompt.Last * model.Engine.Shape.ModelSize));
            Assert.Equal((1, (double)logits[Word("green")] - logits[Word("purple")] - margin),
                (reruns[name].Count, reruns[name].Change.Median));
            Assert.NotEqual(0, reruns[name].Change.Median);
        }
    }

    [Fact]
    public async Task TheMonitor_IsForAuditorsAndOperators_AndHasAnEmptyForm()
    {
        var keys = _temp.File("keys.json");
        var (infer, steer, audit, turn) = (KeyRing.Add(keys, "app", Role.Infer), KeyRing.Add(keys, "lab", Role.Steer),
            KeyRing.Add(keys, "auditor", Role.Audit), KeyRing.Add(keys, "night", Role.Operator));
        await using var server = await RunningServer.Start(options => options with { Keys = keys });
        foreach (var (key, status) in new[] { (infer, HttpStatusCode.Forbidden), (steer, HttpStatusCode.Forbidden),
            (audit, HttpStatusCode.OK),
            (turn, HttpStatusCode.OK) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/anchorscope/monitor");
            request.Headers.Authorization = new("Bearer", key);
            using var response = await server.Client.SendAsync(request);
            Assert.Equal(status, response.StatusCode);
            if (status != HttpStatusCode.OK) continue;
            var json = JsonElement.Parse(await response.Content.ReadAsStringAsync());
            Assert.Equal((0, JsonValueKind.Null, 0), (json.GetProperty("now").GetProperty("requests").GetInt32(),
                json.GetProperty("profile").ValueKind, json.GetProperty("alerts").GetArrayLength()));
            Assert.Equal(8, json.GetProperty("now").GetProperty("at_instruction").GetArrayLength());
            Assert.Equal(0, json.GetProperty("now").GetProperty("margin").GetProperty("median").GetDouble());
        }
    }

    /// <summary>A share of the requests is watched; those that change the model themselves are not compared.</summary>
    [Fact]
    public async Task RequestsThatAreNotWatched_AreLeftOut()
    {
        var policy = MonitoredServer.WritePolicy(_temp, """{"share": 0.5, "reruns": false}""");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        var answers = new { vision = new[] { "green" }, text = new[] { "purple" } };
        for (var i = 0; i < 40; i++)
        {
            await server.Post("/v1/chat/completions", RunningServer.Chat(("anchorscope", new { answers }), ("max_tokens", 1)));
            await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 1)));
        }
        for (var i = 0; i < 40; i++)
            await server.Post(
                "/v1/chat/completions", RunningServer.Chat(("anchorscope", new { answers, follow = false }), ("max_tokens", 1)));
        await server.Server.Monitor.Finish();
        Assert.InRange(server.Server.Monitor.Requests, 10, 30);
        Assert.InRange(server.Server.Monitor.Own, 10, 30);
        Assert.Equal((0, 0), server.Server.Monitor.RerunCounts);
    }

    [Theory]
    [InlineData("""{"share": 2}""", "a number from 0 to 1")]
    [InlineData("""{"alpha": 0}""", "monitor.alpha")]
    [InlineData("""{"watch": ["margins"]}""", "did you mean margin?")]
    [InlineData("""{"condition": "both"}""", "one of all, vision, text")]
    [InlineData("""{"rules": [{"alert": "margin", "knob": "other"}]}""", "one of arbitration")]
    [InlineData("""{"rules": [{"alert": "last.99", "knob": "arbitration"}]}""", "monitor.rules[0].alert")]
    [InlineData("""{"windows": 5}""", "did you mean window?")]
    public async Task AWrongMember_StopsTheStart(string monitor, string message)
    {
        var policy = MonitoredServer.WritePolicy(_temp, monitor);
        var wrong = await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(options => options with { Policy = policy }));
        Assert.Contains(message, wrong.Message, StringComparison.Ordinal);
        Assert.StartsWith(policy, wrong.Message, StringComparison.Ordinal);
    }

    private static string Labels(string line) => string.Concat(line.Order());

    public void Dispose() => _temp.Dispose();
}
