using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Studies.Directions;

/// <summary>Directions on models whose arbiters and carriers are planted, and laws of fitting and training.</summary>
public sealed class SteeringTests : IDisposable
{
    private static readonly string Data = Path.Combine(Fixtures.Root, "data", "wired-conflicts");

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    private string Diagnosis(string model)
    {
        var folder = _temp.File($"{model}-diagnosis");
        var options = new DiagnosisOptions
            { Model = Path.Combine(Fixtures.Root, "models", model), Data = Data, Limit = 48, Windows = [3], Gains = [2], Draws = 19 };
        using var study = new DiagnosisStudy(options);
        using var store = DiagnosisFolder.Open(folder, study.Identity, resume: false);
        var plan = study.Run(store);
        var found = study.Reduce(store, plan);
        DiagnosisFiles.Write(folder, found, study.Arbiters(found.Interchange), study.Necessary(store, plan));
        return folder;
    }

    [Theory]
    [InlineData("wired-arbiter", false)]
    [InlineData("wired-direct", true)]
    public void ADirectionOfThePlantedHeads_TurnsEveryRun_AndNoRandomOneDoes(string model, bool carriesChoice)
    {
        var options = new DiagnosisOptions { Model = Path.Combine(Fixtures.Root, "models", model), Data = Data, Limit = 48 };
        using var study = new SteeringStudy(options, new SteeringOptions { Diagnosis = Diagnosis(model), Strengths = [1, 3] });
        using var store = ResultStore.Open(_temp.File("steer.jsonl"), resume: false);
        var (result, file) = study.Run(store, _temp.Path);
        foreach (var name in carriesChoice ? ["query_position", "query_own", "query_learnt", "z_position", "z_own"]
            : new[] { "query_position", "query_own", "query_learnt" })
        {
            var turn = result.Method(name)!.Turn!;
            Assert.Equal((1, 1, 0, 0),
                (turn.ToPicture!.Switched.Mean, turn.ToText!.Switched.Mean, turn.ToPicture.Third.Mean, turn.ToText.Third.Mean));
            Assert.Equal((1, 1, 1), (turn.ToPicture.Kept.Mean, turn.ToText.Kept.Mean, turn.Score!.Value.Mean));
            // What was compared with no random heads is never called present.
            var compared = name.EndsWith("_position", StringComparison.Ordinal);
            Assert.Equal(compared ? FindingStatus.Present : FindingStatus.Unclear, turn.Status);
            Assert.Equal(compared ? 0 : null, turn.Random?.AtLeast);
        }
        Assert.Equal(result.Methods.Where(m => m.Signed && !m.Name.EndsWith("_own", StringComparison.Ordinal)).Select(m => m.Name)
            .Order(StringComparer.Ordinal), file.Directions.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void WithTheOwnDifferenceTakenOff_ARunHasItsDonorsQueries()
    {
        using var study = new DiagnosisStudy(
            new DiagnosisOptions { Model = Path.Combine(Fixtures.Root, "models", "wired-arbiter"), Data = Data, Limit = 8 });
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var session = study.Model.Engine.On(compute);
        var spans = DiagnosisConditions.SpansOf(study.Options.Variants);
        var runner = new DirectionRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session),
            new DonorFinder(study.Data.Rank.Samples, study.Model.Tokenizer, 0), spans, SpanAlignment.Equal, session);
        var (run, shape) = (runner.Read(study.Data.Rank.Samples[0].Runs.First()), study.Model.Decoder.Shape);
        var fit = new DirectionFit(shape);
        fit.Add(run, spans, DirectionFit.Differences(shape, run));
        // The mean over one run is that run's own difference.
        var direction = fit.Of("own", Site.QueryProj, [(2, 1)], spans, byPosition: true);
        var steered = Sweep.FullPass(study.Model.Engine.On(compute), run.Prompt, direction.At("own", -run.Sense, run.Prompt.Span));
        var exchanged = Sweep.FullPass(study.Model.Engine.On(compute), run.Prompt,
            HeadInterchange.Of("exchange", shape, HeadContent.Query, [(2, 1)], run.Own!.At, run.Own.Donor));
        Assert.NotEqual(Sweep.FullPass(study.Model.Engine.On(compute), run.Prompt, Intervention.None), exchanged);
        for (var i = 0; i < steered.Length; i++) Assert.Equal(exchanged[i], steered[i], 1e-3);
    }

