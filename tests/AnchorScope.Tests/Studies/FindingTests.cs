using System.Xml.Linq;
using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// The summary's sentences for other measurements: the recorded outcomes of the small diagnosis are changed and evaluated again.
/// </summary>
public sealed class FindingTests(SmallRun run) : IClassFixture<SmallRun>
{
    /// <summary>A margin that 24 samples can reach.</summary>
    private static readonly DiagnosisOptions Wide = SmallRun.Options with { EquivalenceMargin = 0.25 };

    private static readonly DiagnosisOptions WithoutDraws = SmallRun.Options with { Draws = 0 };

    private static readonly string[] Amplified = ["top5", "top10", "deep5"];

    private HeadPlan FewDraws => run.Plan.WithFewDraws();

    private IEnumerable<string> Controls =>
        run.Plan.Draws(HeadPlan.Random).Concat(run.Plan.Draws(HeadPlan.SameLayers)).Select(id => id.Text);

    [Fact]
    public void AsMeasured()
    {
        var findings = Reduced((_, _) => { }).Findings;
        Assert.Equal([FindingStatus.Present, FindingStatus.Present, FindingStatus.Present, FindingStatus.Unclear],
            findings.Select(f => f.Status));
        Assert.Contains("decides at the instruction tokens", findings[0].Text, StringComparison.Ordinal);
        Assert.Contains("arbitrate together", findings[1].Text, StringComparison.Ordinal);
        Assert.Contains("so answering as such needs these heads", findings[2].Text, StringComparison.Ordinal);
        Assert.Contains("none of 79 random sets takes as much (p = 0.013; the least that 79 draws can give is 0.013)", findings[2].Text,
            StringComparison.Ordinal);
        Assert.Contains("too few to say", findings[3].Text, StringComparison.Ordinal);
        // The family has four sentences; the last could not be tested.
        Assert.Equal([.. findings.Take(3).Select(f => f.Test!.Holm), 1], MultipleComparisons.Holm([.. findings.Select(f => f.Test!.P)]));
        Assert.Equal(0.0125, findings[2].Test!.P, 1e-12);
        Assert.Equal(0.0375, findings[2].Test!.Holm, 1e-12);
        Assert.All(findings, f => Assert.Equal(24, f.Test!.Samples));
    }

