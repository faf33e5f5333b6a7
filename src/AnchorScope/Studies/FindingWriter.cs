using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Says in three sentences what was found. An effect is claimed only where the interval of a paired difference excludes zero.</summary>
internal sealed class FindingWriter
{
    /// <summary>Below this the interval of a share spans more than 40 points.</summary>
    private const int FewestFailed = 20;

    private readonly Diagnosis _diagnosis;
    private readonly MeasuredSet _test;
    private readonly MeasuredSet? _control;
    private readonly HeadPlan _plan;

    private FindingWriter(Diagnosis diagnosis, MeasuredSet test, MeasuredSet? control, HeadPlan plan) => (_diagnosis, _test, _control, _plan) = (diagnosis, test, control, plan);

    public static IReadOnlyList<Finding> Write(Diagnosis diagnosis, MeasuredSet test, MeasuredSet? control, HeadPlan plan)
    {
        var writer = new FindingWriter(diagnosis, test, control, plan);
        return [writer.Where(), writer.Heads(), writer.Amplification()];
    }

    private Finding Where()
    {
        var rates = _diagnosis.Following[0];
        var follows = $"The model follows the instruction in {Percent(rates.Argmax.All.Mean)} of {rates.Runs} conflict runs "
            + $"({Percent(rates.Argmax.Vision.Mean)} when told to trust the picture, {Percent(rates.Argmax.Text.Mean)} when told to trust the text)";
        if (rates.Larger.All.Low <= 0.5)
            return new Finding(FindingStatus.Absent, $"{follows}, and between the two answers it does not choose by the instruction ({Percent(rates.Larger.All.Mean)}, {Interval(rates.Larger.All)}; chance is 50 %): there is no arbitration to take apart.");
        var (relay, direct) = (Cut("instruction->suffix") ?? Cut("instruction->last"), Cut("context->last"));
        if (relay is not { } r || direct is not { } d)
            return new Finding(FindingStatus.Unclear, $"{follows}; its prompts lack an edge from the instruction or from the context to the last position, so the route could not be compared.");
        var difference = _test.Mean(run => run.Follows(d.Condition) - run.Follows(r.Condition));
        var cuts = $"cutting all that the answer position reads from the instruction takes MFR from {rates.Argmax.All.Mean:0.00} to {r.Point.Argmax.All.Mean:0.00}, "
            + $"cutting all that it reads straight from picture and text leaves {d.Point.Argmax.All.Mean:0.00}";
        if (difference.Low > 0)
        {
            var (layer, before, after) = LargestStep(_diagnosis.Layers.LdarAnchor);
            return new Finding(FindingStatus.Present, $"{follows} and decides at the instruction tokens: there LDAR rises most in layer {layer}, from {before:0.00} to {after:0.00}; {cuts}.");
        }
        if (difference.High < 0)
        {
            var (layer, before, after) = LargestStep(_diagnosis.Layers.LdarLast);
            return new Finding(FindingStatus.Present, $"{follows} and decides at the last position, which reads the context directly: there LDAR rises most in layer {layer}, from {before:0.00} to {after:0.00}; {cuts}.");
        }
        return new Finding(FindingStatus.Unclear, $"{follows}, but whether the decision comes through the instruction tokens cannot be told: {cuts} (difference {Change(difference)}).");
    }

    private Finding Heads()
    {
        var blocked = _diagnosis.Blocking.FirstOrDefault(b => b.Share == 0.05) ?? _diagnosis.Blocking[0];
        var condition = $"block/{blocked.Name}";
        var (total, names) = (_diagnosis.Model.Layers * _diagnosis.Model.Heads, Names(blocked.Heads));
        var set = $"the top {blocked.Heads.Count} of {total} heads ({names})";
        if (blocked.Drop.All.Low <= 0)
            return new Finding(FindingStatus.Absent, $"No small set of heads decides: with {set} blocked MFR changes by {Dropped(blocked.Drop.All)}.");
        var fall = $"Blocking {set} takes MFR from {_diagnosis.Following[0].Argmax.All.Mean:0.00} to {blocked.Argmax.All.Mean:0.00}, by {Size(blocked.Drop.All)}";
        var random = Draws(blocked.Random, "random") + Draws(blocked.LayerMatched, "from the same layers");
        var side = SideEffect(condition, blocked);
        var beyond = _plan.Draws("random5").Concat(_plan.Draws("layer5")).Select(d => $"block/{d}").ToList();
        if (beyond.Count > 0 && _test.Runs[0].Has(beyond[0]) && blocked.Share == 0.05)
        {
            var strongest = beyond.MinBy(c => _test.Runs.Average(r => r.Follows(c)))!;
            if (_test.Mean(r => r.Follows(strongest) - r.Follows(condition)).Low <= 0)
                return new Finding(FindingStatus.Unclear, $"{fall}, but a random set does as much{random}{side}.");
        }
        return new Finding(FindingStatus.Present, $"{fall}{random}{side}.");
    }

