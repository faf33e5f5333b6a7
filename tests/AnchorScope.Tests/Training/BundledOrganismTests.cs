using System.Security.Cryptography;
using System.Text.Json;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Training;

namespace AnchorScope.Tests.Training;

/// <summary>The organisms in models/: they match what their files state, and a diagnosis distinguishes them by its numbers.</summary>
public sealed class BundledOrganismTests : IDisposable
{
    private const long MostBytes = 15_000_000;

    private readonly TempFolder _temp = new();

    public static TheoryData<string> Names => ["relay", "direct", "biased"];

    public void Dispose() => _temp.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Weights_AreThoseOfTheProvenance_AndTheRecipeThatOfTheRecipes(string name)
    {
        var folder = Fixtures.Grown(name);
        using var provenance = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "provenance.json")));
        Assert.Equal(provenance.RootElement.GetProperty("weights_sha256").GetString(),
            Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, "model.safetensors")))));
        var recipe = Recipe.Load(Path.Combine(Fixtures.Root, "recipes", $"{name}.json"));
        Assert.Equal(recipe.ToJson(), File.ReadAllText(Path.Combine(folder, "recipe.json")));
        Assert.Equal((recipe.Seed, recipe.Stages.Sum(s => s.Steps)),
            (provenance.RootElement.GetProperty("seed").GetUInt64(), provenance.RootElement.GetProperty("steps").GetInt32()));
        // The last line of the curve is the last step of the last stage.
        using var last = JsonDocument.Parse(File.ReadLines(Path.Combine(folder, "curve.jsonl")).Last());
        Assert.Equal((recipe.Stages[^1].Name, recipe.Stages[^1].Steps),
            (last.RootElement.GetProperty("Stage").GetString(), last.RootElement.GetProperty("Step").GetInt32()));
        Assert.True(File.Exists(Path.Combine(folder, "curve.svg")));
    }

    [Fact]
    public void AllOfThem_AreSmall() =>
        Assert.InRange(Directory.EnumerateFiles(Path.Combine(Fixtures.Root, "models"), "*", SearchOption.AllDirectories)
            .Sum(f => new FileInfo(f).Length), 1, MostBytes);

    [Fact]
    public void RelayAndDirectReading_AreToldApart()
    {
        // Instructed answers when the instruction cannot read picture and text, and when the last position cannot.
        var (relay, direct) = (Diagnose("relay"), Diagnose("direct"));
        Assert.InRange(Following(relay), 0.9, 1);
        Assert.InRange(Following(direct), 0.9, 1);
        Assert.InRange(Cut(relay, "context->instruction"), 0, 0.5);
        Assert.InRange(Cut(relay, "context->last"), Following(relay) - 0.05, 1);
        Assert.InRange(Cut(direct, "context->instruction"), Following(direct) - 0.05, 1);
        Assert.InRange(Cut(direct, "context->last"), 0, 0.5);
        Assert.Contains("decides at the instruction tokens", relay.Findings[0].Text, StringComparison.Ordinal);
        Assert.Contains("decides at the last position, which reads the context directly", direct.Findings[0].Text,
            StringComparison.Ordinal);
    }

    [Fact]
    public void TheBias_IsForPictures_AndItsFailuresAreRepaired()
    {
        var found = Diagnose("biased");
        var following = found.Following[0].Argmax;
        Assert.InRange(following.Vision.Mean - following.Text.Mean, 0.05, 1);
        double Recovered(string group) =>
            found.Amplification.First(a => a.Set == "test" && a.Group.Text == group).Points
                .First(p => p.Factor == 1.5).RecoveredArgmax.All.Mean;
        Assert.InRange(Recovered("top5"), 0.3, 1);
        Assert.InRange(Recovered("random5"), 0, 0.15);
    }

    private Diagnosis Diagnose(string name)
    {
        using var study = new DiagnosisStudy(
            new DiagnosisOptions { Model = Fixtures.Grown(name), Data = Fixtures.Conflicts, Limit = 40, Windows = [3], Draws = 2,
                Gains = [1.5], Shares = [0.05] });
        using var store = ResultStore.Open(_temp.File(name + ".jsonl"), resume: false);
        return study.Reduce(store, study.Run(store));
    }

    private static double Following(Diagnosis found) => found.Following[0].Argmax.All.Mean;

    private static double Cut(Diagnosis found, string edge) => found.Knockouts.First(k => k.Edge == edge).AllLayers!.Argmax.All.Mean;
}