    /// <summary>Each of the four sentences when the measurements contradict it.</summary>
    private static readonly Dictionary<string, FindingCase> Cases = new(StringComparer.Ordinal)
    {
        ["half of the runs give the other answer, too few samples to say that there is no arbitration"] =
            new(0, FindingStatus.Unclear, "whether it chooses between the two answers by the instruction cannot be "
                + "determined") { Change = (_, o, i) => HalfSwapped(o, i) },
        ["half of the runs give the other answer, within the margin"] =
            new(0, FindingStatus.Absent, "does not choose by the instruction") { Change = (_, o, i) => HalfSwapped(o, i), Options = Wide },
        ["all runs give the other answer"] =
            new(0, FindingStatus.Absent, "chooses against the instruction") { Change = (_, o, _) =>
                o["baseline"] = Swapped(o["baseline"]) },
        ["the two cuts exchanged"] =
            new(0, FindingStatus.Present, "decides at the last position, which reads the context directly")
            {
                Change = (_, o, _) => Exchange(o, "knockout/instruction->suffix/all", "knockout/context->last/all"),
            },
        ["both cuts alike"] =
            new(0, FindingStatus.Unclear, "cannot be determined") { Change = (_, o, _) =>
                o["knockout/context->last/all"] = o["knockout/instruction->suffix/all"] },
        ["an edge is missing"] =
            new(0, FindingStatus.Unclear, "lack an edge") { Change = (_, o, _) => o.Remove("knockout/context->last/all") },
        ["the block changes nothing, too few samples to say none"] =
            new(2, FindingStatus.Unclear, "MFR changes by 0 points (95 % interval -14 to +14); about 190 samples would "
                + "decide") { Change = (_, o, _) => Unblocked(o) },
        ["the block changes nothing, within the margin"] =
            new(2, FindingStatus.Absent, "No small set of heads is necessary") { Change = (_, o, _) => Unblocked(o), Options = Wide },
        ["every random set does as much"] =
            new(2, FindingStatus.Unclear, "but a random set does as much") { Change = (t, o, _) => t.AllBlockedLike(o, "top5", 79),
                Options = Wide },
        // The same numbers, but so few samples do not show that it is within 5 points.
        ["every random set does as much, too few samples to say it"] =
            new(2, FindingStatus.Unclear, "but that is not distinguishable from random sets; 79 of 79 random sets take as "
                + "much") { Change = (t, o, _) => t.AllBlockedLike(o, "top5", 79) },
        // Ten of 79 are too many for a claim, but nothing says that a random set does as much.
        ["some random sets do as much"] =
            new(2, FindingStatus.Unclear, "but that is not distinguishable from random sets; 10 of 79 random sets take as much (p = "
                + "0.138;") { Change = (t, o, _) => t.AllBlockedLike(o, "top5", 10) },
        ["ten draws are too few"] =
            new(2, FindingStatus.Unclear, "but 10 draws are too few for a claim after correction for four tests (79 are enough)")
            {
                Plan = t => t.FewDraws,
            },
        ["without draws nothing is found"] =
            new(2, FindingStatus.Unclear, "no random set was blocked for comparison") { Options = WithoutDraws },
        ["every failed run repaired"] =
            new(3, FindingStatus.Present, "random heads repair 0 % at the same factor") { Change = HalfRepaired, Options = Wide },
        ["every failed run repaired, without draws"] =
            new(3, FindingStatus.Unclear, "no random set was amplified for comparison") { Change = HalfRepaired, Options = WithoutDraws },
        ["every failed run repaired, by random heads too"] =
            new(3, FindingStatus.Unclear, "not distinguishable from random heads")
            {
                Change = (t, o, i) =>
                {
                    HalfRepaired(t, o, i);
                    foreach (var set in t.Controls.Where(_ => i % 2 == 0)) o[$"gain/{set}/2"] = o["gain/top5/2"];
                },
            },
        ["every failed run repaired, and as many others broken"] =
            new(3, FindingStatus.Unclear, "but no net gain of the whole set is shown")
            {
                Change = (t, o, i) =>
                {
                    HalfRepaired(t, o, i);
                    if (i % 2 == 1) o["gain/top5/2"] = o["baseline"] with { ArgMax = 0 };
                },
                Hard = HalfRepaired,
            },
        ["every failed run repaired, but controls broken"] =
            new(3, FindingStatus.Unclear, "but that it is harmless is not shown") { Change = HalfRepaired, Control = o =>
                o["gain/top5/2"] = o["baseline"] with { ArgMax = 0 } },
        ["every failed run repaired, but harm not ruled out"] =
            new(3, FindingStatus.Unclear, "but that it is harmless is not shown") { Change = HalfRepaired },
        ["nothing gains where the factor is chosen"] =
            new(3, FindingStatus.Unclear, "gains nothing at any factor on the hard split") { Change = HalfRepaired,
                Hard = HalfNotRepaired },
        ["no failed run repaired, too few to say none"] =
            new(3, FindingStatus.Unclear, "not distinguishable from random heads") { Change = HalfNotRepaired, Hard = HalfRepaired },
        ["no failed run repaired, within the margin"] =
            new(3, FindingStatus.Absent, "within 25 points of none") { Change = HalfNotRepaired, Hard = HalfRepaired, Options = Wide },
    };

