namespace AnchorScope.Server.Monitoring;

/// <summary>What a request did to the alert of a quantity.</summary>
internal enum WatchEvent
{
    Nothing,
    Raised,
    Cleared,
}

/// <summary>Watches one quantity against its profile: raises an alert, and clears it.</summary>
/// <param name="threshold">The statistic at which the alert is raised.</param>
/// <param name="window">Number of requests after which the test begins anew, so that a change is found however late it comes.</param>
internal sealed class Watch(Quantity quantity, QuantileSketch normal, double threshold, int window)
{
    // An alert is over after this many times the requests that raising it took since the statistic was lowest, and at least the second
    // number, if it is not raised again.
    private const int Patience = 3;
    private const int FewestToClear = 50;

    private readonly ExceedanceTest _test = new(normal);
    private int _seen;
    private int _took;
    // Where the statistic was lowest: about where a change began.
    private (double Statistic, int Seen) _lowest = (1, 0);

    public Quantity Quantity => quantity;

    /// <summary>Whether the alert is raised.</summary>
    public bool IsRaised { get; private set; }

    /// <summary>The statistic at which the alert is raised.</summary>
    public double Threshold => threshold;

    /// <summary>The statistic after the last request; after an alert, the one that raised it.</summary>
    public double Statistic { get; private set; } = 1;

    /// <summary>What has changed, when it is raised.</summary>
    public string Finding { get; private set; } = "";

    /// <summary>Adds a request.</summary>
    public WatchEvent Add(double value)
    {
        Statistic = _test.Add(value);
        _seen++;
        if (Statistic <= _lowest.Statistic) _lowest = (Statistic, _seen);
        if (Statistic >= threshold)
        {
            (Finding, _took) = (_test.Finding, _seen - _lowest.Seen);
            Restart();
            if (IsRaised) return WatchEvent.Nothing;
            IsRaised = true;
            return WatchEvent.Raised;
        }
        if (IsRaised && _seen >= Math.Max(FewestToClear, Patience * _took))
        {
            IsRaised = false;
            Restart();
            return WatchEvent.Cleared;
        }
        if (!IsRaised && _seen >= window) Restart();
        return WatchEvent.Nothing;
    }

    /// <summary>Begins anew, for instance because the server has changed something.</summary>
    public void Restart()
    {
        _test.Restart();
        (_seen, _lowest) = (0, (1, 0));
    }
}
