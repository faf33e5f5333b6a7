using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// The factor at which heads are amplified, and how much that changes the residual stream. The factor is chosen on other runs than those it
/// is reported on.
/// </summary>
/// <param name="Set">Name of the conflict set it was chosen on: "hard", or "rank" if there is no hard set.</param>
/// <param name="Factor">The factor with the largest net gain on that set; null if none gains.</param>
/// <param name="Net">Change of MFR on that set at that factor, or at the best factor if none gains.</param>
/// <param name="Change">Norm of the change of the residual stream after the last layer, divided by the norm of that stream; null without a
/// factor.</param>
/// <param name="Matched">For each of the first <see cref="AmplificationStudy.MatchedDraws"/> draws: the factor that changes the stream as
/// much; null if no measured factor does.</param>
internal sealed record AmplificationChoice(string Set, double? Factor, Estimate Net, Estimate? Change, IReadOnlyList<double?> Matched)
{
    /// <summary>For each draw, the factor at which the random set repairs most failed runs of <see cref="Set"/>.</summary>
    internal IReadOnlyList<double> Drawn { get; init; } = [];
}

/// <summary>
/// Chooses the factor of an amplification on the hard samples, or without them on the ranking split, and amplifies random heads at matched
/// strength.
/// </summary>
internal sealed class AmplificationStudy(DiagnosisStudy study, ResultStore store, BootstrapDraws draws)
{
    /// <summary>Number of random sets that are also amplified at matched strength.</summary>
    public const int MatchedDraws = 19;

    /// <summary>Number of samples on which the change of the residual stream is measured.</summary>
    private const int NormSamples = 8;

    /// <summary>Names of the phases.</summary>
    public const string NormPhase = "gain_norm", MatchedPhase = "gain_matched";

    private ConflictSet Choosing => Conflicts(study.Data.Hard ?? study.Data.Rank);

    /// <summary>The amplifying factors: those above 1, ascending.</summary>
    private IReadOnlyList<double> Factors => [.. study.Options.Gains.Where(g => g > 1).Order()];

    private ConflictSet NormSet => Choosing.Part(Choosing.Name, [.. Choosing.Samples.Take(NormSamples)]);

    /// <summary>The phases, each with its maximum number of samples.</summary>
    public static IEnumerable<(string Phase, int Samples)> Phases(DiagnosisData data)
    {
        yield return (NormPhase, Math.Min(NormSamples, Conflicts(data.Hard ?? data.Rank).Samples.Count));
        yield return (MatchedPhase, Conflicts(data.Test).Samples.Count);
    }

    /// <summary>Runs what the store does not contain yet. Requires the phases "hard" (or "factor") and "test".</summary>
    public void Run(HeadPlan plan, Action<StudyProgress>? progress, CancellationToken cancel)
    {
        if (Choose(plan) is not { Factor: { } factor }) return;
        study.Each(NormPhase, NormSet, store, session =>
        {
            var runner = RunnerOf(session);
            return (sample, stop) => runner.Norms(sample, run => Normed(plan, factor, run), stop);
        }, progress, cancel);
        var choice = Read(plan);
        study.Each(MatchedPhase, Failing(), store, session =>
        {
            var runner = RunnerOf(session);
            return (sample, stop) => runner.Run(sample,
                run => Draws(plan).Select((draw, i) => (draw, i, Factor: choice.Matched[i])).Where(d => d.Factor is not null)
                    .Select(d => Gain(ConditionId.MatchedGain(d.i), plan.Heads(d.draw), d.Factor!.Value, run)), stop);
        }, progress, cancel);
    }

