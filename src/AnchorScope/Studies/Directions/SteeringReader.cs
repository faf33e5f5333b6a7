using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Chooses settings and strengths on validation runs, and reduces their effect on other runs.</summary>
internal sealed class SteeringReader
{
    private readonly IReadOnlyList<SteeringMethod> _methods;
    private readonly MeasuredSet _validation;
    private readonly double _margin;
    private readonly Dictionary<string, At?> _turns = new(StringComparer.Ordinal), _repairs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<(SteeringMethod Control, At? Matched)>> _matched = new(StringComparer.Ordinal);
    private MeasuredSet? _norms;

    /// <param name="validation">Runs on which strengths are chosen.</param>
    /// <param name="margin">Equivalence margin.</param>
    public SteeringReader(IReadOnlyList<SteeringMethod> methods, MeasuredSet validation, double margin)
    {
        (_methods, _validation, _margin) = (methods, validation, margin);
        foreach (var method in methods.SelectMany(m => m.Controls.Prepend(m)))
        {
            // Controls were run on fewer samples. Every method chooses on all samples it has.
            _turns[method.Name] = method.Signed
                ? Best(method, at => Turning(at, validation).Difference(r => Turned(r, at)).Difference.Mean) : null;
            _repairs[method.Name] = Best(method, at => Net(at, validation).Difference.Mean);
        }
    }

    /// <summary>A method with one of its settings and strengths.</summary>
    private readonly record struct At(SteeringMethod Method, SteeringSetting Setting, double Strength)
    {
        /// <summary>The condition that steers the run towards its instructed modality.</summary>
        public string With(MeasuredRun run) => Method.Condition(Setting, Strength, run.Run);

        /// <summary>The condition that steers the run towards the other modality.</summary>
        public string Against(MeasuredRun run) =>
            Method.Condition(Setting, Method.Signed && run.Run.Instruction == Modality.Vision ? -Strength : Strength);

        public (string Condition, Intervention Edits)? EditsOf(SteeredRun run, int sense)
        {
            var strength = Method.Signed ? sense * Strength : Strength;
            var condition = Method.Condition(Setting, strength);
            return Setting.Edits(run, condition, strength) is { } edits ? (condition, edits) : null;
        }
    }

    /// <summary>
    /// Conditions whose change of the residual stream is measured: the chosen ones, and their controls at every strength that may match
    /// them.
    /// </summary>
    public IEnumerable<(string Condition, Intervention Edits)> NormConditions(SteeredRun run)
    {
        foreach (var at in _methods.SelectMany(m => new[] { _repairs[m.Name], _turns[m.Name] }).OfType<At>().Distinct())
        {
            if (at.EditsOf(run, run.Sense) is { } edits) yield return edits;
        }
        foreach (var method in _methods)
        {
            if (_repairs[method.Name] is not { } chosen) continue;
            foreach (var at in method.Controls.SelectMany(c => StrengthMatch.Further(c.Strengths).Select(s => Like(chosen, c, s))))
            {
                if (at.EditsOf(run, run.Sense) is { } edits) yield return edits;
            }
        }
    }

    /// <summary>Sets the strengths at which controls change the residual stream as much as the repairs they are compared with.</summary>
    /// <param name="norms">Runs of <see cref="NormConditions"/>.</param>
    public void Match(MeasuredSet norms)
    {
        _norms = norms;
        foreach (var method in _methods)
        {
            if (_repairs[method.Name] is not { } chosen) continue;
            var aim = Norm(chosen).Mean;
            _matched[method.Name] = [.. method.Controls.Select(control =>
            {
                var strengths = StrengthMatch.Further(control.Strengths);
                var strength = StrengthMatch.At(strengths, [.. strengths.Select(s => Norm(Like(chosen, control, s)).Mean)],
                    aim, control.Signed ? 0 : 1);
                return (control, strength is { } found ? (At?)Like(chosen, control, found) : null);
            })];
        }
    }

