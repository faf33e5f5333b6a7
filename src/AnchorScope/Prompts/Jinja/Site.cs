namespace AnchorScope.Prompts.Jinja;

/// <summary>A place in a template, for error messages. Lines count from 1.</summary>
internal sealed record Site(string File, int Line)
{
    public InputException Fail(string what) => new($"{File}: template line {Line}: {what}");
}

/// <summary>Limits the cost of evaluating a template, so that no checkpoint can make rendering run away.</summary>
internal sealed class Budget
{
    private const long Work = 50_000_000;
    private const long NodeWork = 25;
    public const long ElementWork = 10;
    public const int LongestText = 1 << 24;
    public const int DeepestCall = 100;

    private long left = Work;

    /// <summary>Cost of evaluating one node.</summary>
    public void SpendNode(Site site) => Spend(site, NodeWork);

    /// <summary>Cost of one pass over the characters or elements of a value.</summary>
    public void SpendOn(Site site, object? value) => Spend(site, value switch
    {
        SourcedText text => text.Length,
        Mapping mapping => mapping.Count,
        IReadOnlyList<object?> list => list.Count,
        _ => 0,
    });

    /// <summary>Subtracts a cost. One unit is about one copied character.</summary>
    public void Spend(Site site, long units)
    {
        left -= units;
        if (left < 0) throw site.Fail($"rendering was stopped after {Work} units of work");
    }
}