    /// <summary>The sentence on the route.</summary>
    private static readonly Dictionary<string, (Route Verdict, string Says, Change Change)> Routes = new(StringComparer.Ordinal)
    {
        ["as measured"] = (Route.Relay, "Relay: ", (_, _, _) => { }),
        ["the cuts of the context exchanged"] = (Route.Direct, "Direct: ", (_, o, _) =>
            Exchange(o, "knockout/context->instruction/all", "knockout/context->last/all")),
        ["both cuts of the context hurt"] = (Route.Mixed, "Mixed: ", (_, o, _) =>
            o["knockout/context->last/all"] = o["knockout/context->instruction/all"]),
        ["no cut hurts"] = (Route.Undecided, "neither route is needed alone", (_, o, _) =>
            o["knockout/context->instruction/all"] = o["baseline"]),
        ["what is gathered is not needed"] = (Route.Undecided, "the positions after them do not need it", (_, o, _) =>
            o["knockout/instruction->suffix/all"] = o["baseline"]),
        ["a cut hurts a third of the runs"] = (Route.Undecided, "too close to the threshold for 24 samples, about",
            (_, o, i) => o["knockout/context->last/all"] = o[i % 3 == 0 ? "knockout/context->instruction/all" : "baseline"]),
        ["half of the runs give the other answer"] = (Route.Undecided, "does not choose by the instruction", (_, o, i) =>
            HalfSwapped(o, i)),
        ["the runs say a third thing"] = (Route.Undecided, "in too few runs", HalfNotRepaired),
        ["an edge is missing"] = (Route.Undecided, "lack one of the edges", (_, o, _) => o.Remove("knockout/context->last/all")),
    };

    public static TheoryData<string> CaseNames => [.. Cases.Keys];

    public static TheoryData<string> RouteNames => [.. Routes.Keys];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Sentence(string name)
    {
        var c = Cases[name];
        var finding = Of(c).Findings[c.Sentence];
        Assert.True(finding.Status == c.Status, $"{finding.Status}: {finding.Text}");
        Assert.Contains(c.Says, finding.Text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(RouteNames))]
    public void RouteSentence(string name)
    {
        var (verdict, says, change) = Routes[name];
        var route = Reduced((o, i) => change(this, o, i)).Route;
        Assert.True(route.Verdict == verdict, $"{route.Verdict}: {route.Text}");
        Assert.Contains(says, route.Text, StringComparison.Ordinal);
    }

    /// <summary>
    /// To be within 5 points of one half takes at least 0.25 x (1.96 / 0.05)^2 = 384; the 5 points are reduced by the measured distance
    /// from one half.
    /// </summary>
    [Fact]
    public void SamplesThatWouldDecide() => Assert.InRange(Reduced(HalfSwapped).Findings[0].Test!.Needed!.Value, 200, 2000);

    /// <summary>Those that failed anyway are among the runs that fail: of each picture one run or both.</summary>
    [Fact]
    public void SamplesOfTheRepair() =>
        Assert.Equal(24, Of(Cases["every failed run repaired"] with { Options = null }).Findings[3].Test!.Samples);

    /// <summary>Few samples say nothing, whatever they show, and the sentence says how many would.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void FewSamples_SayNothing(int limit)
    {
        using var study = new DiagnosisStudy(SmallRun.Options with { Limit = limit });
        using var temp = new TempFolder();
        using var store = ResultStore.Open(temp.File("results.jsonl"), resume: false);
        var found = study.Reduce(store, study.Run(store));
        Assert.All(found.Findings, f => Assert.Equal(FindingStatus.Unclear, f.Status));
        Assert.Equal(Route.Undecided, found.Route.Verdict);
        var samples = $"{(limit == 1 ? "this is 1 independent sample" : $"these are {limit} independent samples")}, and nothing is "
            + $"claimed of fewer than 10";
        Assert.Contains(samples, found.Findings[0].Text, StringComparison.Ordinal);
        Assert.Contains("samples would decide", found.Findings[0].Text, StringComparison.Ordinal);
        Assert.Contains(samples, found.Findings[1].Text, StringComparison.Ordinal);
        Assert.InRange(found.Following[0].Argmax.All.High - found.Following[0].Argmax.All.Low, 0.2, 1);
    }

