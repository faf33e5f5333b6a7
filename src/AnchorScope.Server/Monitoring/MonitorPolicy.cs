using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Monitoring;

/// <summary>What is done about an alert.</summary>
/// <param name="Alert">Name of a quantity, or of a group of quantities.</param>
/// <param name="Knob">The knob that is put back to its default.</param>
internal sealed record AlertRule(string Alert, string Knob)
{
    /// <summary>Whether it is about a quantity.</summary>
    public bool Is(Quantity quantity) => Alert == quantity.Name || Alert == quantity.Group;
}

/// <summary>How requests are watched: the member <c>monitor</c> of a policy.</summary>
internal sealed record MonitorPolicy
{
    /// <summary>Share of the requests with named answers that are watched, 0 to 1.</summary>
    public double Share { get; init; } = 1;

    /// <summary>
    /// Probability that requests which are like those of the profile raise any alert within <see cref="Window"/> of them: an upper bound.
    /// </summary>
    public double Alpha { get; init; } = 0.01;

    /// <summary>Number of requests after which the tests begin anew.</summary>
    public int Window { get; init; } = 500;

    /// <summary>Names of the groups of quantities that are compared with the profile.</summary>
    public IReadOnlyList<string> Watch { get; init; } = Quantities.Groups;

    /// <summary>The condition of the profile that the traffic is like, one of <see cref="Profile.ConditionNames"/>.</summary>
    public string Condition { get; init; } = Profile.Both;

    /// <summary>Whether requests are computed again in idle time, with edges cut and heads blocked.</summary>
    public bool Reruns { get; init; } = true;

    /// <summary>What is done about alerts.</summary>
    public IReadOnlyList<AlertRule> Rules { get; init; } = [];

    /// <summary>
    /// Reads <c>{"share", "alpha", "window", "watch": [groups], "condition", "reruns", "rules": [{"alert", "knob"}]}</c>. What is left out
    /// has its usual value.
    /// </summary>
    /// <param name="quantities">What can be watched.</param>
    /// <param name="knobs">Names of the knobs of the policy.</param>
    /// <exception cref="InputException">It is wrong.</exception>
    public static MonitorPolicy Read(JsonField? field, Quantities quantities, IEnumerable<string> knobs)
    {
        var usual = new MonitorPolicy();
        if (field is not { } given) return usual;
        given.Only("share", "alpha", "window", "watch", "condition", "reruns", "rules");
        string[] alerts = [.. Quantities.Groups, .. quantities.All.Select(quantity => quantity.Name)];
        string[] known = [.. knobs];
        return new MonitorPolicy
        {
            Share = given.Find("share")?.Number(0, 1) ?? usual.Share,
            Alpha = given.Find("alpha")?.Number(1e-9, 0.5) ?? usual.Alpha,
            Window = given.Find("window")?.Integer(20, 1_000_000) ?? usual.Window,
            Watch = given.Find("watch") is { } watch
                ? [.. watch.Items().Select(item => OneOf(item, Quantities.Groups)).Distinct(StringComparer.Ordinal)] : usual.Watch,
            Condition = given.Find("condition") is { } condition ? OneOf(condition, Profile.ConditionNames) : usual.Condition,
            Reruns = given.Flag("reruns", usual.Reruns),
            Rules = [.. (given.Find("rules")?.Items() ?? []).Select(rule =>
            {
                rule.Only("alert", "knob");
                return new AlertRule(OneOf(rule.Get("alert"), alerts), OneOf(rule.Get("knob"), known));
            })],
        };
    }

    private static string OneOf(JsonField field, IReadOnlyList<string> known) => known.Contains(field.Text())
        ? field.Text()
        : throw field.Expected((known.Count == 0 ? "nothing: there is none" : $"one of {string.Join(", ", known.Take(12))}")
            + Nearest.Hint(field.Text(), known));
}