    /// <summary>What is measured of a steered model is what is added to its steering.</summary>
    [Fact]
    public void TheChangeOfASteeredRun_IsTakenFromTheSteeredOne()
    {
        using var study = new DiagnosisStudy(
            new DiagnosisOptions { Model = Path.Combine(Fixtures.Root, "models", "wired-arbiter"), Data = Data, Limit = 4 });
        using var arena = new Arena();
        using var team = new Team(1);
        var spans = DiagnosisConditions.SpansOf(study.Options.Variants);
        var direction = new Direction("d",
            [new DirectionPart(Site.ResidPre, 1, null, null,
                new DonorRows([.. Enumerable.Range(0, study.Model.Decoder.Shape.ModelSize).Select(i => MathF.Sin(i))], 1))]);
        var session = study.Model.Engine.On(new Compute(arena, team));
        var prompts = new ConflictPrompts(study.Model, study.Data.Layout with { Steering = (direction, 2) }, session);
        var runner = new DirectionRunner(study.Model, prompts, null, spans, SpanAlignment.Equal, session);
        var rows = runner.Norms(study.Data.Rank.Samples[0], _ => [("none", Intervention.None), ("some", Intervention.HeadGain(2, 1, 2))],
            CancellationToken.None);
        Assert.All(rows, row => Assert.Equal(0, row.Curves[DirectionRunner.Norm + "none"][0]));
        Assert.All(rows, row => Assert.InRange(row.Curves[DirectionRunner.Norm + "some"][0], 0.001f, 10));
    }

    [Theory]
    [InlineData(0.05, 0.5)]
    [InlineData(0.1, 1.0)]
    [InlineData(0.25, 2.5)]
    [InlineData(0.4, null)]
    public void MatchedStrength_LiesOnTheLineBetweenThoseMeasured_OrNowhere(double aim, double? strength) =>
        Assert.Equal(strength, StrengthMatch.At([1, 2, 3], [0.1, 0.2, 0.3], aim, none: 0));

    [Fact]
    public void MatchedFactors_BeginAtOne() => Assert.Equal(1.5, StrengthMatch.At([2, 4], [0.2, 0.4], 0.1, none: 1));

    [Fact]
    public void FurtherStrengths_AreMultiplesOfTheLargest() => Assert.Equal([1, 3, 6, 12, 24], StrengthMatch.Further([1, 3]));

