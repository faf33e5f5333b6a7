using System.Xml.Linq;
using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// What the summary says when the measurements say something else: a small diagnosis whose recorded outcomes are changed and
/// reduced again.
/// </summary>
public sealed class FindingTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly DiagnosisStudy _study = new(new DiagnosisOptions { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 24, Windows = [3], Draws = 2, Gains = [2] });
    private readonly ResultStore _store;
    private readonly HeadPlan _plan;

    public FindingTests()
    {
        _store = ResultStore.Open(_folder.File("results.jsonl"), resume: false);
        _plan = _study.Run(_store);
    }

    [Fact]
    public void EachSentence_SaysWhatTheNumbersSay()
    {
        AsMeasured();
        Changed("the other answer in half of the runs", (run, i) => run["baseline"] = i % 2 == 0 ? run["baseline"] : Swapped(run["baseline"]), f =>
        {
            Assert.Equal(FindingStatus.Absent, f[0].Status);
            Assert.Contains("does not choose by the instruction", f[0].Text, StringComparison.Ordinal);
        });
        Changed("the two cuts exchanged", (run, _) => Exchange(run, "knockout/instruction->suffix/all", "knockout/context->last/all"), f =>
        {
            Assert.Equal(FindingStatus.Present, f[0].Status);
            Assert.Contains("decides at the last position, which reads the context directly", f[0].Text, StringComparison.Ordinal);
        });
        ChangedRoute("as measured", (_, _) => { }, Route.Relay, "Relay: ");
        ChangedRoute("the cuts of the context exchanged", (run, _) => Exchange(run, "knockout/context->instruction/all", "knockout/context->last/all"), Route.Direct, "Direct: ");
        ChangedRoute("both cuts of the context hurt", (run, _) => run["knockout/context->last/all"] = run["knockout/context->instruction/all"], Route.Mixed, "Mixed: ");
        ChangedRoute("no cut hurts", (run, _) => run["knockout/context->instruction/all"] = run["baseline"], Route.Undecided, "neither route is needed alone");
        ChangedRoute("what is gathered is not needed", (run, _) => run["knockout/instruction->suffix/all"] = run["baseline"], Route.Undecided, "not needed behind them");
        ChangedRoute("a cut hurts a third of the runs", (run, i) => run["knockout/context->last/all"] = run[i % 3 == 0 ? "knockout/context->instruction/all" : "baseline"], Route.Undecided, "too close to the threshold");
        ChangedRoute("the other answer in half of the runs", (run, i) => run["baseline"] = i % 2 == 0 ? run["baseline"] : Swapped(run["baseline"]), Route.Undecided, "does not choose by the instruction");
        ChangedRoute("the runs say a third thing, but prefer the right one of the two", (run, i) =>
        {
            if (i % 2 == 0) run["baseline"] = run["baseline"] with { ArgMax = 0 };
            foreach (var random in new[] { "random5/0", "random5/1", "layer5/0", "layer5/1" }) run[$"gain/{random}/2"] = run["baseline"];
        }, Route.Undecided, "in too few runs");
        ChangedRoute("an edge is missing", (run, _) => run.Remove("knockout/context->last/all"), Route.Undecided, "lack one of the edges");
        Changed("both cuts alike", (run, _) => run["knockout/context->last/all"] = run["knockout/instruction->suffix/all"], f =>
        {
            Assert.Equal(FindingStatus.Unclear, f[0].Status);
            Assert.Contains("cannot be told", f[0].Text, StringComparison.Ordinal);
        });
        Changed("the block changes nothing", (run, _) => run["block/top5"] = run["baseline"], f =>
        {
            Assert.Equal(FindingStatus.Absent, f[1].Status);
            Assert.Contains("No small set of heads decides", f[1].Text, StringComparison.Ordinal);
        });
        Changed("a random set does as much", (run, _) => run["block/random5/1"] = run["block/top5"], f =>
        {
            Assert.Equal(FindingStatus.Unclear, f[1].Status);
            Assert.Contains("a random set does as much", f[1].Text, StringComparison.Ordinal);
        });
        Changed("every failed run repaired, and there are enough", (run, i) =>
        {
            if (i % 2 == 1) return;
            run["gain/top5/2"] = run["baseline"];
            run["baseline"] = run["baseline"] with { ArgMax = 0 };
            foreach (var random in new[] { "random5/0", "random5/1", "layer5/0", "layer5/1" }) run[$"gain/{random}/2"] = run["baseline"];
        }, f =>
        {
            Assert.Equal(FindingStatus.Present, f[2].Status);
            Assert.Contains("random heads repair 0 %", f[2].Text, StringComparison.Ordinal);
        });
        Changed("enough failed runs, none repaired", (run, i) =>
        {
            if (i % 2 == 1) return;
            run["baseline"] = run["baseline"] with { ArgMax = 0 };
            foreach (var set in new[] { "top5", "top10", "deep5", "random5/0", "random5/1", "layer5/0", "layer5/1" }) run[$"gain/{set}/2"] = run["baseline"];
        }, f =>
        {
            Assert.Equal(FindingStatus.Absent, f[2].Status);
            Assert.Contains("inside the noise", f[2].Text, StringComparison.Ordinal);
        });
        Report();
    }

    private void AsMeasured()
    {
        var findings = _study.Reduce(_store, _plan).Findings;
        Assert.Equal([FindingStatus.Present, FindingStatus.Present, FindingStatus.Unclear], findings.Select(f => f.Status));
        Assert.Contains("decides at the instruction tokens", findings[0].Text, StringComparison.Ordinal);
        Assert.Contains("so these heads carry the answer as such", findings[1].Text, StringComparison.Ordinal);
        Assert.Contains("too few to say", findings[2].Text, StringComparison.Ordinal);
    }

    /// <summary>The page holds every part, is XML, needs nothing from outside, and escapes what the data say.</summary>
    private void Report()
    {
        var found = _study.Reduce(_store, _plan);
        var hostile = found with { Model = found.Model with { Name = "<script>alert(1)</script>" }, Rejected = [new RejectedLine("set.jsonl", 3, "<b>", "\"&<>'")] };
        DiagnosisReport.Write(_folder.Path, hostile, Fixtures.Conflicts);
        var page = XDocument.Load(_folder.File("report.html"));
        Assert.Empty(page.Descendants("script"));
        Assert.Contains("<script>alert(1)</script>", page.Descendants("h1").Single().Value, StringComparison.Ordinal);
        Assert.Contains(page.Descendants("td"), cell => cell.Value == "\"&<>'");
        Assert.All(found.Findings, finding => Assert.Contains(finding.Text, page.Root!.Value, StringComparison.Ordinal));
        Assert.Contains(found.Prompt.Text, page.Root!.Value, StringComparison.Ordinal);
        Assert.Contains(found.Model.Provenance!, page.Root.Value, StringComparison.Ordinal);
        string[] figures = ["amplification", "blocking", "heads", "increments", "knockout", "knockout-mfr", "ldar", "mam", "reading-instruction", "reading-last", "windows"];
        Assert.Equal(figures, Directory.GetFiles(_folder.File("figures")).Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));
        Assert.Equal(figures.Length, page.Descendants("figcaption").Count());
        Assert.All(Directory.GetFiles(_folder.File("figures")), file => Assert.Equal("svg", XDocument.Load(file).Root!.Name.LocalName));
        Assert.True(page.Descendants("img").Count() >= 4, "examples without pictures");
    }

    private void ChangedRoute(string what, Action<Dictionary<string, Outcome>, int> change, Route verdict, string says) => Reduced(what, change, found =>
    {
        Assert.Equal(verdict, found.Route.Verdict);
        Assert.Contains(says, found.Route.Text, StringComparison.Ordinal);
    });

    private void Changed(string what, Action<Dictionary<string, Outcome>, int> change, Action<IReadOnlyList<Finding>> check) => Reduced(what, change, found => check(found.Findings));

    private void Reduced(string what, Action<Dictionary<string, Outcome>, int> change, Action<Diagnosis> check)
    {
        var runs = _study.Data.Test.Samples.SelectMany(s => _store.Find("test", s.Id)!).ToList();
        var before = runs.Select(r => r.Outcomes.ToList()).ToList();
        for (var i = 0; i < runs.Count; i++) change(runs[i].Outcomes, i);
        try
        {
            check(_study.Reduce(_store, _plan));
        }
        catch (Xunit.Sdk.XunitException e)
        {
            throw new Xunit.Sdk.XunitException($"{what}: {e.Message}", e);
        }
        for (var i = 0; i < runs.Count; i++)
        {
            runs[i].Outcomes.Clear();
            foreach (var (condition, outcome) in before[i]) runs[i].Outcomes[condition] = outcome;
        }
    }

    private static Outcome Swapped(Outcome o) => o with { Following = o.Competing, Competing = o.Following };

    private static void Exchange(Dictionary<string, Outcome> run, string a, string b) => (run[a], run[b]) = (run[b], run[a]);

    public void Dispose()
    {
        _study.Dispose();
        _store.Dispose();
        _folder.Dispose();
    }
}