    /// <summary>Samples that share a picture are one cluster, and intervals are as wide as if they were one.</summary>
    [Fact]
    public void SamplesOfOnePicture_AreOneCluster()
    {
        var samples = run.Study.Data.Test.Samples;
        var shared = run.Study.Data.Test.Part("shared", [.. samples.Select((s, i) => s with { Image = samples[i / 4].Image })]);
        var draws = new BootstrapDraws(0);
        MeasuredSet Set(ConflictSet set) => MeasuredSet.Of(set, id => run.Store.Find("test", id)!, run.Study.Model.Tokenizer, draws);
        Assert.Equal((24, 6), (Set(run.Study.Data.Test).Clusters.Count, Set(shared).Clusters.Count));
        Assert.True(Set(shared).IsFew);
        Assert.True(Set(shared).Share(_ => 1).Low < Set(run.Study.Data.Test).Share(_ => 1).Low);
    }

    /// <summary>What survives the correction is marked by its q, heads that decide among them, and estimates are not tested.</summary>
    [Fact]
    public void Tables_MarkWhatSurvives()
    {
        var found = Reduced((_, _) => { });
        var q = found.Heads.Q.SelectMany(row => row).ToList();
        Assert.Equal(found.Heads.Surviving.Count, q.Count(v => v <= 0.05));
        Assert.All(found.Heads.Ranked.Take(3), h => Assert.True(h.Test.Survives, $"{h.Layer}.{h.Head}: q {h.Test.Q}"));
        Assert.All(found.Heads.Ranked, h => Assert.Equal(q[h.Layer * found.Model.Heads + h.Head], h.Test.Q));
        Assert.InRange(found.Heads.Surviving.Count, 3, q.Count - 1);
        Assert.All(found.Knockouts.SelectMany(k => k.Layers), p => Assert.True(p.Test.P <= p.Test.Q, $"{p.Test}"));
        Assert.Contains(found.Knockouts.SelectMany(k => k.Layers), p => p.Test.Survives);
        Assert.Contains(found.Knockouts.SelectMany(k => k.Layers), p => !p.Test.Survives);
        Assert.All(found.Neurons.Ranked.Select(n => n.Test).Concat(found.HeadEdges.Ranked.Select(e => e.Test)), t =>
            Assert.InRange(t.Q, t.P, 1));
    }

    /// <summary>Over runs that follow, LDAR is the share of runs with MAM above 0; over those that do not, it is the rest.</summary>
    [Fact]
    public void Ldar_AddsToTheShareOfPositiveMargins_OnlyWhereTheModelDecidesOtherwise()
    {
        foreach (var layers in new[] { Reduced((_, _) => { }).Layers, Reduced(HalfSwapped).Layers })
        {
            var against = layers.LdarAnchorAgainst[0].All.Count;
            for (var l = 0; l < layers.LdarAnchor.Count; l++)
            {
                // Of the runs against, those with MAM above 0 are counted where they are not, and the other way round.
                Assert.Equal(48 * layers.MamPositiveAnchor[l].All.Mean + against * (2 * layers.LdarAnchorAgainst[l].All.Mean - 1),
                    48 * layers.LdarAnchor[l].All.Mean, 1e-9);
            }
        }
        Assert.Equal(2, Reduced((_, _) => { }).Layers.LdarAnchorAgainst[0].All.Count);
        // Where one answer is always preferred, a constant signal would be right always.
        Assert.InRange(Reduced(HalfSwapped).Layers.BaseRate.Mean, 0.9, 1);
    }