    /// <summary>The chosen factor, from the rows of the phases.</summary>
    public AmplificationChoice Read(HeadPlan plan)
    {
        var choice = Choose(plan);
        if (choice.Factor is not { } factor) return choice;
        var norms = Measured(NormPhase, NormSet);
        Estimate Change(HeadSetId set, double f) => norms.Mean(r => r.Result.Curves[DirectionRunner.Norm + ConditionId.Gain(set, f)][0]);
        var (change, gains) = (Change(HeadPlan.Tested, factor), StrengthMatch.Further(Factors));
        return choice with
            { Change = change,
                Matched = [.. Draws(plan).Select(
                    d => StrengthMatch.At(gains, [.. gains.Select(g => Change(d, g).Mean)], change.Mean, none: 1))] };
    }

    /// <summary>The failed test runs under random heads at matched strength; empty if no factor was chosen.</summary>
    public MeasuredSet MatchedRuns(HeadPlan plan) =>
        Choose(plan).Factor is null ? new MeasuredSet("test", [], draws) : Measured(MatchedPhase, Failing()).Where(r => r.Failed);

    private AmplificationChoice Choose(HeadPlan plan)
    {
        var set = Measured(study.Data.Hard is null ? "factor" : "hard", Choosing);
        Estimate Net(double factor) =>
            set.Difference(r => r.Follows(ConditionId.Gain(HeadPlan.Tested, factor)) - r.Follows(ConditionId.Baseline)).Difference;
        // MaxBy takes the first of equal values, which is the weakest factor.
        if (Factors.Count == 0)
            return new AmplificationChoice(Choosing.Name, null, new Estimate(double.NaN, double.NaN, double.NaN, 0), null, []);
        var best = Factors.Select(f => (Factor: f, Net: Net(f))).MaxBy(f => f.Net.Mean);
        var failed = set.Where(r => r.Failed);
        double Repaired(HeadSetId draw, double factor) => failed.Runs.Average(r => r.Follows(ConditionId.Gain(draw, factor)));
        return new AmplificationChoice(Choosing.Name, best.Net.Mean > 0 ? best.Factor : null, best.Net, null, [])
        {
            Drawn = failed.Runs.Count == 0 ? [] : [.. plan.Draws(HeadPlan.Random).Select(d => Factors.MaxBy(f => Repaired(d, f)))],
        };
    }

    private IEnumerable<(string Condition, Intervention Edits)> Normed(HeadPlan plan, double factor, SteeredRun run) =>
    [
        Gain(ConditionId.Gain(HeadPlan.Tested, factor), plan.Heads(HeadPlan.Tested), factor, run),
        .. Draws(plan).SelectMany(d => StrengthMatch.Further(Factors).Select(g => Gain(ConditionId.Gain(d, g), plan.Heads(d), g, run))),
    ];

    private static IEnumerable<HeadSetId> Draws(HeadPlan plan) => plan.Draws(HeadPlan.Random).Take(MatchedDraws);

    private (string Condition, Intervention Edits) Gain(string condition, IReadOnlyList<(int Layer, int Head)> heads,
        double factor, SteeredRun run) =>
        (condition, Intervention.HeadGain(condition, heads, (float)factor, DiagnosisConditions.Scope(study.Options.Variants, run.Prompt)));

    private ConflictSet Failing()
    {
        var failed = Measured("test", Conflicts(study.Data.Test)).Runs.Where(r => r.Failed).Select(r => r.Run.Sample.Id)
            .ToHashSet(StringComparer.Ordinal);
        return study.Data.Test.Part(study.Data.Test.Name, [.. study.Data.Test.Samples.Where(s => failed.Contains(s.Id))]);
    }

    private DirectionRunner RunnerOf(ISession session) =>
        new(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session), null,
            [SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix], study.Options.Variants.Alignment, session);

    private MeasuredSet Measured(string phase, ConflictSet set) =>
        MeasuredSet.Of(set, id => store.Find(phase, id)!, study.Model.Tokenizer, draws);

    private static ConflictSet Conflicts(ConflictSet set) => set.Part(set.Name, [.. set.Samples.Where(s => s.Kind == SampleKind.Conflict)]);
}