    [Theory]
    [InlineData(Site.QueryProj, true)]
    [InlineData(Site.QueryProj, false)]
    [InlineData(Site.HeadOut, true)]
    [InlineData(Site.ResidPre, true)]
    public void TheGradientOfADirection_IsTheSlopeOfItsLoss(Site site, bool byPosition)
    {
        using var study = new DiagnosisStudy(new DiagnosisOptions { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 6 });
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var session = study.Model.Engine.On(compute);
        var (decoder, spans) = (study.Model.Decoder, DiagnosisConditions.SpansOf(study.Options.Variants));
        var runner = new DirectionRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session),
            new DonorFinder(study.Data.Rank.Samples, study.Model.Tokenizer, 0), spans, SpanAlignment.Equal, session);
        var runs = study.Data.Rank.Samples.SelectMany(s => s.Runs).Take(4).Select(runner.Read).ToList();
        var fit = new DirectionFit(decoder.Shape);
        foreach (var run in runs.Where(r => r.Own is not null)) fit.Add(run, spans, DirectionFit.Differences(decoder.Shape, run));
        var direction = fit.Of("d", site, [(1, 0), (1, 2)], spans, byPosition);
        (LearningRun, int)[] batch = [.. runs.SelectMany(
            r => new[] { 1, -1 }.Select(sign => (new LearningRun(r, AnswerEntities.Of(r.Run, study.Model.Tokenizer, out _)!), sign)))];
        using var parameters = Parameters.Zeros(
            "d", direction.Parts.Select((p, i) => (LearntDirection.NameOf(i), new long[] { p.Rows.Count * p.Rows.Width })));
        using var gradients = new Gradients(parameters.Entries);
        double Loss(Direction of)
        {
            using var unread = new Gradients(parameters.Entries);
            return LearntDirection.Add(session, of, batch, 1, unread);
        }
        LearntDirection.Add(session, direction, batch, 1, gradients);
        // Along a fixed random step in every part at once: the slope is the sum of gradient times step.
        var random = new SplitMix(5);
        var steps = direction.Parts.Select(
            p => LearntDirection.Values(p.Rows).Select(_ => (float)(random.Next() >> 40) / (1 << 24) - 0.5f).ToArray()).ToList();
        var predicted = direction.Parts.Select(
            (_, i) => gradients[LearntDirection.NameOf(i)].ToArray().Zip(steps[i], (g, s) => (double)g * s).Sum()).Sum();
        Direction Moved(float by) => direction with
        {
            Parts = [
                .. direction.Parts.Select(
                    (p, i) => p with
                        { Rows = new DonorRows([.. LearntDirection.Values(p.Rows).Zip(steps[i], (v, s) => v + by * s)], p.Rows.Count) })],
        };
        const float Step = 1f / 64;
        var measured = (Loss(Moved(Step)) - Loss(Moved(-Step))) / (2 * Step);
        Assert.NotEqual(0, predicted);
        // Float32 losses of about 10, differences of about 0.01: four digits.
        Assert.Equal(measured, predicted, Math.Max(2e-3, 2e-2 * Math.Abs(measured)));
    }

    [Fact]
    public void TheCommand_WritesTheSame_AfterItWasKilled_AndForAnyThreads()
    {
        var diagnosis = Diagnosis("wired-arbiter");
        string[] steer = ["steer", "--quiet", "--model", Path.Combine(Fixtures.Root, "models", "wired-arbiter"), "--data", Data, "--limit",
            "16", "--diagnosis", diagnosis, "--strengths", "1", "--draws", "2", "--unseen", Data];
        Assert.Equal((0, ""), Two(Ascope.Run(_temp.Path, [.. steer, "--out", "whole", "--threads", "1"])));
        foreach (var file in new[] { "report.html", "figures/turned.svg", "figures/repaired.svg", "directions.safetensors" })
            Assert.True(File.Exists(_temp.File($"whole/{file}")), file);
        Directory.CreateDirectory(_temp.File("killed"));
        File.Copy(_temp.File("whole/manifest.json"), _temp.File("killed/manifest.json"));
        var rows = File.ReadAllBytes(_temp.File("whole/results.jsonl"));
        File.WriteAllBytes(_temp.File("killed/results.jsonl"), rows[..(rows.Length / 2)]);
        Assert.Equal((0, ""), Two(Ascope.Run(_temp.Path, [.. steer, "--out", "killed", "--resume", "--threads", "2"])));
        foreach (var file in new[] { "steering.json", "results.jsonl", "directions.safetensors" })
            Assert.Equal(File.ReadAllBytes(_temp.File($"whole/{file}")), File.ReadAllBytes(_temp.File($"killed/{file}")));

        // Steered throughout, the model follows the picture whatever it is told.
        string[] diagnose = ["diagnose", "--quiet", "--model", Path.Combine(Fixtures.Root, "models", "wired-arbiter"), "--data", Data,
            "--limit", "12", "--draws", "1", "--windows", "3", "--gains", "2"];
        using (var steering = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(_temp.File("whole/steering.json"))))
        {
            // The second folder is the first one here, so it must say the same.
            var turn = steering.RootElement.GetProperty("methods").EnumerateArray()
                .First(m => m.GetProperty("name").GetString() == "query_position").GetProperty("turn");
            Assert.Equal(turn.GetProperty("score").GetProperty("mean").GetDouble(),
                turn.GetProperty("unseen").GetProperty("mean").GetDouble());
        }
        Assert.Equal((0, ""),
            Two(Ascope.Run(_temp.Path, [.. diagnose, "--direction", "whole/directions.safetensors", "--direction-name", "query_position",
                "--strength", "1", "--out", "steered"])));
        using var json = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(_temp.File("steered/diagnosis.json")));
        var followed = json.RootElement.GetProperty("following")[0].GetProperty("argmax");
        Assert.Equal((1.0, 0.0),
            (followed.GetProperty("vision").GetProperty("mean").GetDouble(), followed.GetProperty("text").GetProperty("mean").GetDouble()));
        Assert.StartsWith("query_position x1 of ", json.RootElement.GetProperty("variants").GetProperty("steering").GetString(),
            StringComparison.Ordinal);

        Refused("--direction, --direction-name and --strength: expected all three or none, found some",
            [.. diagnose, "--direction", "whole/directions.safetensors"]);
        Refused("directions: expected one that was made for this model, found one for another: other weights",
            ["diagnose", "--data", Fixtures.Conflicts, "--model", Fixtures.Organism, "--direction", "whole/directions.safetensors",
                "--direction-name", "query_position", "--strength", "1"]);
        Refused("within its bounds, -1 to 1, found 2",
            [.. diagnose, "--direction", "whole/directions.safetensors", "--direction-name", "query_position", "--strength", "2"]);
        Refused("model: expected one that was made for this model, found one for another: other weights",
            ["steer", "--model", Fixtures.Organism, "--data", Fixtures.Conflicts, "--diagnosis", diagnosis]);
        Refused("diagnosis.json: expected the folder of a finished ascope diagnose", ["steer", "--data", Data, "--diagnosis", "nowhere"]);
        Refused("a diagnosis of the model as it is", [.. steer[..6], "--diagnosis", "steered"]);
        Refused("--gains: expected at least one number above 1, found 0.5", [.. steer, "--gains", "0.5"]);
        Refused("--beyond-bounds: expected a --direction beside it", [.. diagnose, "--beyond-bounds"]);
        foreach (var command in new[] { "steer", "diagnose", "adjudicate" })
        {
            string[] needed = command switch { "adjudicate" => ["m", "--data", "d"], "steer" => ["--diagnosis", "d"], _ => [] };
            var (exit, _, error) = Ascope.Run(_temp.Path, [command, .. needed, "--out", ""]);
            Assert.Equal((2, "ascope: --out: expected a path, found an empty one"), (exit, error.TrimEnd()));
        }
        Refused("nope: config.json: expected a checkpoint, found none",
            ["adjudicate", Path.Combine(Fixtures.Root, "models", "wired-arbiter"), "nope", "--data", Data]);
        Refused("--strengths: expected numbers", [.. steer[..^6], "--strengths", "-1"]);
    }

    private static (int ExitCode, string Error) Two((int ExitCode, string Output, string Error) run) => (run.ExitCode, run.Error);

    private void Refused(string message, string[] arguments)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, [.. arguments, "--out", "refused"]);
        Assert.Equal(2, exit);
        Assert.Contains(message, Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.False(Path.Exists(_temp.File("refused")), "a folder was left behind");
    }
}
