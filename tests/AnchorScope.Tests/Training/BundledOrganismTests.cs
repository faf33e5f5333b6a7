using System.Security.Cryptography;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Training;

namespace AnchorScope.Tests.Training;

/// <summary>The organisms in models/: that they are what their files say, and that a diagnosis tells them apart by its own numbers.</summary>
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
        Assert.Equal(provenance.RootElement.GetProperty("weights_sha256").GetString(), Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, "model.safetensors")))));
        var recipe = Recipe.Load(Path.Combine(Fixtures.Root, "recipes", $"{name}.json"));
        Assert.Equal(recipe.ToJson(), File.ReadAllText(Path.Combine(folder, "recipe.json")));
        Assert.Equal((recipe.Seed, recipe.Stages.Sum(s => s.Steps)), (provenance.RootElement.GetProperty("seed").GetUInt64(), provenance.RootElement.GetProperty("steps").GetInt32()));
        // The last line of the curve is the last step of the last stage.
        using var last = JsonDocument.Parse(File.ReadLines(Path.Combine(folder, "curve.jsonl")).Last());
        Assert.Equal((recipe.Stages[^1].Name, recipe.Stages[^1].Steps), (last.RootElement.GetProperty("Stage").GetString(), last.RootElement.GetProperty("Step").GetInt32()));
        Assert.True(File.Exists(Path.Combine(folder, "curve.svg")));
    }

    [Fact]
    public void AllOfThem_AreSmall() =>
        Assert.InRange(Directory.EnumerateFiles(Path.Combine(Fixtures.Root, "models"), "*", SearchOption.AllDirectories).Sum(f => new FileInfo(f).Length), 1, MostBytes);

    [Fact]
    public void RelayAndDirectReading_AreToldApart()
    {
        // Instructed answers when picture and text cannot be read by the instruction, and when they cannot be read by the last position.
        var (relay, direct) = (Cut("relay"), Cut("direct"));
        Assert.InRange(relay.Whole, 0.85, 1);
        Assert.InRange(direct.Whole, 0.85, 1);
        Assert.InRange(relay.NotByInstruction, 0, 0.6);
        Assert.InRange(relay.NotByLast, relay.Whole - 0.1, 1);
        Assert.InRange(direct.NotByInstruction, direct.Whole - 0.1, 1);
        Assert.InRange(direct.NotByLast, 0, 0.6);
    }

    private (double Whole, double NotByInstruction, double NotByLast) Cut(string name)
    {
        using var study = new DiagnosisStudy(new DiagnosisOptions { Model = Fixtures.Grown(name), Data = Fixtures.Conflicts, Limit = 40, Windows = [3], Draws = 0, Gains = [2], Shares = [0.05] });
        using var store = ResultStore.Open(_temp.File(name + ".jsonl"), resume: false);
        var found = study.Reduce(store, study.Run(store));
        double All(string edge) => found.Knockouts.First(k => k.Edge == edge).AllLayers!.Argmax.All.Mean;
        return (found.Following[0].Argmax.All.Mean, All("context->instruction"), All("context->last"));
    }
}
