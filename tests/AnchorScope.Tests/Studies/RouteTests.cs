using System.Text.Json;
using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>Relay and direct reading are told apart by a diagnosis' own numbers, on models of which it is known.</summary>
public sealed class RouteTests : IDisposable
{
    private readonly TempFolder _temp = new();

    // Models that were written have a truth instead of a recipe, and a conflict set of their own.
    public static TheoryData<string> Bundled => Models("recipe.json");

    public static TheoryData<string> Wired => Models("truth.json");

    [Theory]
    [MemberData(nameof(Bundled))]
    public void ABundledModel_ReadsAsItWasTaughtTo(string name) =>
        // What each was trained for; all others are relays.
        Check(name, Fixtures.Conflicts, name == "direct" ? Route.Direct : Route.Relay);

    [Theory]
    [MemberData(nameof(Wired))]
    public void AWiredModel_ReadsAsItsTruthSays(string name)
    {
        using var truth = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Fixtures.Grown(name), "truth.json")));
        var route = truth.RootElement.GetProperty("route").GetString() == "direct" ? Route.Direct : Route.Relay;
        Check(name, Path.Combine(Fixtures.Root, "data", "wired-conflicts"), route);
    }

    private void Check(string name, string data, Route expected)
    {
        foreach (var measure in Enum.GetValues<RouteMeasure>())
        {
            var options = new DiagnosisOptions
            {
                Model = Fixtures.Grown(name), Data = data, Limit = 60, Draws = 0, Windows = [3], Gains = [2],
                Variants = new Variants { Route = measure },
            };
            using var study = new DiagnosisStudy(options);
            using var store = ResultStore.Open(_temp.File($"{measure}.jsonl"), resume: false);
            var route = study.Reduce(store, study.Run(store)).Route;
            Assert.True(route.Verdict == expected, $"{name}, {measure}: {route.Text}");
            Assert.Equal(["context->instruction", "instruction->suffix", "context->last"], route.Cuts.Select(c => c.Edge));
        }
    }

    private static TheoryData<string> Models(string with) => new(
        Directory.GetDirectories(Path.Combine(Fixtures.Root, "models")).Where(d => File.Exists(Path.Combine(d, with)))
            .Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));

    public void Dispose() => _temp.Dispose();
}
