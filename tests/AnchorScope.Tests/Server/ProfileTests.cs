using System.Diagnostics;
using System.Text.Json.Nodes;
using AnchorScope.Conflicts;
using AnchorScope.Models;
using AnchorScope.Server;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;
using Xunit.Abstractions;

namespace AnchorScope.Tests.Server;

/// <summary>What ascope profile writes, and what is refused.</summary>
public sealed class ProfileTests(ITestOutputHelper output) : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public async Task AProfile_IsTheSameOnAnyNumberOfThreads_AndOnlyForItsModelAndPolicy()
    {
        var model = Fixtures.Grown("relay");
        (int ExitCode, string Output, string Error) Profile(params string[] more) =>
            Ascope.Run(_temp.Path, ["profile", model, "--data", Fixtures.Conflicts, "--limit", "5", "--seed", "3", .. more]);
        var (exit, output, error) = Profile("--out", "one.json", "--threads", "1");
        Assert.True(exit == 0 && output.Trim() == "one.json: 10 requests", output + error);
        Assert.Equal(0, Profile("--out", "two.json", "--threads", "2").ExitCode);
        Assert.Equal(File.ReadAllBytes(_temp.File("one.json")), File.ReadAllBytes(_temp.File("two.json")));
        Assert.Contains("--force overwrites it", Profile("--out", "one.json").Error, StringComparison.Ordinal);
        Assert.Equal(0, Ascope.Run(_temp.Path, "profile", model, "--data", Fixtures.Conflicts, "--limit", "5", "--seed", "4", "--out",
            "other.json").ExitCode);
        Assert.NotEqual(File.ReadAllBytes(_temp.File("one.json")), File.ReadAllBytes(_temp.File("other.json")));
        Assert.Equal(2, Ascope.Run(_temp.Path, "profile", model, "--data", "nothing", "--out", "no.json").ExitCode);
        Assert.False(File.Exists(_temp.File("no.json")));

        var text = File.ReadAllText(_temp.File("one.json"));
        var json = JsonNode.Parse(text)!;
        Assert.Equal(("10", "3", "2"), (json["requests"]!.ToString(), json["seed"]!.ToString(), json["definitions"]!["top_k"]!.ToString()));
        Assert.Equal(["rank.jsonl", "test.jsonl"], json["data"]!.AsObject().Select(file => file.Key));
        foreach (var (there, instead, message) in new[]
        {
            ("\"version\":1", "\"version\":2", "version"),
            ("\"cpu-f32/1\"", "\"gpu\"", "numerics"),
            ("\"top_k\":\"2\"", "\"top_k\":\"3\"", "definitions.top_k: expected the definitions of this version, 2, found 3"),
            ("\"knobs\":{}", "\"knobs\":{\"arbitration\":1}", "knobs.arbitration"),
            ("\"head_sets\":{}", "\"head_sets\":{\"arbiters\":\"ab\"}", "head_sets.arbiters"),
            ("\"requests\":10", "\"requests\":11", "requests"),
            ("\"margin\":{", "\"margins\":{", "did you mean margin?"),
            ("\"error\":0.001", "\"error\":0.0000001", "error"),
        })
        {
            Assert.Contains(there, text, StringComparison.Ordinal);
            File.WriteAllText(_temp.File("wrong.json"), text.Replace(there, instead, StringComparison.Ordinal));
            var wrong = await Assert.ThrowsAsync<InputException>(
                () => RunningServer.Start(options => options with { Profile = _temp.File("wrong.json") }));
            Assert.Contains(message, wrong.Message, StringComparison.Ordinal);
        }
        var refused = await Assert.ThrowsAsync<InputException>(
            () => RunningServer.Start(options => options with { Profile = _temp.File("one.json"), Model = Fixtures.Grown("direct") }));
        Assert.Contains("one.json: profile: expected one that was made for this model, found one for another: other weights",
            refused.Message,
            StringComparison.Ordinal);
        var policy = MonitoredServer.WritePolicy(_temp);
        var other = await Assert.ThrowsAsync<InputException>(
            () => RunningServer.Start(options => options with { Profile = _temp.File("one.json"), Policy = policy }));
        Assert.Contains("head_sets.arbiters: expected the head sets of the policy that is served", other.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AKilledRun_LeavesNothing()
    {
        using var running = Ascope.Start(_temp.Path, "profile", Fixtures.Grown("relay"), "--data",
            Fixtures.Conflicts, "--out", "killed.json");
        await Task.Delay(1500, CancellationToken.None);
        if (OperatingSystem.IsWindows()) running.Kill();
        else
        {
            using var kill = Process.Start("kill", ["-TERM", $"{running.Id}"]);
            await kill.WaitForExitAsync();
        }
        var error = await running.StandardError.ReadToEndAsync();
        await running.WaitForExitAsync();
        Assert.NotEqual(0, running.ExitCode);
        Assert.Empty(Directory.GetFiles(_temp.Path));
        if (!OperatingSystem.IsWindows()) Assert.DoesNotContain("Unhandled", error, StringComparison.Ordinal);
    }

    /// <summary>
    /// The error rates on the bundled model's own numbers: half of the conflicts make the profile, streams are drawn from the other half.
    /// A harder kind of conflict is a shift.
    /// </summary>
    [Fact]
    public async Task StreamsOfTheBundledModel_HaveTheStatedErrorRate()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        using var served =
            new ServedModel(model, "relay", new SchedulerOptions(), Policy.None, TimeProvider.System) { Watches = () => true };
        Quantities quantities = new(model.Engine.Shape, []);
        async Task<List<double[]>> Readings(string name)
        {
            var set = AnswerEntities.Filter(ConflictSet.Load(Path.Combine(Fixtures.Conflicts, name + ".jsonl")), model.Tokenizer);
            var readings = new List<double[]>();
            await ProfileRun.Each(served, [.. set.Samples.SelectMany(sample => sample.Runs)], PromptLayout.Beside(Fixtures.Conflicts),
                (_, decision) => readings.Add(quantities.Of(decision)), CancellationToken.None);
            return readings;
        }
        List<double[]> normal = [.. await Readings("rank"), .. await Readings("test")];
        var noisy = await Readings("hard");
        const int Streams = 400;
        const double Alpha = 0.05;
        var (raised, missed) = (0, 0);
        var delays = new List<int>();
        for (var stream = 0; stream < Streams; stream++)
        {
            var random = new SplitMix((ulong)stream);
            List<double[]> Shuffled(List<double[]> list) =>
                [.. list.Select(r => (r, key: random.Next())).OrderBy(p => p.key).Select(p => p.r)];
            var all = Shuffled(normal);
            var totals = new ReadingTotals(quantities, Profile.SketchError);
            foreach (var reading in all.Take(all.Count / 2)) totals.Add("neither", reading);
            var watched = Enumerable.Range(0, quantities.All.Count).Where(i => totals.Sketches[i].Count > 0).ToList();
            Watch[] Watches() => [.. watched.Select(i => new Watch(quantities.All[i], totals.Sketches[i], watched.Count / Alpha, 500))];
            int? First(IEnumerable<double[]> requests)
            {
                var (watches, seen) = (Watches(), 0);
                foreach (var request in requests)
                {
                    seen++;
                    for (var i = 0; i < watched.Count; i++)
                    {
                        if (double.IsFinite(request[watched[i]]) && watches[i].Add(request[watched[i]]) == WatchEvent.Raised) return seen;
                    }
                }
                return null;
            }
            if (First(all.Skip(all.Count / 2).Take(500)) is not null) raised++;
            if (First(Shuffled(noisy)) is { } delay) delays.Add(delay);
            else missed++;
        }
        delays.Sort();
        output.WriteLine(
            $"{raised} of {Streams} streams raised an alert; noisy pictures: {missed} missed, median {delays[delays.Count / 2]}, "
                + $"95 % within {delays[(int)(0.95 * delays.Count)]}");
        Assert.True(raised <= Alpha * Streams + 3 * Math.Sqrt(Alpha * (1 - Alpha) * Streams), $"{raised} of {Streams}");
        Assert.True(missed == 0 && delays[(int)(0.95 * delays.Count)] <= 100, $"missed {missed}, delays {string.Join(' ', delays)}");
    }

    public void Dispose() => _temp.Dispose();
}