    private string SideEffect(string condition, BlockingResult blocked)
    {
        if (_control is null) return "; there are no control samples, so whether they carry more than the arbitration stays open";
        var drop = _control.Mean(r => r.Follows("baseline") - r.Follows(condition));
        var after = _control.Mean(r => r.Follows(condition));
        return drop.Low > 0
            ? $"; without any conflict accuracy falls as well, by {Size(drop)}, to {after.Mean:0.00}, so these heads carry the answer as such, not the arbitration alone"
            : $"; without a conflict accuracy stays ({after.Mean:0.00}, change {Dropped(drop)})";
    }

    private static string Draws(RandomControl? control, string kind) =>
        control is null ? "" : $"; as many heads drawn at random{(kind == "random" ? "" : " " + kind)} leave {control.Argmax.All.Mean:0.00} ({control.Sets.Count} draws, {control.Lowest:0.00} to {control.Highest:0.00})";

    private Finding Amplification()
    {
        var failed = _test.Where(r => r.Failed);
        var result = _diagnosis.Amplification.FirstOrDefault(a => a.Set == _test.Name && a.Group == "top5");
        if (failed.Runs.Count == 0 || result is null) return new Finding(FindingStatus.Unclear, "No run failed, so amplification had nothing to repair.");
        if (failed.Runs.Count < FewestFailed)
            return new Finding(FindingStatus.Unclear, $"Only {failed.Runs.Count} of {_test.Runs.Count} runs failed, too few to say what amplification repairs.");
        var best = result.Points.Skip(1).MaxBy(p => p.RecoveredArgmax.All.Mean)!;
        var gained = DiagnosisConditions.Gain("top5", best.Factor);
        var text = $"Amplifying these heads repairs at best {Percent(best.RecoveredArgmax.All.Mean)} of {failed.Runs.Count} failed runs ({Interval(best.RecoveredArgmax.All)}, at factor {best.Factor:0.##})";
        var cost = _test.Mean(r => r.Follows("baseline") - r.Follows(gained));
        var whole = cost.Low > 0 ? $", and at that factor the whole set loses {Size(cost)}" : $", and at that factor the whole set changes by {Dropped(cost)}";
        var draws = _plan.Draws("random5").Select(d => DiagnosisConditions.Gain(d, best.Factor)).ToList();
        if (draws.Count == 0) return new Finding(best.RecoveredArgmax.All.Low > 0 ? FindingStatus.Present : FindingStatus.Absent, text + whole + ".");
        var random = failed.Mean(r => draws.Average(r.Follows));
        var beyond = failed.Mean(r => r.Follows(gained) - draws.Average(r.Follows));
        var compared = $"; random heads repair {Percent(random.Mean)} at the same factor";
        if (best.RecoveredArgmax.All.Low <= 0) return new Finding(FindingStatus.Absent, text + ", which is inside the noise" + compared + whole + ".");
        return beyond.Low > 0
            ? new Finding(FindingStatus.Present, text + compared + whole + ".")
            : new Finding(FindingStatus.Unclear, text + compared + $", a difference inside the noise, {Change(beyond)}" + whole + ".");
    }

    private (KnockoutPoint Point, string Condition)? Cut(string edge)
    {
        var condition = DiagnosisConditions.KnockoutAll(edge);
        var point = _diagnosis.Knockouts.FirstOrDefault(k => k.Edge == edge)?.AllLayers;
        return point is not null && _test.Runs.All(r => r.Has(condition)) ? (point, condition) : null;
    }

    private static (int Layer, double Before, double After) LargestStep(IReadOnlyList<ByInstruction> curve)
    {
        var layer = Enumerable.Range(0, curve.Count - 1).MaxBy(l => curve[l + 1].All.Mean - curve[l].All.Mean);
        return (layer, curve[layer].All.Mean, curve[layer + 1].All.Mean);
    }

    private static string Names(IReadOnlyList<HeadId> heads) => heads.Count <= 6 ? string.Join(", ", heads) : string.Join(", ", heads.Take(6)) + ", …";

    private static string Percent(double share) => $"{share * 100:0} %";

    private static string Interval(Estimate e) => $"95 % interval {e.Low * 100:0} to {e.High * 100:0} %";

    /// <summary>A gain or a loss: "+4 points (95 % interval -1 to +9)".</summary>
    private static string Change(double mean, double low, double high) => $"{mean * 100:+0;-0;0} points (95 % interval {low * 100:+0;-0;0} to {high * 100:+0;-0;0})";

    private static string Change(Estimate e) => Change(e.Mean, e.Low, e.High);

    /// <summary>The change that a drop is, with its sign.</summary>
    private static string Dropped(Estimate drop) => Change(-drop.Mean, -drop.High, -drop.Low);

    /// <summary>A drop without sign.</summary>
    private static string Size(Estimate drop) => $"{drop.Mean * 100:0} points (95 % interval {drop.Low * 100:0} to {drop.High * 100:0})";
}