    /// <summary>Control sets have as many heads as the tested set, whatever shares are requested, and contain none of its heads.</summary>
    [Theory]
    [InlineData(new[] { 0.01 })]
    [InlineData(new[] { 0.1, 0.2 })]
    [InlineData(new[] { 0.01, 0.02, 0.05, 0.1 })]
    public void Controls_AreOfTheTestedSet(double[] shares)
    {
        using var study = new DiagnosisStudy(SmallRun.Options with { Shares = shares });
        var (all, vision, text) = study.Scores(run.Store, HeadScoreVariant.CausalMargin);
        var plan = new HeadPlan(all, vision, text, 8, 8, study.Options);
        var tested = plan.Sets[HeadPlan.Tested];
        Assert.Contains(HeadPlan.Tested, plan.Blocked);
        foreach (var kind in new[] { HeadPlan.Random, HeadPlan.SameLayers })
        {
            Assert.Equal(79, plan.Draws(kind).Count);
            Assert.All(plan.Draws(kind), d => Assert.Equal(tested.Count, plan.Sets[d].Except(tested).Count()));
            Assert.Equal(HeadPlan.FewDraws, plan.WithFewDraws().Draws(kind).Count);
        }
        // The runners-up are drawn as well: 79 sets of 3 among 61 heads leave out few.
        Assert.InRange(plan.Draws(HeadPlan.Random).SelectMany(d => plan.Sets[d]).Distinct().Count(), 55, 61);
        Assert.Contains(plan.Order[tested.Count], plan.Draws(HeadPlan.Random).SelectMany(d => plan.Sets[d]));
    }

