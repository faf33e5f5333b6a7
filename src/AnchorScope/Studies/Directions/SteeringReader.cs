using AnchorScope.Conflicts;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Chooses settings and strengths on validation runs, and reduces what they do on others.</summary>
internal sealed class SteeringReader
{
    private readonly IReadOnlyList<SteeringMethod> _methods;
    private readonly IReadOnlyList<SteeringMethod> _random;
    private readonly MeasuredSet _validation;
    private readonly MeasuredSet _norms;
    private readonly double _margin;
    private readonly Dictionary<string, At?> _turns = new(StringComparer.Ordinal), _repairs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<(SteeringMethod Method, bool Reached)>> _matched = new(StringComparer.Ordinal);

    /// <param name="random">Random heads under the same kinds of steering.</param>
    /// <param name="validation">Runs on which strengths are chosen.</param>
    /// <param name="norms">Changes of the residual stream.</param>
    /// <param name="margin">Of equivalence.</param>
    public SteeringReader(IReadOnlyList<SteeringMethod> methods, IReadOnlyList<SteeringMethod> random, MeasuredSet validation, MeasuredSet norms, double margin)
    {
        (_methods, _random, _validation, _norms, _margin) = (methods, random, validation, norms, margin);
        foreach (var method in methods.Concat(random))
        {
            // Random heads were run on fewer samples; every method chooses on all that it has.
            _turns[method.Name] = method.Signed ? Best(method, at => Turning(at, validation).Difference(r => Turned(r, at)).Difference.Mean) : null;
            _repairs[method.Name] = Best(method, at => Net(at, validation).Difference.Mean);
        }
        foreach (var method in methods.Where(m => _repairs[m.Name] is not null)) _matched[method.Name] = [.. Matched(method, _repairs[method.Name]!.Value)];
    }

    /// <summary>Random heads at the strengths that change the residual stream as much as each method does at its own.</summary>
    public IReadOnlyList<SteeringMethod> MatchedSets => [.. _methods.SelectMany(m => _matched.GetValueOrDefault(m.Name, [])).Select(m => m.Method)];

    public SteeringResult Read(SteeringStudy study, int pairs, MeasuredSet test, MeasuredSet? control, MeasuredSet? unseen)
    {
        var options = study.Diagnosed.Options;
        var (model, data) = study.Facts();
        var gain = Largest(_methods.Where(m => m.Family == SteeringFamily.Gain), _repairs, at => Net(at, _validation).Difference.Mean);
        var residual = Largest(_methods.Where(m => m.Family == SteeringFamily.Residual), _turns, at => Turning(at, _validation).Difference(r => Turned(r, at)).Difference.Mean);
        var turns = _methods.Select(m => m.Signed ? Turn(m, test, control, unseen, residual) : null).ToList();
        var repairs = _methods.Select(m => Repair(m, test, control, unseen, gain)).ToList();
        // What gained nothing where its strength was chosen claims nothing, so it is no member of the family.
        var turnP = Holm([.. turns.Select(t => t?.Chosen is null ? double.NaN : t.P)]);
        var repairP = Holm([.. repairs.Select(r => r.Chosen is null ? double.NaN : r.P)]);
        return new SteeringResult(
            1, ToolVersion.Text, model, data, study.Diagnosed.Named, options.Seed, _margin, study.Heads, pairs, _validation.Runs.Count, test.Runs.Count(r => r.Failed), test.Runs.Count, control?.Runs.Count ?? 0,
            unseen?.Runs.Count ?? 0, gain?.Name, residual?.Name, [.. _random.Where(m => m.Signed).Select(m => m.What)],
            [.. _methods.Select((m, i) =>
            {
                var (lowest, highest) = Bounds(m);
                return new SteeredMethod(
                    m.Name, m.What, m.Signed, lowest, highest, turns[i] is { } turn ? Said(m, turn with { P = turnP[i] }, test, residual) : null, Said(m, repairs[i] with { P = repairP[i] }, test, gain),
                    [.. Knob(m, test)]);
            })]);
    }

    /// <summary>A method with one of its settings and strengths.</summary>
    private readonly record struct At(SteeringMethod Method, SteeringSetting Setting, double Strength)
    {
        /// <summary>The condition that takes the run in the sense of its instruction.</summary>
        public string With(MeasuredRun run) => Method.Condition(Setting, Strength, run.Run);

        /// <summary>The condition that takes it the other way.</summary>
        public string Against(MeasuredRun run) => Method.Condition(Setting, -Strength, run.Run);
    }

