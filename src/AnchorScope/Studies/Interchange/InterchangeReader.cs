using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Builds an <see cref="InterchangeResult"/> from the rows of the phases.</summary>
internal static class InterchangeReader
{
    public static InterchangeResult Read(InterchangeStudy study, InterchangeFindings rows, MeasuredSet ranked, Definitions variants,
        int layers, IReadOnlyList<(int Layer, int Head)> necessary)
    {
        var arbiters = rows.Sets[0].Heads.ToHashSet();
        var sets = rows.Sets.Select(s => Set(study, rows, s)).ToList();
        List<LayerExchange> exchanged = [.. Enumerable.Range(0, layers).Select(l => Layer(rows.Test, study, l))];
        List<ProfiledHead> heads = [.. study.All.Select(h => Head(rows.Profile, ranked, h, sets[0].Found && arbiters.Contains(h)))];
        return new InterchangeResult
        {
            Alignment = EnumName.Of(variants.Alignment),
            Positions = [.. DiagnosisConditions.SpansOf(variants).Select(EnumName.Of)],
            Pairs = [
                new SplitPairs(rows.Profile.Name, [.. Enum.GetValues<DonorFactor>().Select(f => ExchangeMeasure.Count(rows.Profile, f))]),
                new SplitPairs(rows.Test.Name, [.. Enum.GetValues<DonorFactor>()
                    .Where(f => f is not (DonorFactor.Picture or DonorFactor.Note)).Select(f => ExchangeMeasure.Count(rows.Test, f))]),
            ],
            Heads = heads,
            Sets = sets,
            Necessary = Measured(rows.Test, necessary)!,
            Layers = exchanged,
            AllQueries = ExchangeMeasure.Of(rows.Test, new Exchange(DonorFactor.Instruction, HeadContent.Query, study.All)),
            AllOutputs = ExchangeMeasure.Of(rows.Test, new Exchange(DonorFactor.Instruction, HeadContent.Z, study.All)),
            MlpDecides = heads.Exists(h => h.Role == EnumName.Of(HeadRole.Arbiter)) ? null : MlpRule.Of(exchanged),
            Place = Place(rows.Test, study, layers),
            ByGradient = ByGradient(rows, study, heads, arbiters),
            Ablations = [.. from set in rows.Sets.Select(s => (s.Search.Name, s.Heads)).Append((Name: "necessary", Heads: necessary))
                            where set.Heads.Count > 0
                            from variant in Enum.GetValues<AblationVariant>()
                            select Ablation(rows.Ablated, set.Name, new HeadRemoval(variant, set.Heads))],
        };
    }

    private static ChoicePlace Place(MeasuredSet test, InterchangeStudy study, int layers)
    {
        var effects = InterchangeStudy.Places(study.All, layers).Select(e => ExchangeMeasure.Of(test, e)).ToList();
        return new ChoicePlace(ChoicePlace.Of(effects[0], effects[1]), effects[0], effects[1], effects[2]);
    }

    private static GradientSet ByGradient(InterchangeFindings rows, InterchangeStudy study, IReadOnlyList<ProfiledHead> heads,
        HashSet<(int Layer, int Head)> arbiters)
    {
        var named = rows.Attributed.Take(InterchangeStudy.MostHeads).ToList();
        var steps = Enumerable.Range(1, named.Count).Select(
            n => new GradientStep(n, ExchangeMeasure.Of(rows.Test, InterchangeStudy.ByGradient(rows.Attributed, n)))).ToList();
        int? Smallest(double share) => steps.FirstOrDefault(s => s.Test.Switched.Mean >= share)?.Heads;
        var estimates = rows.Attributed.ToDictionary(a => a.Head, a => a.Moved.Mean);
        return new GradientSet(
            [.. named.Select(h => new AttributedHead(h.Head.Layer, h.Head.Head, h.Moved))], steps, Smallest(0.5), Smallest(0.9),
            named.Count(h => arbiters.Contains(h.Head)),
            HeadRanking.Spearman([.. study.All.Select(h => estimates[h])], [.. heads.Select(h => h.Profile.Choice.Moved.Mean)]));
    }

    private static AblationResult Ablation(MeasuredSet set, string name, HeadRemoval removal)
    {
        var condition = removal.Condition;
        var words = set.Runs.SelectMany(r => r.Entities.FollowingForms.Concat(r.Entities.CompetingForms)).ToHashSet();
        return new AblationResult
        {
            Set = name,
            Heads = Ids(removal.Heads),
            Variant = EnumName.Of(removal.Variant),
            Following = set.Share(r => r.Follows(condition)),
            Competitor = set.Share(r => r.Competes(condition)),
            Third = set.Share(r => 1 - r.Follows(condition) - r.Competes(condition)),
            NoAnswerWord = set.Share(r => words.Contains(r.Result.Outcomes[condition].ArgMax) ? 0 : 1),
            Distance = set.Mean(r => r.Result.Curves[AblationRunner.Norm + condition][0]),
        };
    }