    /// <summary>
    /// Conditions of the controls on sets where nothing is chosen: their own best settings with both signs, and the matched strengths.
    /// </summary>
    public IEnumerable<(string Condition, Intervention Edits)> ControlConditions(SteeredRun run)
    {
        var turns = _methods.SelectMany(m => m.Controls).Select(c => _turns[c.Name]).OfType<At>()
            .SelectMany(at => new[] { at.EditsOf(run, 1), at.EditsOf(run, -1) });
        var repairs = _methods.SelectMany(m => m.Controls).Select(c => _repairs[c.Name])
            .Concat(_matched.Values.SelectMany(m => m).Select(m => m.Matched)).OfType<At>().Select(at => at.EditsOf(run, run.Sense));
        return turns.Concat(repairs).OfType<(string Condition, Intervention Edits)>().DistinctBy(c => c.Condition);
    }

    public SteeringResult Read(SteeringStudy study, int pairs, MeasuredSet test, MeasuredSet? control, MeasuredSet? unseen)
    {
        var options = study.Diagnosed.Options;
        var (model, data) = study.Facts();
        var gain = Largest(_methods.Where(m => m.Family == SteeringFamily.Gain), _repairs, at => Net(at, _validation).Difference.Mean);
        var residual = Largest(_methods.Where(m => m.Family == SteeringFamily.Residual), _turns,
            at => Turning(at, _validation).Difference(r => Turned(r, at)).Difference.Mean);
        var turns = _methods.Select(m => m.Signed ? MeasureTurn(m, test, control, unseen, residual) : null).ToList();
        var repairs = _methods.Select(m => MeasureRepair(m, test, control, unseen, gain)).ToList();
        // A method without a gain on the validation runs claims nothing, so it is not a member of the family.
        var turnP = Holm([.. turns.Select(t => t?.Chosen is null ? double.NaN : t.P)]);
        var repairP = Holm([.. repairs.Select(r => r.Chosen is null ? double.NaN : r.P)]);
        return new SteeringResult
        {
            Schema = 1,
            Tool = ToolVersion.Text,
            Model = model,
            Data = data,
            Variants = study.Diagnosed.Named,
            Seed = options.Seed,
            EquivalenceMargin = _margin,
            Heads = study.Heads,
            FittedRuns = pairs,
            ValidationRuns = _validation.Runs.Count,
            Failed = test.Runs.Count(r => r.Failed),
            TestRuns = test.Runs.Count,
            ControlRuns = control?.Runs.Count ?? 0,
            UnseenRuns = unseen?.Runs.Count ?? 0,
            BestGain = gain?.Name,
            BestResidual = residual?.Name,
            Methods = [.. _methods.Select((m, i) =>
            {
                var (lowest, highest) = Bounds(m);
                return new SteeredMethod
                {
                    Name = m.Name,
                    What = m.What,
                    Signed = m.Signed,
                    Lowest = lowest,
                    Highest = highest,
                    Turn = turns[i] is { } turn ? Said(m, turn with { P = turnP[i] }, test, residual) : null,
                    Repair = Said(m, repairs[i] with { P = repairP[i] }, test, gain),
                    Turned = [.. Knob(m, test)],
                };
            })],
        };
    }

    private static IReadOnlyList<double> Holm(IReadOnlyList<double> p) =>
        [.. MultipleComparisons.Holm(p).Select(q => double.IsNaN(q) ? 1 : q)];

    private static At? Best(SteeringMethod method, Func<At, double> score)
    {
        (At? best, var most) = (null, 0.0);
        foreach (var at in method.Settings.SelectMany(setting => method.Strengths.Select(strength => new At(method, setting, strength))))
        {
            // Of equal scores the weakest strength is kept; NaN if no run has it.
            if (score(at) is var scored && scored > most + 1e-12) (best, most) = (at, scored);
        }
        return best;
    }