    private static IReadOnlyList<double> Holm(IReadOnlyList<double> p) => [.. MultipleComparisons.Holm(p).Select(q => double.IsNaN(q) ? 1 : q)];

    private static At? Best(SteeringMethod method, Func<At, double> score)
    {
        (At? best, var most) = (null, 0.0);
        foreach (var setting in method.Settings)
        {
            foreach (var strength in method.Strengths)
            {
                var at = new At(method, setting, strength);
                // Of equals the weakest; NaN where no run has it.
                if (score(at) is var scored && scored > most + 1e-12) (best, most) = (at, scored);
            }
        }
        return best;
    }

    private static SteeringMethod? Largest(IEnumerable<SteeringMethod> methods, Dictionary<string, At?> chosen, Func<At, double> score) =>
        methods.Where(m => chosen[m.Name] is not null).MaxBy(m => score(chosen[m.Name]!.Value));

    private static double Third(MeasuredRun run, string condition) => 1 - run.Follows(condition) - run.Competes(condition);

    /// <summary>Runs that follow without steering and were steered against their instruction.</summary>
    private static MeasuredSet Turning(At at, MeasuredSet set) => set.Where(r => !r.Failed && r.Has(at.Against(r)));

    /// <summary>1 where such a run switches to the other modality's answer, -1 where it gives a third, 0 where it keeps its own.</summary>
    private static double Turned(MeasuredRun run, At at) => run.Competes(at.Against(run)) - Third(run, at.Against(run));

    private static PairedTest Net(At at, MeasuredSet set) => set.Where(r => r.Has(at.With(r))).Difference(r => r.Follows(at.With(r)) - r.Follows("baseline"));

    private Estimate Norm(At at)
    {
        string Curve(MeasuredRun r) => DirectionRunner.Norm + at.With(r);
        return _norms.Where(r => r.Result.Curves.ContainsKey(Curve(r))).Mean(r => r.Result.Curves[Curve(r)][0]);
    }

    private SteeringChoice? Choice(At? at) => at is { } chosen ? new SteeringChoice(chosen.Setting.Label, chosen.Strength, Norm(chosen)) : null;

    /// <summary>Random heads of a method's family, each at the strength, between those tried, that changes the residual stream as much.</summary>
    private IEnumerable<(SteeringMethod Method, bool Reached)> Matched(SteeringMethod method, At chosen)
    {
        var aim = Norm(chosen).Mean;
        foreach (var draw in RandomOf(method))
        {
            var setting = draw.Settings[0];
            var norms = draw.Strengths.Select(s => Norm(new At(draw, setting, s)).Mean).ToList();
            var strength = StrengthMatch.At(draw.Strengths, norms, aim, none: draw.Signed ? 0 : 1);
            yield return (draw with { Name = $"matched/{method.Name}/{draw.Name}", Strengths = [strength], Settings = [setting] }, norms.Max() >= aim);
        }
    }

    private IReadOnlyList<SteeringMethod> RandomOf(SteeringMethod method) => [.. _random.Where(m => method.Family != SteeringFamily.Boost && m.Signed == method.Signed)];

    private SteeringTurn Turn(SteeringMethod method, MeasuredSet test, MeasuredSet? control, MeasuredSet? unseen, SteeringMethod? residual)
    {
        if (_turns[method.Name] is not { } at) return new SteeringTurn(null, null, null, null, null, null, null, null, double.NaN, FindingStatus.Absent, "");
        var runs = Turning(at, test);
        var score = runs.Difference(r => Turned(r, at));
        TurnedShares Shares(Modality told)
        {
            var some = runs.Where(r => r.Run.Instruction == told);
            return new TurnedShares(some.Share(r => r.Competes(at.Against(r))), some.Share(r => Third(r, at.Against(r))));
        }
        Estimate? beyond = residual is null || residual.Name == method.Name ? null
            : runs.Where(r => r.Has(_turns[residual.Name]!.Value.Against(r))).Mean(r => Turned(r, at) - Turned(r, _turns[residual.Name]!.Value));
        return new SteeringTurn(
            Choice(at), score.Difference, Shares(Modality.Text), Shares(Modality.Vision),
            control?.Where(r => r.Has(at.Against(r))).Difference(r => r.Follows(at.Against(r)) - r.Follows("baseline")).Difference, unseen is null ? null : Turning(at, unseen).Difference(r => Turned(r, at)).Difference, beyond,
            Rank(method, test, at, _turns, Turning, Turned), score.P, FindingStatus.Unclear, "");
    }

