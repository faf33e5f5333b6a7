using System.Text.Json;
using AnchorScope.Conflicts;
using AnchorScope.Interventions;

namespace AnchorScope.Tests.Wired;

/// <summary>The roles of truth.json equal those that exchanging activations between runs shows, head by head.</summary>
public sealed class WiredRoleTests
{
    private const int Samples = 6;
    private const double Nearly = 0.95;
    private const double Hardly = 0.05;

    public static TheoryData<string> Names => WiredModelTests.Names;

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryHead_HasTheRoleThatExchangeGives(string name)
    {
        using var runs = new WiredRuns(name);
        var exchange = new WiredExchange(runs, Samples);
        using var truth = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Fixtures.Grown(name), "truth.json")));
        var together = truth.RootElement.GetProperty("arbiters_act_together").GetBoolean();
        Assert.Equal(runs.Shape.Layers * runs.Shape.Heads, truth.RootElement.GetProperty("heads").GetArrayLength());
        foreach (var head in truth.RootElement.GetProperty("heads").EnumerateArray())
        {
            var place = (head.GetProperty("layer").GetInt32(), head.GetProperty("head").GetInt32());
            var role = head.GetProperty("role").GetString();
            // What two arbiters do together is the next test.
            if (!together || role != "arbiter") Assert.Equal($"{place} {role}", $"{place} {Measured(exchange, place)}");
            Assert.Equal($"{place} {head.GetProperty("blocked").GetString()}", $"{place} {Blocked(exchange, place)}");
        }
    }

    [Fact]
    public void TwoArbiters_AreEnoughEach_AndSwitchTogether()
    {
        using var runs = new WiredRuns("wired-redundant");
        var exchange = new WiredExchange(runs, Samples);
        (int, int)[] both = [(1, 2), (2, 0)];
        foreach (var one in both)
        {
            Assert.Equal(1, exchange.Share([one], Site.Query, c => c.Contrary, c => c.Own));
            Assert.Equal(1, exchange.Share([one], Site.HeadOut, c => c.Stranger, c => c.Own));
            Assert.Equal(1, exchange.Blocked([one]).Own);
        }
        Assert.Equal(1, exchange.Share(both, Site.Query, c => c.Contrary, c => c.Contrary));
        Assert.Equal(1, exchange.Share(both, Site.HeadOut, c => c.Stranger, c => c.Stranger));
        Assert.Equal(1, exchange.Blocked(both).Unsure);
    }

    private static string Measured(WiredExchange exchange, (int, int) head)
    {
        var choice = exchange.Share([head], Site.Query, c => c.Contrary, c => c.Contrary);
        var own = exchange.Share([head], Site.HeadOut, c => c.Stranger, c => c.Contrary);
        var donor = exchange.Share([head], Site.HeadOut, c => c.Stranger, c => c.Stranger);
        var question = exchange.Share([head], Site.HeadOut, c => c.Question, c => c.Question);
        var picture = exchange.Share([head], Site.HeadOut, c => c.Picture, c => c.Picture, Modality.Vision);
        var note = exchange.Share([head], Site.HeadOut, c => c.Note, c => c.Note, Modality.Text);
        var neither = exchange.Blocked([head]).Unsure;
        double[] shares = [choice, own, donor, question, picture, note, neither];
        // Nothing in between: what a head does, it does in nearly all runs or in hardly any.
        Assert.All(shares[..^1], share => Assert.True(share is >= Nearly or <= Hardly, $"{head}: {string.Join(", ", shares)}"));
        return shares switch
        {
            [>= Nearly, ..] => "arbiter",
            [_, >= Nearly, ..] => "carrier_choice",
            [_, _, >= Nearly, ..] => "carrier_decision",
            [_, _, _, >= Nearly, <= Hardly, <= Hardly, _] => "carrier_question",
            [_, _, _, <= Hardly, >= Nearly, <= Hardly, _] => "carrier_picture",
            [_, _, _, <= Hardly, <= Hardly, >= Nearly, _] => "carrier_note",
            [_, _, _, <= Hardly, <= Hardly, <= Hardly, >= Nearly] => "brake",
            [_, _, _, <= Hardly, <= Hardly, <= Hardly, <= Hardly] => "none",
            [_, _, _, _, _, _, <= Hardly or >= Nearly] => "hub",
            _ => $"unclear: {string.Join(", ", shares)}",
        };
    }

    private static string Blocked(WiredExchange exchange, (int, int) head)
    {
        var (vision, text) = (exchange.Blocked([head], Modality.Vision), exchange.Blocked([head], Modality.Text));
        return (vision, text) switch
        {
            ({ Own: >= Nearly }, { Own: >= Nearly }) => "kept",
            ({ Unsure: >= Nearly }, { Unsure: >= Nearly }) => "unsure",
            ({ Other: >= Nearly }, { Other: >= Nearly }) => "other",
            ({ Unsure: >= Nearly }, { Own: >= Nearly }) => "unsure_for_picture",
            ({ Own: >= Nearly }, { Unsure: >= Nearly }) => "unsure_for_note",
            _ => $"picture {vision}, note {text}",
        };
    }
}
