using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server.Api;
using AnchorScope.Server.Monitoring;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>Policies and traffic for tests of the monitor.</summary>
internal static class MonitoredServer
{
    public static (int Layer, int Head)[] Heads { get; } = [(2, 1), (3, 5), (3, 7)];

    /// <summary>A policy with a head set, a knob for it, and rules that put it back at any alert.</summary>
    public static string WritePolicy(TempFolder temp, string? monitor = null)
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var identity = model.Checkpoint.Identity;
        var set = new HeadSet("relay", identity.Weights, model.Tokenizer.Sha256, "", HeadSet.ByHand,
            [.. Heads.Select(head => new ScoredHead(head.Layer, head.Head, double.NaN))]) { Files = identity.Files };
        File.WriteAllText(temp.File("heads.json"), HeadSetFile.Text(set));
        var path = temp.File("policy.json");
        var rules = string.Join(", ", Quantities.Groups.Select(group => $$"""{"alert": "{{group}}", "knob": "arbitration"}"""));
        File.WriteAllText(path, $$"""
            {"version": 1, "name": "test", "model": "{{identity.Weights}}",
             "head_sets": [{"name": "arbiters", "file": "heads.json", "sha256": "{{Digest.OfFile(temp.File("heads.json"))}}"}],
             "knobs": [{"name": "arbitration", "set": "arbiters", "default": 1, "bounds": [0, 2]}],
             "monitor": {{monitor ?? $$"""{"window": 400, "rules": [{{rules}}]}"""}}}
            """);
        return path;
    }

    /// <summary>Requests for conflicts of the bundled data, in random order.</summary>
    /// <param name="limit">As ascope profile draws them.</param>
    /// <param name="all">Of both sets, as in a profile; otherwise only of the test set.</param>
    public static List<object> Bodies(ulong seed, int? limit = null, bool all = false)
    {
        var data = DiagnosisData.Load(Fixtures.Conflicts, null, 0);
        var random = new SplitMix(seed);
        var samples = (all ? new[] { data.Rank, data.Test } : [data.Test]).SelectMany(set => set.Samples)
            .Where(sample => sample.Kind == SampleKind.Conflict).Select(sample => (sample, key: random.Next())).ToList();
        var runs = samples.OrderBy(pair => pair.key).Take(limit ?? samples.Count).SelectMany(pair => pair.sample.Runs).ToList();
        return [.. runs.Select(run => (run, key: random.Next())).OrderBy(pair => pair.key)
            .Select(pair => Body(ProfileRun.Request(pair.run, data.Layout, "relay")))];
    }

    /// <summary>What the monitor knows once it has added so many requests.</summary>
    public static async Task<MonitorSnapshot> Settled(RunningServer server, int requests)
    {
        var until = DateTime.UtcNow.AddSeconds(60);
        while (server.Server.Monitor.Requests < requests && DateTime.UtcNow < until) await Task.Delay(1, CancellationToken.None);
        return server.Server.Monitor.Snapshot();
    }

    private static Dictionary<string, object?> Body(ApiRequest request)
    {
        var picture = 0;
        object Part(ContentPart part) => part is TextPart text ? new { type = "text", text = text.Text }
            : new { type = "image_url", image_url = new { url = request.Pictures[picture++].Address } };
        return new()
        {
            ["model"] = request.Model,
            ["messages"] = request.Messages.Select(m => new { role = m.Role, content = m.Content.Select(Part).ToArray() }).ToArray(),
            ["max_tokens"] = 1,
            ["temperature"] = 0,
            ["anchorscope"] = new
            {
                answers = new { vision = request.Steering.VisionAnswers, text = request.Steering.TextAnswers },
                report = new[] { "decision" },
                spans = request.Steering.Spans.Select(
                    span => new { message = span.Message, part = span.Part, from = span.From, to = span.To, kind =
            EnumName.Of(span.Kind) }),
            },
        };
    }
}