    private SteeringRepair Repair(SteeringMethod method, MeasuredSet test, MeasuredSet? control, MeasuredSet? unseen, SteeringMethod? gain)
    {
        if (_repairs[method.Name] is not { } at) return new SteeringRepair(null, null, null, null, null, null, null, 0, double.NaN, FindingStatus.Absent, "");
        RepairEffect? Effect(MeasuredSet? set)
        {
            if (set is null) return null;
            var has = set.Where(r => r.Has(at.With(r)));
            return new RepairEffect(
                has.Runs.Count, has.Where(r => r.Failed).Share(r => r.Follows(at.With(r))), has.Where(r => !r.Failed).Share(r => 1 - r.Follows(at.With(r))), Net(at, set).Difference);
        }
        static MeasuredSet Steered(At a, MeasuredSet set) => set.Where(r => r.Has(a.With(r)));
        static double Gained(MeasuredRun r, At a) => r.Follows(a.With(r)) - r.Follows("baseline");
        Estimate? beyond = gain is null || gain.Name == method.Name ? null
            : Steered(at, test).Difference(r => r.Follows(at.With(r)) - r.Follows(_repairs[gain.Name]!.Value.With(r))).Difference;
        var matched = _matched[method.Name];
        var atMatched = matched.ToDictionary(m => m.Method.Name, m => (At?)new At(m.Method, m.Method.Settings[0], m.Method.Strengths[0]), StringComparer.Ordinal);
        return new SteeringRepair(
            Choice(at), Effect(test), Effect(control), Effect(unseen), beyond, Rank(method, test, at, _repairs, Steered, Gained), Rank([.. matched.Select(m => m.Method)], test, at, atMatched, Steered, Gained),
            matched.Count(m => m.Reached), Net(at, test).P, FindingStatus.Unclear, "");
    }

    private PermutationRank? Rank(SteeringMethod method, MeasuredSet test, At at, Dictionary<string, At?> chosen, Func<At, MeasuredSet, MeasuredSet> runsOf, Func<MeasuredRun, At, double> value) =>
        Rank(RandomOf(method), test, at, chosen, runsOf, value);

    /// <summary>The rank of a method's mean among random heads', on the runs that these were steered on as well.</summary>
    private static PermutationRank? Rank(
        IReadOnlyList<SteeringMethod> random, MeasuredSet test, At at, Dictionary<string, At?> chosen, Func<At, MeasuredSet, MeasuredSet> runsOf, Func<MeasuredRun, At, double> value)
    {
        if (random.Count == 0) return null;
        var shared = test.Where(r => r.Result.Outcomes.Keys.Any(c => c.StartsWith("steer/random", StringComparison.Ordinal)));
        double Mean(At a) => runsOf(a, shared).Runs.Select(r => value(r, a)).DefaultIfEmpty(0).Average();
        return PermutationRank.Of(Mean(at), random.Select(m => chosen[m.Name] is { } own ? Mean(own) : 0));
    }

    private static IEnumerable<TurnedRuns> Knob(SteeringMethod method, MeasuredSet test)
    {
        foreach (var setting in method.Settings)
        {
            foreach (var strength in (method.Signed ? method.Strengths.Select(s => -s).Concat(method.Strengths) : method.Strengths).Order())
            {
                var condition = method.Condition(setting, strength);
                TurnedShares Shares(Modality told)
                {
                    var runs = test.Where(r => !r.Failed && r.Run.Instruction == told && r.Has(condition));
                    return new TurnedShares(runs.Share(r => r.Competes(condition)), runs.Share(r => Third(r, condition)));
                }
                yield return new TurnedRuns(setting.Label, strength, Shares(Modality.Vision), Shares(Modality.Text));
            }
        }
    }

