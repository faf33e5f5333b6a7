using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Server.Monitoring;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server.Pages;

/// <summary>Numbers that no model gave, to see the pages with.</summary>
internal static class MadeUp
{
    /// <summary>What a monitor of the bundled relay might know, with a raised alert.</summary>
    public static MonitorSnapshot Snapshot { get; } = new()
    {
        Now = Summary(412, 0.4),
        Profile = Summary(2000, 0),
        Reruns =
        [
            new("text context → instruction cut", 120, 41, Around(1.9, 0.9)), new("text context → last cut", 120, 3, Around(0.2, 0.3)),
            new("instruction → suffix cut", 118, 52, Around(-2.4, 1.1)), new("arbiters blocked", 118, 60, Around(-3.1, 1.4)),
        ],
        Alerts =
        [
            new(2, "margin at the instruction", "Since 10:40 the margin at layer 5 is lower than in 99.9 % of the profile's requests.",
                new DateTimeOffset(2026, 12, 1, 10, 52, 0, TimeSpan.Zero), null, 31.4, 20) { Action = "knob arbitration put back to 1" },
            new(1, "attention to the text context", "The instruction's tokens read more of the text context than the profile's requests.",
                new DateTimeOffset(2026, 12, 1, 8, 1, 0, TimeSpan.Zero),
                new DateTimeOffset(2026, 12, 1, 8, 31, 0, TimeSpan.Zero), 22.9, 20),
        ],
    };

    /// <summary>A policy for the bundled relay: a head set, a knob of it, and changes that requests may make.</summary>
    public static string WritePolicy(TempFolder temp)
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var identity = model.Checkpoint.Identity;
        var set = new HeadSet("relay", identity.Weights, model.Tokenizer.Sha256, "", HeadSet.ByHand,
            [new ScoredHead(2, 1, double.NaN), new ScoredHead(3, 5, double.NaN), new ScoredHead(3, 7, double.NaN)])
            { Files = identity.Files };
        File.WriteAllText(temp.File("heads.json"), HeadSetFile.Text(set));
        var path = temp.File("policy.json");
        File.WriteAllText(path, $$"""
            {"version": 1, "name": "ward 3", "model": "{{identity.Weights}}",
             "head_sets": [{"name": "arbiters", "file": "heads.json", "sha256": "{{Digest.OfFile(temp.File("heads.json"))}}"}],
             "knobs": [{"name": "arbitration", "set": "arbiters", "at": "instruction", "default": 1, "bounds": [0, 2]}],
             "interventions": {"kinds": ["head_gain", "edge_cut"], "factor": [0, 2]} }
            """);
        return path;
    }

    private static ReadingSummary Summary(long requests, double lower) => new()
    {
        Requests = requests,
        Decisions = new Dictionary<string, long>(StringComparer.Ordinal)
            { ["vision"] = requests * 55 / 100, ["text"] = requests * 41 / 100,
                ["neither"] = requests - requests * 55 / 100 - requests * 41 / 100 },
        Margin = Around(1.1 - lower, 3.2),
        AtInstruction = [.. new[] { 0.1, 0.2, -0.1, 1.4, 3.2, 4.9, 3.6, 1.2 }.Select(m => Around(m * (1 - lower), 0.4 + 0.3 * m))],
        AtLast = [.. new[] { 0.0, 0.1, 0.1, 0.2, 0.8, 1.1, 3.0, 6.9 }.Select(m => Around(m * (1 - lower / 2), 0.3 + 0.3 * m))],
        Heads = [.. new[] { (2, 1, -0.4), (3, 5, 1.3), (3, 7, -0.7) }.Select(h => new HeadMargins(h.Item1, h.Item2, Around(h.Item3, 0.3)))],
        Attention = [.. new[] { ("image", 0.31), ("text_context", 0.22 + lower / 5), ("question", 0.11), ("instruction", 0.3 - lower / 5) }
            .Select(s => new SpanShare(s.Item1, Around(s.Item2, 0.06)))],
    };

    private static Quantiles Around(double median, double spread)
    {
        var wide = Math.Abs(spread);
        return new Quantiles(100, median - 2 * wide, median - wide, median, median + wide, median + 2 * wide);
    }
}
