namespace AnchorScope.Server.Monitoring;

/// <summary>Quantiles of a number that was read of many requests.</summary>
/// <param name="Count">Number of requests.</param>
/// <param name="P10">The value below which a tenth of the requests are.</param>
internal readonly record struct Quantiles(long Count, double Minimum, double P10, double Median, double P90, double Maximum);

/// <summary>Direct contribution of a head to the margin at the last position, in logits.</summary>
internal sealed record HeadMargins(int Layer, int Head, Quantiles Margin);

/// <summary>Share of the attention of the instruction's tokens that goes to a part of the prompt, 0 to 1.</summary>
/// <param name="Span">Name of the part.</param>
internal sealed record SpanShare(string Span, Quantiles Share);

/// <summary>What was read of a set of requests: of those since the start, or of those of a profile.</summary>
internal sealed record ReadingSummary
{
    /// <summary>Number of requests that were read.</summary>
    public required long Requests { get; init; }

    /// <summary>How many followed "vision", "text" and "neither".</summary>
    public required IReadOnlyDictionary<string, long> Decisions { get; init; }

    /// <summary>Margin towards the picture, in logits.</summary>
    public required Quantiles Margin { get; init; }

    /// <summary>MAM at the instruction's tokens [layer], in logits.</summary>
    public required IReadOnlyList<Quantiles> AtInstruction { get; init; }

    /// <summary>MAM at the last position [layer], in logits.</summary>
    public required IReadOnlyList<Quantiles> AtLast { get; init; }

    public required IReadOnlyList<HeadMargins> Heads { get; init; }

    public required IReadOnlyList<SpanShare> Attention { get; init; }
}

/// <summary>What requests that were computed again, with edges cut or heads blocked, answered.</summary>
/// <param name="Name">What was cut.</param>
/// <param name="Count">Number of requests.</param>
/// <param name="Changed">How many of them decided otherwise.</param>
/// <param name="Change">Change of the margin towards the picture, in logits.</param>
internal sealed record RerunSummary(string Name, long Count, long Changed, Quantiles Change);

/// <summary>A deviation from the profile.</summary>
/// <param name="Name">What is watched.</param>
/// <param name="Message">What was found, in one sentence.</param>
/// <param name="Cleared">When it was over; null: it still is raised.</param>
internal sealed record Alert(
    long Id, string Name, string Message, DateTimeOffset Raised, DateTimeOffset? Cleared, double Statistic, double Threshold)
{
    /// <summary>What the server did, for instance a knob that it put back; null: nothing.</summary>
    public string? Action { get; init; }
}

/// <summary>What the monitor knows at one time.</summary>
internal sealed record MonitorSnapshot
{
    public required ReadingSummary Now { get; init; }

    /// <summary>What is normal; null without a profile.</summary>
    public ReadingSummary? Profile { get; init; }

    public required IReadOnlyList<RerunSummary> Reruns { get; init; }

    /// <summary>The latest alerts, newest first.</summary>
    public required IReadOnlyList<Alert> Alerts { get; init; }
}