    /// <summary>The strongest turns, of those tried, up to which no more than the margin of the validation runs give a third answer instead of one of the two.</summary>
    private (double Lowest, double Highest) Bounds(SteeringMethod method)
    {
        if (!method.Signed) return (0, method.Strengths[^1]);
        var setting = (_turns[method.Name] ?? _repairs[method.Name])?.Setting ?? method.Settings[0];
        double Strongest(int sense)
        {
            var strongest = 0.0;
            foreach (var strength in method.Strengths)
            {
                var condition = method.Condition(setting, sense * strength);
                var runs = _validation.Where(r => r.Has(condition));
                if (runs.Runs.Count == 0 || runs.Runs.Average(r => Third(r, condition) - Third(r, "baseline")) > _margin) break;
                strongest = sense * strength;
            }
            return strongest;
        }
        return (Strongest(-1), Strongest(1));
    }

    private static string Where(SteeringChoice chosen) => FormattableString.Invariant($"{(chosen.Label.Length > 0 ? chosen.Label + ", " : "")}strength {chosen.Strength:0.###}");

    private SteeringTurn Said(SteeringMethod method, SteeringTurn turn, MeasuredSet test, SteeringMethod? residual)
    {
        if (turn.Chosen is not { } chosen) return turn with { Text = $"{method.Name}: no strength that was tried turns more validation runs than it breaks." };
        var score = turn.Score!.Value;
        var text = $"{method.Name} ({Where(chosen)}) turns {Wording.Percent(turn.ToPicture!.Switched.Mean)} of the runs that follow the text to the picture ({Wording.Interval(turn.ToPicture.Switched)}; a third answer in "
            + $"{Wording.Percent(turn.ToPicture.Third.Mean)}) and {Wording.Percent(turn.ToText!.Switched.Mean)} of those that follow the picture to the text ({Wording.Interval(turn.ToText.Switched)}; "
            + $"{Wording.Percent(turn.ToText.Third.Mean)})";
        if (turn.BeyondResidual is { } beyond) text += $"; score {Wording.Change(beyond)} against the best residual direction, {residual!.Name}";
        if (turn.Random is { } rank) text += $"; {Wording.Rank(rank, "turn")}, each at its best strength";
        if (turn.Control is { } without) text += $"; without a conflict {Wording.Change(without)}";
        var status = test.IsFew || turn.Random is null ? FindingStatus.Unclear
            : turn.P <= MultipleComparisons.Level && score.Low > 0 && turn.Random.Value.P <= MultipleComparisons.Level ? FindingStatus.Present
            : score.High < 0 || Decision.IsAbsent(score, _margin) ? FindingStatus.Absent
            : FindingStatus.Unclear;
        return turn with { Status = status, Text = text + "." };
    }

    private SteeringRepair Said(SteeringMethod method, SteeringRepair repair, MeasuredSet test, SteeringMethod? gain)
    {
        if (repair.Chosen is not { } chosen) return repair with { Text = $"{method.Name}: no strength that was tried gains anything on {Wording.Count(_validation.Runs.Count, "validation run")}." };
        var effect = repair.Test!;
        var text = $"{method.Name} ({Where(chosen)}) repairs {Wording.Percent(effect.Repaired.Mean)} of {Wording.Count(effect.Repaired.Count, "failed run")} ({Wording.Interval(effect.Repaired)}) and breaks "
            + $"{Wording.Percent(effect.Broken.Mean)} of {effect.Broken.Count} others: {Wording.Change(effect.Net)} on all";
        if (repair.BeyondGain is { } beyond) text += $"; against the best gain, {gain!.Name}, {Wording.Change(beyond)}";
        if (repair.Random is { } rank) text += $"; {Wording.Rank(rank, "gain")}, each at its best strength";
        if (repair.Matched is { } matched) text += $"; {Wording.Rank(matched, "gain")}, each where it changes the residual stream as much";
        var harmless = repair.Control is not { } control || control.Net.Low > -_margin;
        if (repair.Control is { } without) text += $"; without a conflict {Wording.Change(without.Net)}{(harmless ? "" : ", which is not shown to be harmless")}";
        var status = test.IsFew || repair.Random is null ? FindingStatus.Unclear
            : repair.P <= MultipleComparisons.Level && effect.Net.Low > 0 && harmless && repair.Random.Value.P <= MultipleComparisons.Level && repair.Matched!.Value.P <= MultipleComparisons.Level ? FindingStatus.Present
            : effect.Net.High < 0 || (Decision.IsAbsent(effect.Net, _margin) && effect.Net.Low <= 0) ? FindingStatus.Absent
            : FindingStatus.Unclear;
        return repair with { Status = status, Text = text + "." };
    }
}