    private static SteeringMethod? Largest(IEnumerable<SteeringMethod> methods, Dictionary<string, At?> chosen, Func<At, double> score) =>
        methods.Where(m => chosen[m.Name] is not null).MaxBy(m => score(chosen[m.Name]!.Value));

    /// <summary>A control in the setting of the method it is compared with.</summary>
    private static At Like(At chosen, SteeringMethod control, double strength) =>
        new(control, control.Settings.First(s => s.Label == chosen.Setting.Label), strength);

    private static double Third(MeasuredRun run, string condition) => 1 - run.Follows(condition) - run.Competes(condition);

    /// <summary>Runs that follow their instruction without steering and were steered with both signs.</summary>
    private static MeasuredSet Turning(At at, MeasuredSet set) => set.Where(r => !r.Failed && r.Has(at.Against(r)) && r.Has(at.With(r)));

    /// <summary>
    /// 1 if a run switches when steered against its instruction and keeps its answer when steered with it; -1 if it does neither.
    /// </summary>
    private static double Turned(MeasuredRun run, At at) => run.Competes(at.Against(run)) - (1 - run.Follows(at.With(run)));

    private static PairedTest Net(At at, MeasuredSet set) =>
        set.Where(r => r.Has(at.With(r))).Difference(r => r.Follows(at.With(r)) - r.Follows(ConditionId.Baseline));

    private Estimate Norm(At at)
    {
        string Curve(MeasuredRun r) => DirectionRunner.Norm + at.With(r);
        return _norms!.Where(r => r.Result.Curves.ContainsKey(Curve(r))).Mean(r => r.Result.Curves[Curve(r)][0]);
    }

    private SteeringChoice Choice(At at) => new(at.Setting.Label, at.Strength, Norm(at));

    private SteeringTurn MeasureTurn(
        SteeringMethod method, MeasuredSet test, MeasuredSet? control, MeasuredSet? unseen, SteeringMethod? residual)
    {
        if (_turns[method.Name] is not { } at) return new SteeringTurn
        {
            Chosen = null,
            Score = null,
            ToPicture = null,
            ToText = null,
            Control = null,
            Unseen = null,
            BeyondResidual = null,
            Random = null,
            P = double.NaN,
            Status = FindingStatus.Unclear,
            Text = "",
        };
        var runs = Turning(at, test);
        var score = runs.Difference(r => Turned(r, at));
        TurnedSide Side(Modality towards)
        {
            var (others, own) = (runs.Where(r => r.Run.Instruction != towards), runs.Where(r => r.Run.Instruction == towards));
            return new TurnedSide(others.Share(r => r.Competes(at.Against(r))), others.Share(r => Third(r, at.Against(r))),
                own.Share(r => r.Follows(at.With(r))));
        }
        Estimate? beyond = residual is null || residual.Name == method.Name ? null
            : Turning(_turns[residual.Name]!.Value, runs).Mean(r => Turned(r, at) - Turned(r, _turns[residual.Name]!.Value));
        return new SteeringTurn
        {
            Chosen = Choice(at),
            Score = score.Difference,
            ToPicture = Side(Modality.Vision),
            ToText = Side(Modality.Text),
            Control = control?.Where(r => r.Has(at.Against(r)))
                .Difference(r => r.Follows(at.Against(r)) - r.Follows(ConditionId.Baseline)).Difference,
            Unseen = unseen is null ? null : Turning(at, unseen).Difference(r => Turned(r, at)).Difference,
            BeyondResidual = beyond,
            Random = Rank(at, [.. method.Controls.Select(c => _turns[c.Name])], test, Turning, Turned),
            P = score.P,
            Status = FindingStatus.Unclear,
            Text = "",
        };
    }

