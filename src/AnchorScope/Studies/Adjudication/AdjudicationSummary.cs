using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>How many heads of one role a method flags.</summary>
/// <param name="Heads">All heads with that role in all models.</param>
internal sealed record RoleCount(string Role, int Flagged, int Heads);

/// <summary>One method over several models.</summary>
internal sealed record MethodSummary
{
    public required string Method { get; init; }

    /// <summary>Number of flagged heads in all models.</summary>
    public required int Flagged { get; init; }

    /// <summary>How many of them are true arbiters.</summary>
    public required int Hits { get; init; }

    /// <summary>Number of true arbiters.</summary>
    public required int Arbiters { get; init; }

    /// <summary>Hits over flagged. The interval treats models, not heads, as independent (docs/adjudication.md).</summary>
    public required Estimate Precision { get; init; }

    /// <summary>Hits over arbiters, with an interval of the same kind.</summary>
    public required Estimate Recall { get; init; }

    /// <summary>Number of models in which only true arbiters have the largest score.</summary>
    public required int First { get; init; }

    /// <summary>Flagged heads by role, in the order of <see cref="HeadRole"/> with "none" last; only roles that occur.</summary>
    public required IReadOnlyList<RoleCount> Roles { get; init; }

    /// <summary>As in <see cref="MethodResult.Runs"/>; the maximum over the models.</summary>
    public required int Runs { get; init; }
}

/// <summary>All methods over the models with one kind of truth.</summary>
/// <param name="WithArbiters">Number of models that have arbiters.</param>
internal sealed record AdjudicationSummary(
    string Truth, IReadOnlyList<string> Models, int WithArbiters, IReadOnlyList<MethodSummary> Methods)
{
    /// <summary>One summary for planted and one for diagnosed roles, each if there are such models.</summary>
    public static IReadOnlyList<AdjudicationSummary> Of(IReadOnlyList<Adjudication> found) =>
        [.. found.GroupBy(f => f.Truth).Select(group => Of(group.Key, [.. group]))];

    private static AdjudicationSummary Of(string truth, IReadOnlyList<Adjudication> models) => new(
        truth, [.. models.Select(m => m.Model)], models.Count(m => m.Arbiters.Count > 0),
        [.. models[0].Methods.Select((method, i) => Of(method.Method, [.. models.Select(m => (m, m.Methods[i]))]))]);

    private static MethodSummary Of(string method, IReadOnlyList<(Adjudication Model, MethodResult Result)> models)
    {
        var flagged = models.SelectMany(m => m.Result.Flagged.Select(head => (m.Model, Hit: m.Model.Arbiters.Contains(head)))).ToList();
        var arbiters = models.SelectMany(m => m.Model.Arbiters.Select(head => (m.Model, Hit: m.Result.Flagged.Contains(head)))).ToList();
        return new MethodSummary
        {
            Method = method,
            Flagged = flagged.Count,
            Hits = flagged.Count(f => f.Hit),
            Arbiters = arbiters.Count,
            Precision = Share(flagged),
            Recall = Share(arbiters),
            First = models.Count(m => m.Result.First == true),
            Roles = [.. Roles(models)],
            Runs = models.Max(m => m.Result.Runs),
        };
    }

    private static Estimate Share(IReadOnlyList<(Adjudication Model, bool Hit)> heads) =>
        Proportion.OfUnits([.. heads.Select(h => h.Hit ? 1.0 : 0.0)], Clusters.By(heads.Select(h => h.Model.Model)));

    private static IEnumerable<RoleCount> Roles(IReadOnlyList<(Adjudication Model, MethodResult Result)> models)
    {
        foreach (var role in Enum.GetValues<HeadRole>().OrderBy(r => r == HeadRole.None).Select(EnumName.Of))
        {
            var heads = models.SelectMany(m => m.Model.Heads.Where(h => h.Role == role)
                .Select(h => m.Result.Flagged.Contains(new HeadId(h.Layer, h.Head)))).ToList();
            if (heads.Count > 0) yield return new RoleCount(role, heads.Count(flagged => flagged), heads.Count);
        }
    }
}
