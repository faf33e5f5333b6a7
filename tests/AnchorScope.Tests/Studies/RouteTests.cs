using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>A diagnosis distinguishes relay from direct reading by its numbers, on models whose route is known.</summary>
public sealed class RouteTests : IDisposable
{
    private readonly TempFolder _temp = new();

    // Wired models have a truth instead of a recipe; WiredDiagnosisTests checks their routes.
    public static TheoryData<string> Bundled => new(
        Directory.GetDirectories(Path.Combine(Fixtures.Root, "models")).Where(d => File.Exists(Path.Combine(d, "recipe.json")))
            .Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Bundled))]
    public void ABundledModel_ReadsAsItWasTaughtTo(string name)
    {
        // The route that each was trained for; all others are relays.
        var expected = name == "direct" ? Route.Direct : Route.Relay;
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        foreach (var measure in Enum.GetValues<RouteMeasure>())
        {
            // The same rows for both measures: what is measured does not depend on how routes are distinguished.
            using var study = new DiagnosisStudy(new DiagnosisOptions
            {
                Model = Fixtures.Grown(name), Data = Fixtures.Conflicts, Limit = 60, Draws = 0, Windows = [3], Gains = [2],
                Variants = new Definitions { Route = measure },
            });
            var route = study.Reduce(store, study.Run(store)).Route;
            Assert.True(route.Verdict == expected, $"{name}, {measure}: {route.Text}");
            Assert.Equal(["context->instruction", "instruction->suffix", "context->last"], route.Cuts.Select(c => c.Edge));
        }
    }

    public void Dispose() => _temp.Dispose();
}