    /// <summary>The page holds every part, is XML, needs nothing from outside, and escapes what the data say.</summary>
    [Fact]
    public void Report_HoldsEveryPart()
    {
        using var temp = new TempFolder();
        var found = run.Study.Reduce(run.Store, run.Plan);
        var hostile = found with { Model = found.Model with { Name = "<script>alert(1)</script>" },
            Rejected = [new RejectedLine("set.jsonl", 3, "<b>", "\"&<>'")] };
        DiagnosisReport.Write(temp.Path, hostile, Fixtures.Conflicts);
        var page = XDocument.Load(temp.File("report.html"));
        Assert.Empty(page.Descendants("script"));
        Assert.Contains("<script>alert(1)</script>", page.Descendants("h1").Single().Value, StringComparison.Ordinal);
        Assert.Contains(page.Descendants("td"), cell => cell.Value == "\"&<>'");
        // A headline and what is below it together say the sentence.
        static string Letters(string text) => new([.. text.Where(char.IsLetterOrDigit).Select(char.ToLowerInvariant)]);
        var leads = page.Descendants("p").Where(p => ((string?)p.Attribute("class"))?.StartsWith("lead", StringComparison.Ordinal) == true)
            .Select(p => Letters(p.Value)).ToList();
        Assert.All(
            found.Findings, finding => Assert.Contains(leads, lead => lead.EndsWith(Letters(finding.Text), StringComparison.Ordinal)));
        Assert.Contains(found.Prompt.Text, page.Root!.Value, StringComparison.Ordinal);
        Assert.Contains(found.Model.Provenance!, page.Root.Value, StringComparison.Ordinal);
        string[] figures = ["amplification", "blocking", "heads", "increments", "knockout", "knockout-mfr", "layers", "ldar", "mam",
            "profiles", "reading-instruction", "reading-last", "sets", "windows"];
        Assert.Equal(figures,
            Directory.GetFiles(temp.File("figures")).Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));
        Assert.Equal(figures.Length, page.Descendants("figcaption").Count());
        Assert.All(Directory.GetFiles(temp.File("figures")), file => Assert.Equal("svg", XDocument.Load(file).Root!.Name.LocalName));
        Assert.True(page.Descendants("img").Count() >= 4, "examples without pictures");
    }

    private static void HalfSwapped(Dictionary<string, Outcome> outcomes, int i) => outcomes["baseline"] = i % 2 == 0
        ? outcomes["baseline"] : Swapped(outcomes["baseline"]);

    private static void Unblocked(Dictionary<string, Outcome> outcomes) => outcomes["block/top5"] = outcomes["baseline"];

    private static void HalfRepaired(FindingTests test, Dictionary<string, Outcome> outcomes, int i) =>
        test.HalfFailed(outcomes, i, repaired: true);

    private static void HalfNotRepaired(FindingTests test, Dictionary<string, Outcome> outcomes, int i) =>
        test.HalfFailed(outcomes, i, repaired: false);

    private static void Harmless(Dictionary<string, Outcome> outcomes) => outcomes["gain/top5/2"] = outcomes["baseline"];

    private void AllBlockedLike(Dictionary<string, Outcome> outcomes, string set, int draws)
    {
        foreach (var control in run.Plan.Draws(HeadPlan.Random).Take(draws)) outcomes[$"block/{control}"] = outcomes[$"block/{set}"];
    }

    /// <summary>Every second run says a third thing, though it prefers the right one of the two; random heads repair nothing.</summary>
    private void HalfFailed(Dictionary<string, Outcome> outcomes, int i, bool repaired)
    {
        if (i % 2 == 1) return;
        var right = outcomes["baseline"];
        outcomes["baseline"] = right with { ArgMax = 0 };
        foreach (var set in Amplified) outcomes[$"gain/{set}/2"] = repaired ? right : outcomes["baseline"];
        foreach (var set in Controls) outcomes[$"gain/{set}/2"] = outcomes["baseline"];
    }

    /// <summary>
    /// The last sentence needs the hard split, where the factor is chosen (by default like the test split), and samples without a conflict.
    /// </summary>
    private Diagnosis Of(FindingCase c)
    {
        Action<Dictionary<string, Outcome>, int> Bound(Change change) => (o, i) => change(this, o, i);
        var last = c.Sentence == 3;
        return Reduced(Bound(c.Change), c.Options, c.Plan?.Invoke(this), last ? Bound(c.Hard ?? c.Change) : null, last
            ? c.Control ?? Harmless : null);
    }

    private Diagnosis Reduced(
        Action<Dictionary<string, Outcome>, int> change, DiagnosisOptions? options = null, HeadPlan? plan = null,
        Action<Dictionary<string, Outcome>, int>? hard = null,
        Action<Dictionary<string, Outcome>>? control = null)
    {
        List<RunResult> RunsOf(string phase, ConflictSet set) => [.. set.Samples.SelectMany(s => run.Store.Find(phase, s.Id)!)];
        var data = run.Study.Data;
        var (runs, hardRuns, controls) = (RunsOf("test", data.Test), RunsOf("hard", data.Hard!), RunsOf("control", data.Control!));
        var before = runs.Concat(hardRuns).Concat(controls).Select(r => (Run: r, Outcomes: r.Outcomes.ToList())).ToList();
        for (var i = 0; i < runs.Count; i++) change(runs[i].Outcomes, i);
        for (var i = 0; i < hardRuns.Count; i++) hard?.Invoke(hardRuns[i].Outcomes, i);
        foreach (var r in controls) control?.Invoke(r.Outcomes);
        try
        {
            if (options is null) return run.Study.Reduce(run.Store, plan ?? run.Plan);
            using var study = new DiagnosisStudy(options);
            // Every row is there, so that nothing is run.
            return study.Reduce(run.Store, study.Run(run.Store));
        }
        finally
        {
            foreach (var (r, outcomes) in before)
            {
                r.Outcomes.Clear();
                foreach (var (condition, outcome) in outcomes) r.Outcomes[condition] = outcome;
            }
        }
    }

    private static Outcome Swapped(Outcome o) => o with { Following = o.Competing, Competing = o.Following };

    private static void Exchange(Dictionary<string, Outcome> outcomes, string a, string b) =>
        (outcomes[a], outcomes[b]) = (outcomes[b], outcomes[a]);

    /// <summary>Changes the outcomes of the run with a number.</summary>
    private delegate void Change(FindingTests test, Dictionary<string, Outcome> outcomes, int i);

    /// <summary>A sentence under changed outcomes.</summary>
    /// <param name="Sentence">0 to 3.</param>
    /// <param name="Says">Part of the text.</param>
    private sealed record FindingCase(int Sentence, FindingStatus Status, string Says)
    {
        /// <summary>What happens on the test split.</summary>
        public Change Change { get; init; } = (_, _, _) => { };

        /// <summary>What happens on the hard split; null: the same.</summary>
        public Change? Hard { get; init; }

        /// <summary>What happens without a conflict; null: nothing.</summary>
        public Action<Dictionary<string, Outcome>>? Control { get; init; }

        public DiagnosisOptions? Options { get; init; }

        public Func<FindingTests, HeadPlan>? Plan { get; init; }
    }
}
