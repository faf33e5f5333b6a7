using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>Relay and direct reading are told apart by a diagnosis' own numbers, on models of which it is known.</summary>
public sealed class RouteTests : IDisposable
{
    private readonly TempFolder _temp = new();

    // Models that were written have a truth instead of a recipe; WiredDiagnosisTests holds their routes to it.
    public static TheoryData<string> Bundled => new(
        Directory.GetDirectories(Path.Combine(Fixtures.Root, "models")).Where(d => File.Exists(Path.Combine(d, "recipe.json")))
            .Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Bundled))]
    public void ABundledModel_ReadsAsItWasTaughtTo(string name)
    {
        // What each was trained for; all others are relays.
        var expected = name == "direct" ? Route.Direct : Route.Relay;
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        foreach (var measure in Enum.GetValues<RouteMeasure>())
        {
            // The same rows for both: what is measured does not depend on how routes are told apart.
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