    private SteeringRepair MeasureRepair(
        SteeringMethod method, MeasuredSet test, MeasuredSet? control, MeasuredSet? unseen, SteeringMethod? gain)
    {
        if (_repairs[method.Name] is not { } at) return new SteeringRepair
        {
            Chosen = null,
            Test = null,
            Control = null,
            Unseen = null,
            BeyondGain = null,
            Random = null,
            Matched = null,
            MatchedReached = 0,
            P = double.NaN,
            Status = FindingStatus.Unclear,
            Text = "",
        };
        RepairEffect? Effect(MeasuredSet? set)
        {
            if (set is null) return null;
            var has = set.Where(r => r.Has(at.With(r)));
            return new RepairEffect(
                has.Runs.Count, has.Where(r => r.Failed).Share(r => r.Follows(at.With(r))),
                has.Where(r => !r.Failed).Share(r => 1 - r.Follows(at.With(r))), Net(at, set).Difference);
        }
        static MeasuredSet Steered(At a, MeasuredSet set) => set.Where(r => r.Has(a.With(r)));
        static double Gained(MeasuredRun r, At a) => r.Follows(a.With(r)) - r.Follows(ConditionId.Baseline);
        Estimate? beyond = gain is null || gain.Name == method.Name ? null
            : Steered(at, test).Difference(r => r.Follows(at.With(r)) - r.Follows(_repairs[gain.Name]!.Value.With(r))).Difference;
        var reached = _matched[method.Name].Where(m => m.Matched is not null).Select(m => m.Matched).ToList();
        return new SteeringRepair
        {
            Chosen = Choice(at),
            Test = Effect(test),
            Control = Effect(control),
            Unseen = Effect(unseen),
            BeyondGain = beyond,
            Random = Rank(at, [.. method.Controls.Select(c => _repairs[c.Name])], test, Steered, Gained),
            Matched = Rank(at, reached, test, Steered, Gained),
            MatchedReached = reached.Count,
            P = Net(at, test).P,
            Status = FindingStatus.Unclear,
            Text = "",
        };
    }

