using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>Relay and direct reading are told apart by a diagnosis' own numbers, on models of which it is known.</summary>
public sealed class RouteTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string> Bundled => new(Directory.GetDirectories(Path.Combine(Fixtures.Root, "models")).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Bundled))]
    public void ABundledModel_ReadsAsItWasTaughtTo(string name)
    {
        // What each was trained or written for; all others are relays.
        var expected = name is "direct" or "wired-direct" ? Route.Direct : Route.Relay;
        var data = name.StartsWith("wired-", StringComparison.Ordinal) ? Path.Combine(Fixtures.Root, "data", "wired-conflicts") : Fixtures.Conflicts;
        foreach (var measure in Enum.GetValues<RouteMeasure>())
        {
            var options = new DiagnosisOptions { Model = Path.Combine(Fixtures.Root, "models", name), Data = data, Limit = 60, Draws = 0, Windows = [3], Gains = [2], Variants = new Variants { Route = measure } };
            using var study = new DiagnosisStudy(options);
            using var store = ResultStore.Open(_temp.File($"{measure}.jsonl"), resume: false);
            var route = study.Reduce(store, study.Run(store)).Route;
            Assert.True(route.Verdict == expected, $"{name}, {measure}: {route.Text}");
            Assert.Equal(["context->instruction", "instruction->suffix", "context->last"], route.Cuts.Select(c => c.Edge));
        }
    }

    public void Dispose() => _temp.Dispose();
}