    private static ProfiledHead Head(MeasuredSet profile, MeasuredSet ranked, (int Layer, int Head) head, bool inSet)
    {
        ExchangeEffect Effect(DonorFactor factor, HeadContent what) => ExchangeMeasure.Of(profile, new Exchange(factor, what, [head]));
        var of = new Profile(
            Effect(DonorFactor.Instruction, HeadContent.Query), Effect(DonorFactor.Crossed, HeadContent.Query),
            Effect(DonorFactor.Instruction, HeadContent.Z),
            Effect(DonorFactor.Crossed, HeadContent.Z), Effect(DonorFactor.Question, HeadContent.Z),
                Effect(DonorFactor.Picture, HeadContent.Z), Effect(DonorFactor.Note, HeadContent.Z))
        {
            Phrasing = Effect(DonorFactor.Phrasing, HeadContent.Query), PhrasingOutput = Effect(DonorFactor.Phrasing, HeadContent.Z),
        };
        var blocked = ConditionId.Head(head.Layer, head.Head);
        var both = ranked.Where(r => r.Has(blocked));
        double Third(MeasuredRun r, string condition) => 1 - r.Follows(condition) - r.Competes(condition);
        var third = both.Runs.Count == 0 ? new Estimate(double.NaN, double.NaN, double.NaN, 0)
            : both.Difference(r => Third(r, blocked) - Third(r, ConditionId.Baseline)).Difference;
        return new ProfiledHead(head.Layer, head.Head, EnumName.Of(RoleRule.Of(of, inSet, third)), inSet, of, third);
    }

    private static FoundSet Set(InterchangeStudy study, InterchangeFindings rows, SearchedSet set)
    {
        var search = set.Search;
        var steps = set.Steps.Select(s => new FoundStep(Ids(s.Heads), s.Ranking, ExchangeMeasure.Of(rows.Test, search.Of(s.Heads))))
            .ToList();
        var exchanged = $"{EnumName.Of(search.Factor)}/{EnumName.Of(search.What)}";
        if (steps.Count == 0) return new FoundSet
        {
            Name = search.Name,
            Exchanged = exchanged,
            Steps = steps,
            Found = false,
            Aim = new Estimate(0, 0, 0, 0),
            Half = null,
            Ninety = null,
            Random = null,
            Census = false,
            RandomMoved = double.NaN,
            Measured = null,
        };
        Estimate AimOf(ExchangeEffect effect) => search.Name == "choice_carriers" ? effect.OwnOther : effect.Switched;
        int? Smallest(double share) => steps.FirstOrDefault(s => AimOf(s.Test).Mean >= share)?.Heads.Count;
        double Reach(IReadOnlyList<(int Layer, int Head)> heads)
        {
            var effect = ExchangeMeasure.Of(rows.Random, search.Of(heads));
            return search.Name == "choice_carriers" ? effect.Choice.Mean : effect.Moved.Mean;
        }
        var drawn = study.Draws(set).Select(Reach).ToList();
        PermutationRank? rank = drawn.Count == 0 ? null : PermutationRank.Of(Reach(set.Heads), drawn);
        var measured = Measured(rows.Test, set.Heads)!;
        // Whether the set has the effect that was searched for. Queries choose, so those of a crossed donor give the receiver's own other
        // answer, and those of another phrasing of the same instruction change nothing. A decision is the donor's answer, a choice the
        // receiver's own other one.
        var kind = search.Name switch
        {
            "arbiters" => measured.ChoiceCrossed.Choice.Low > 0 && !RoleRule.Moves(measured.Phrasing),
            "decision_carriers" => measured.Content.Choice.High < 0,
            _ => measured.Content.Choice.Low > 0,
        };
        var test = steps[^1].Test;
        var moves = search.Name == "choice_carriers" ? test.OwnOther.Low > RoleRule.Least : test.Moved.Low > RoleRule.Least;
        var census = drawn.Count > 0 && study.IsCensus(set);
        var enough = !rows.Test.IsFew && rank is { } r && (census ? r.AtLeast == 0 : r.P <= MultipleComparisons.Level);
        return new FoundSet
        {
            Name = search.Name,
            Exchanged = exchanged,
            Steps = steps,
            Found = kind && moves && enough,
            Aim = AimOf(test),
            Half = Smallest(0.5),
            Ninety = Smallest(0.9),
            Random = rank,
            Census = census,
            RandomMoved = drawn.Count == 0 ? double.NaN : drawn.Max(),
            Measured = measured,
        };
    }

    private static MeasuredHeads? Measured(MeasuredSet set, IReadOnlyList<(int Layer, int Head)> heads)
    {
        if (heads.Count == 0) return null;
        ExchangeEffect Effect(DonorFactor factor, HeadContent what) => ExchangeMeasure.Of(set, new Exchange(factor, what, heads));
        return new MeasuredHeads(
            Ids(heads), Effect(DonorFactor.Instruction, HeadContent.Query), Effect(DonorFactor.Crossed, HeadContent.Query),
            Effect(DonorFactor.Instruction, HeadContent.Z),
            Effect(DonorFactor.Crossed, HeadContent.Z), Effect(DonorFactor.Question, HeadContent.Z))
        {
            Phrasing = Effect(DonorFactor.Phrasing, HeadContent.Query), PhrasingOutput = Effect(DonorFactor.Phrasing, HeadContent.Z),
        };
    }

    private static LayerExchange Layer(MeasuredSet set, InterchangeStudy study, int layer)
    {
        ExchangeEffect Effect(DonorFactor factor, HeadContent what) =>
            ExchangeMeasure.Of(set, new Exchange(factor, what, what == HeadContent.Mlp ? [(layer, 0)] : study.Layer(layer)));
        return new LayerExchange(
            layer, Effect(DonorFactor.Instruction, HeadContent.Query), Effect(DonorFactor.Crossed, HeadContent.Query),
            Effect(DonorFactor.Instruction, HeadContent.Z),
            Effect(DonorFactor.Crossed, HeadContent.Z), Effect(DonorFactor.Instruction, HeadContent.Mlp),
            Effect(DonorFactor.Crossed, HeadContent.Mlp));
    }

    private static List<HeadId> Ids(IEnumerable<(int Layer, int Head)> heads) => [.. heads.Select(h => new HeadId(h.Layer, h.Head))];
}