    /// <summary>
    /// The rank of a method's mean among those of its controls, on the runs on which these were steered too. A control without a chosen
    /// strength counts as having no effect.
    /// </summary>
    private static PermutationRank? Rank(At at, IReadOnlyList<At?> controls, MeasuredSet test, Func<At, MeasuredSet, MeasuredSet> runsOf,
        Func<MeasuredRun, At, double> value)
    {
        if (controls.Count == 0) return null;
        var shared = test.Where(r => r.Sample < SteeringStudy.RandomSamples);
        double Mean(At a) => runsOf(a, shared).Runs.Select(r => value(r, a)).DefaultIfEmpty(0).Average();
        return PermutationRank.Of(Mean(at), controls.Select(c => c is { } own ? Mean(own) : 0));
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

    /// <summary>
    /// The strongest tried strengths up to which the share of validation runs that give neither answer grows by no more than the margin.
    /// </summary>
    private (double Lowest, double Highest) Bounds(SteeringMethod method)
    {
        if (!method.Signed) return (0, method.Strengths.Count == 0 ? 0 : method.Strengths[^1]);
        var setting = (_turns[method.Name] ?? _repairs[method.Name])?.Setting ?? method.Settings[0];
        double Strongest(int sense)
        {
            var strongest = 0.0;
            foreach (var strength in method.Strengths)
            {
                var condition = method.Condition(setting, sense * strength);
                var runs = _validation.Where(r => r.Has(condition));
                if (runs.Runs.Count == 0 || runs.Runs.Average(r => Third(r, condition) - Third(r, ConditionId.Baseline)) > _margin) break;
                strongest = sense * strength;
            }
            return strongest;
        }
        return (Strongest(-1), Strongest(1));
    }

    private static string Where(SteeringChoice chosen) =>
        FormattableString.Invariant($"{(chosen.Label.Length > 0 ? chosen.Label + ", " : "")}strength {chosen.Strength:R#}");

    private SteeringTurn Said(SteeringMethod method, SteeringTurn turn, MeasuredSet test, SteeringMethod? residual)
    {
        if (turn.Chosen is not { } chosen)
            return turn with
                { Text = $"{method.Name}: no strength that was tried switches more validation runs than it makes lose their own answer." };
        var score = turn.Score!.Value;
        string Side(TurnedSide side, string from, string to) =>
            $"{Wording.Percent(side.Switched.Mean)} of the runs that follow the "
                + $"{from} to the {to} ({Wording.Interval(side.Switched)}; a third answer in "
                + $"{Wording.Percent(side.Third.Mean)}), while {Wording.Percent(side.Kept.Mean)} of those that follow the {to} keep it";
        var text = $"{method.Name} ({Where(chosen)}) turns {Side(turn.ToPicture!, "text", "picture")}; the other way it turns "
            + $"{Side(turn.ToText!, "picture", "text")}";
        if (turn.BeyondResidual is { } beyond)
            text += $"; score {Wording.Change(beyond)} against the best residual direction on validation runs, {residual!.Name}";
        text += turn.Random is { } rank
            ? $"; {Wording.Rank(rank, "score")}, each at its best strength" : "; it was compared with no random heads";
        if (turn.Control is { } without)
            text += $"; with the same steering, accuracy without a conflict changes by {Wording.Change(without)}";
        var status = test.IsFew || turn.Random is not { } compared ? FindingStatus.Unclear
            : turn.P <= MultipleComparisons.Level && score.Low > 0 && compared.P <= MultipleComparisons.Level ? FindingStatus.Present
            : score.High < 0 || Decision.IsAbsent(score, _margin) ? FindingStatus.Absent
            : FindingStatus.Unclear;
        return turn with { Status = status, Text = text + "." };
    }

    private SteeringRepair Said(SteeringMethod method, SteeringRepair repair, MeasuredSet test, SteeringMethod? gain)
    {
        if (repair.Chosen is not { } chosen)
            return repair with
                { Text = $"{method.Name}: no strength that was tried gains anything on "
                    + $"{Wording.Count(_validation.Runs.Count, "validation run")}." };
        var effect = repair.Test!;
        var text = $"{method.Name} ({Where(chosen)}) repairs {Wording.Percent(effect.Repaired.Mean)} of "
            + $"{Wording.Count(effect.Repaired.Count, "failed run")} ({Wording.Interval(effect.Repaired)}) and breaks "
            + $"{Wording.Percent(effect.Broken.Mean)} of {Wording.Count(effect.Broken.Count, "other")}: {Wording.Change(effect.Net)} on "
            + $"all";
        if (repair.BeyondGain is { } beyond) text += $"; against the best gain on validation runs, {gain!.Name}, {Wording.Change(beyond)}";
        text += repair.Random is { } rank ? $"; {Wording.Rank(rank, "gain", " under the same kind of steering")}, each at its best strength"
            : "; it was compared with no random heads";
        if (repair.Random is { } all)
        {
            text += repair.Matched is { } matched
                ? $"; {Wording.Rank(matched, "gain", " under the same kind of steering")}, each where it changes the residual "
                    + "stream as much" : "; none changes the residual stream as much";
            if (repair.MatchedReached < all.Draws) text += $" "
                + $"({Wording.Count(all.Draws - repair.MatchedReached, "set", "never does", "never do")})";
        }
        var harmless = repair.Control is { } control && control.Net.Low > -_margin;
        text += repair.Control is { } without
            ? $"; without a conflict {Wording.Change(without.Net)}{(harmless ? "" : ", which is not shown to be harmless")}"
            : "; harm was not checked, as no sample lacks a conflict";
        bool Beats(PermutationRank? of) => of is { } r && r.P <= MultipleComparisons.Level;
        var status = test.IsFew ? FindingStatus.Unclear
            : repair.P <= MultipleComparisons.Level && effect.Net.Low > 0 && harmless && Beats(repair.Random) && Beats(repair.Matched)
            ? FindingStatus.Present
            : effect.Net.High <= 0 || effect.Repaired.High <= _margin ? FindingStatus.Absent
            : FindingStatus.Unclear;
        return repair with { Status = status, Text = text + "." };
    }
}
