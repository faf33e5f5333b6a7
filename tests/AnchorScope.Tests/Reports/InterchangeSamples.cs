using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Reports;

/// <summary>Small results of exchanges: 2 layers of 3 heads.</summary>
internal static class InterchangeSamples
{
    public const int Layers = 2, Heads = 3;

    private static readonly Estimate Nothing = new(double.NaN, double.NaN, double.NaN, 0);

    /// <summary>No run has a donor.</summary>
    public static ExchangeEffect NoPairs { get; } = new(0, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing);

    /// <summary>Sets of one and two heads, one of them not confirmed, and a head of every role.</summary>
    public static InterchangeResult Full()
    {
        HeadRole[] roles = [HeadRole.Arbiter, HeadRole.CarrierDecision, HeadRole.Hub, HeadRole.Brake, HeadRole.CarrierNote, HeadRole.None];
        return Of(
            [.. roles.Select((role, i) => Head(i / Heads, i % Heads, role, Effect(0.1 * (i + 1))))],
            [
                Found("arbiters", "instruction/query", found: true, 0.4, 0.8), Found("decision_carriers", "crossed/z", found: false, 0.95),
                Empty("choice_carriers", "crossed/z"),
            ],
            Effect(0.9));
    }

    /// <summary>No set, no role, and no pair anywhere.</summary>
    public static InterchangeResult WithoutPairs() => Of(
        [.. Enumerable.Range(0, Layers * Heads).Select(i => Head(i / Heads, i % Heads, HeadRole.None, NoPairs))],
        [Empty("arbiters", "instruction/query"), Empty("decision_carriers", "crossed/z"), Empty("choice_carriers", "crossed/z")],
        NoPairs);

    public static ExchangeEffect Effect(double share) =>
        new(50, Share(share), Share(share), Share(share / 2), Share(1 - share), Share(0), Share(-share));

    private static Estimate Share(double mean) => new(mean, mean - 0.05, mean + 0.05, 50);

    private static InterchangeResult Of(ProfiledHead[] heads, FoundSet[] sets, ExchangeEffect effect) => new InterchangeResult
    {
        Alignment = "equal",
        Positions = ["question", "text_context"],
        Pairs = [new SplitPairs(
            "rank", [new PairCount("instruction", 60, 4, 3, 2, effect.Pairs), new PairCount("crossed", 60, 4, 3, 2, 0)])],
        Heads = heads,
        Sets = sets,
        Necessary = Measured(effect, new HeadId(1, 2)),
        Layers = [.. Enumerable.Range(0, Layers).Select(l => new LayerExchange(l, effect, effect, effect, effect, effect, effect))],
        AllQueries = effect,
        AllOutputs = effect,
        MlpDecides = null,
        Place = new ChoicePlace(effect.Pairs == 0 ? "unclear" : "instruction", effect, NoPairs, NoPairs),
        ByGradient = new GradientSet(
            [new AttributedHead(0, 0, effect.Moved), new AttributedHead(1, 2, Nothing)],
            [new GradientStep(1, effect), new GradientStep(2, effect)], effect.Pairs == 0 ? null : 1, null, 1, 0.5),
        Ablations = [],
    };

    private static ProfiledHead Head(int layer, int head, HeadRole role, ExchangeEffect e) => new(
        layer, head, EnumName.Of(role), role == HeadRole.Arbiter, new Profile(e, e, e, e, NoPairs, e, e), Nothing);

    private static FoundSet Found(string name, string exchanged, bool found, params double[] shares)
    {
        var steps = shares.Select((share, i) =>
            new FoundStep([.. Enumerable.Range(0, i + 1).Select(h => new HeadId(0, h))], Effect(share), Effect(share))).ToList();
        var last = steps[^1];
        return new FoundSet
        {
            Name = name,
            Exchanged = exchanged,
            Steps = steps,
            Found = found,
            Aim = last.Test.Switched,
            Half = 2,
            Ninety = null,
            Random = new PermutationRank(0, 79),
            Census = false,
            RandomMoved = 0.1,
            Measured = Measured(last.Test, [.. last.Heads]),
        };
    }

    private static FoundSet Empty(string name, string exchanged) => new FoundSet
    {
        Name = name,
        Exchanged = exchanged,
        Steps = [],
        Found = false,
        Aim = Nothing,
        Half = null,
        Ninety = null,
        Random = null,
        Census = false,
        RandomMoved = double.NaN,
        Measured = null,
    };

    private static MeasuredHeads Measured(ExchangeEffect e, params HeadId[] heads) => new(heads, e, e, e, e, e);
}
