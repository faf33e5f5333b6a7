using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Security;

namespace AnchorScope.Server.Policies;

/// <summary>A head set that requests may name.</summary>
/// <param name="Name">The name in requests.</param>
/// <param name="Heads">Its heads.</param>
/// <param name="Sha256">Of the bytes of its file.</param>
internal sealed record PolicyHeadSet(string Name, IReadOnlyList<(int Layer, int Head)> Heads, string Sha256);

/// <summary>A range of numbers, both ends included.</summary>
internal readonly record struct Bounds(double Lowest, double Highest)
{
    public bool Contains(double value) => value >= Lowest && value <= Highest;

    public override string ToString() => FormattableString.Invariant($"{Lowest} to {Highest}");
}

/// <summary>Requests whose logits are known to the bit.</summary>
/// <param name="File">Their file.</param>
/// <param name="Period">Time between two runs.</param>
/// <param name="Stops">Whether requests are refused after a difference; otherwise it is told only.</param>
internal sealed record CanaryPolicy(string File, TimeSpan Period, bool Stops);

/// <summary>What requests may change inside the model, and by how much: bounds that somebody answers for.</summary>
internal sealed record Policy
{
    /// <summary>Without a policy: nothing may be changed.</summary>
    public static Policy None { get; } = new() { Name = "none" };

    public required string Name { get; init; }

    /// <summary>SHA-256 of the bytes of its file; empty without a policy.</summary>
    public string Sha256 { get; init; } = "";

    /// <summary>Head sets by name.</summary>
    public IReadOnlyDictionary<string, PolicyHeadSet> HeadSets { get; init; } = new Dictionary<string, PolicyHeadSet>();

    /// <summary>Knobs by name.</summary>
    public IReadOnlyDictionary<string, Knob> Knobs { get; init; } = new Dictionary<string, Knob>();

    /// <summary>The kinds of changes that a request may describe itself; empty: none.</summary>
    public IReadOnlyList<string> Kinds { get; init; } = [];

    /// <summary>Whether requests may list heads, instead of naming a head set.</summary>
    public bool AllowsListedHeads { get; init; }

    /// <summary>Maximum number of changes of a request.</summary>
    public int MostEdits { get; init; }

    /// <summary>Factors of heads.</summary>
    public Bounds Factor { get; init; }

    /// <summary>Numbers added to attention scores.</summary>
    public Bounds Added { get; init; }

    /// <summary>The role that a key needs to take a knob's value of its own, or to opt out of knobs.</summary>
    public Role FollowRole { get; init; } = Role.Steer;

    /// <summary>The role that a key needs to describe changes itself.</summary>
    public Role InterventionRole { get; init; } = Role.Steer;

    /// <summary>The role that a key needs to turn a knob for everybody.</summary>
    public Role KnobRole { get; init; } = Role.Operator;
    /// <summary>How requests are watched.</summary>
    public MonitorPolicy Monitor { get; init; } = new();

    /// <summary>The heads whose contributions are read of every watched request: those of the head sets.</summary>
    public IReadOnlyList<(int Layer, int Head)> WatchedHeads =>
        [.. HeadSets.Values.SelectMany(set => set.Heads).Distinct().Order()];

    /// <summary>Whether requests and answers themselves are kept, apart from the log, so that they can be computed again.</summary>
    public bool KeepsContent { get; init; }

    /// <summary>After how many days kept requests are deleted; null: never.</summary>
    public int? ContentDays { get; init; }

    /// <summary>Requests whose logits are known; null for none.</summary>
    public CanaryPolicy? Canaries { get; init; }

    /// <summary>
    /// Reads a policy: <c>{"version": 1, "name", "model", "head_sets": [{"name", "file", "sha256"}], "interventions": {"kinds",
    /// "most_edits", "listed_heads", "factor": [lowest, highest], "add": [lowest, highest]}, "monitor": {...}, "keep_content": false}</c>.
    /// <c>model</c> is the SHA-256 of the weights; files are relative to the policy.
    /// </summary>
    /// <param name="model">The model that is served.</param>
    /// <exception cref="InputException">It is wrong, or made for other weights.</exception>
    public static Policy Load(string path, Engines.IEngine engine, ModelIdentity model)
    {
        var bytes = JsonField.ReadBytes(path);
        var root = Form(path, bytes);
        if (root.Get("model").Text() is var weights && weights != model.Weights)
            throw root.Get("model").Expected($"the SHA-256 of the weights that are served, {model.Weights}");
        var free = root.Find("interventions");
        var roles = root.Find("roles");
        var sets = Named(root.Find("head_sets"), item => HeadSet(item, path, engine, model), set => set.Name);
        var knobs = Named(root.Find("knobs"), item => KnobOf(item, path, sets, model), knob => knob.Name);
        var policy = new Policy
        {
            Name = root.Get("name").Text(),
            Sha256 = Digest.Of(bytes),
            HeadSets = sets,
            Knobs = knobs,
            Canaries = CanariesOf(root, path),
            Kinds = [.. (free?.Get("kinds").Items() ?? []).Select(Kind)],
            FollowRole = RoleOf(roles?.Find("follow"), Role.Steer),
            InterventionRole = RoleOf(roles?.Find("interventions"), Role.Steer),
            KnobRole = RoleOf(roles?.Find("knobs"), Role.Operator),
            KeepsContent = root.Flag("keep_content", false),
            ContentDays = root.Find("content_days") is not { } days ? null : root.Flag("keep_content", false) ? days.Integer(1, 36500)
                : throw days.Expected("keep_content true beside it"),
            MostEdits = free?.Find("most_edits")?.Integer(1, 64) ?? 8,
            AllowsListedHeads = free?.Flag("listed_heads", false) ?? false,
            Factor = BoundsOf(free?.Find("factor"), new Bounds(0, 2)),
            Added = BoundsOf(free?.Find("add"), new Bounds(-2, 2)),
        };
        var quantities = new Quantities(engine.Shape, policy.WatchedHeads);
        return policy with { Monitor = MonitorPolicy.Read(root.Find("monitor"), quantities, knobs.Keys) };
    }

    /// <summary>The document of a policy, whose members are known; what they refer to is not read.</summary>
    /// <exception cref="InputException">It is no such document.</exception>
    public static JsonField Form(string path, byte[] bytes)
    {
        var root = new JsonField(path, "", StrictJson.Parse(bytes, path));
        Known(root, ["$schema", "version", "name", "model", "head_sets", "knobs", "interventions", "roles", "monitor", "keep_content",
            "content_days", "canaries", "on_canary_failure"]);
        root.Get("version").Integer(1, 1);
        _ = root.Get("name").Text();
        _ = root.Get("model").Text();
        if (root.Find("interventions") is { } free) Known(free, ["kinds", "most_edits", "listed_heads", "factor", "add"]);
        if (root.Find("roles") is { } roles) Known(roles, ["follow", "interventions", "knobs"]);
        return root;
    }

    /// <summary>Canaries: <c>{"file", "sha256", "seconds"}</c>, and beside them <c>"on_canary_failure": "alert" or "stop"</c>.</summary>
    private static CanaryPolicy? CanariesOf(JsonField root, string path)
    {
        var failure = root.Find("on_canary_failure");
        if (root.Find("canaries") is not { } canaries)
            return failure is { } idle ? throw idle.Expected("canaries beside it") : null;
        Known(canaries, ["file", "sha256", "seconds"]);
        var (file, _) = Approved(canaries, path);
        return new CanaryPolicy(file, TimeSpan.FromSeconds(canaries.Find("seconds")?.Integer(1, 366 * 24 * 3600) ?? 3600),
            (failure?.Text() ?? "alert") switch
            {
                "alert" => false,
                "stop" => true,
                _ => throw failure!.Value.Expected("alert or stop"),
            });
    }

    private static PolicyHeadSet HeadSet(JsonField item, string path, Engines.IEngine engine, ModelIdentity model)
    {
        Known(item, ["name", "file", "sha256"]);
        var (file, hash) = Approved(item, path);
        var set = HeadSetFile.Load(file).Set;
        set.Validate(engine.Shape, model, file);
        return new PolicyHeadSet(item.Get("name").Text(), [.. set.Heads.Select(head => (head.Layer, head.Head))], hash);
    }

    private static Dictionary<string, T> Named<T>(JsonField? list, Func<JsonField, T> read, Func<T, string> name)
    {
        var found = new Dictionary<string, T>(StringComparer.Ordinal);
        foreach (var item in list?.Items() ?? [])
        {
            var one = read(item);
            if (!found.TryAdd(name(one), one)) throw item.Get("name").Expected("another name than those before it");
        }
        return found;
    }

    /// <summary>
    /// A knob: <c>{"name", "set", "at", "without_part", "bounds", "default", "most_seconds", "justified_by": {"file", "sha256"}}</c>, or
    /// with <c>"direction": {"file", "name", "sha256"}</c> instead of set and at.
    /// </summary>
    private static Knob KnobOf(JsonField item, string path, IReadOnlyDictionary<string, PolicyHeadSet> sets, ModelIdentity model)
    {
        Known(item, ["name", "set", "direction", "at", "without_part", "bounds", "default", "most_seconds", "justified_by"]);
        if (item.Find("set") is null == item.Find("direction") is null) throw item.Expected("one of set and direction");
        var bounds = BoundsOf(item.Get("bounds"), default);
        var value = item.Get("default").Value.TryGetDouble(out var number) && bounds.Contains(number)
            ? number : throw item.Get("default").Expected($"a number within the bounds, {bounds}");
        var (seconds, report) = (item.Find("most_seconds")?.Integer(1, int.MaxValue), Justification(item, path));
        if (item.Find("direction") is { } direction)
        {
            if (item.Find("at") is { } idle) throw idle.Expected("nothing: a direction has its positions");
            return new Knob { Name = item.Get("name").Text(), Direction = DirectionOf(direction, path, model, bounds),
                Bounds = bounds, Default = value, SkipsWithoutPart = Skips(item), MostSeconds = seconds, JustifiedBy = report };
        }
        return new Knob
        {
            Name = item.Get("name").Text(),
            Heads = sets.GetValueOrDefault(item.Get("set").Text())
                ?? throw item.Get("set").Expected($"one of {string.Join(", ", sets.Keys)}"),
            At = item.Find("at") is { } at ? EnumName.Parse<Prompts.SpanKind>($"{path}: {at.Path}", at.Text()) : null,
            SkipsWithoutPart = Skips(item),
            MostSeconds = seconds,
            JustifiedBy = report,
            Bounds = bounds,
            Default = value,
        };
    }

    /// <summary>What happens to requests that lack the part at which a knob acts: they are refused unless the policy says skip.</summary>
    private static bool Skips(JsonField knob) => knob.Find("without_part") switch
    {
        null => false,
        { } field when knob.Find("at") is null && knob.Find("direction") is null =>
            throw field.Expected("nothing: the knob acts at all positions"),
        { } field => field.Text() switch
        {
            "refuse" => false,
            "skip" => true,
            _ => throw field.Expected("refuse or skip"),
        },
    };

    private static Direction DirectionOf(JsonField item, string path, ModelIdentity model, Bounds bounds)
    {
        Known(item, ["file", "name", "sha256"]);
        var (file, _) = Approved(item, path);
        var directions = DirectionFile.Load(file);
        model.Require(directions.Model, file, "direction", "");
        var found = directions.Directions.GetValueOrDefault(item.Get("name").Text())
            ?? throw item.Get("name").Expected($"one of {string.Join(", ", directions.Directions.Keys)}");
        return bounds.Lowest >= found.Lowest && bounds.Highest <= found.Highest ? found.Direction : throw item.Get("name").Expected(
            FormattableString.Invariant($"bounds within those of its validation, {found.Lowest} to {found.Highest}"));
    }

    /// <summary>A role of those that may do more and more; the role audit is not one of them.</summary>
    private static Role RoleOf(JsonField? field, Role usual) => field?.Text() switch
    {
        null => usual,
        "infer" => Role.Infer,
        "steer" => Role.Steer,
        "operator" => Role.Operator,
        "admin" => Role.Admin,
        _ => throw field!.Value.Expected("infer, steer, operator or admin"),
    };

    /// <summary>The report that justifies a knob: <c>{"file", "sha256"}</c>. The file must be there, and be the one of that hash.</summary>
    private static string? Justification(JsonField knob, string path)
    {
        if (knob.Find("justified_by") is not { } report) return null;
        Known(report, ["file", "sha256"]);
        return Approved(report, path).Sha256;
    }

    /// <summary>A file that the policy names by its hash, relative to the policy.</summary>
    private static (string File, string Sha256) Approved(JsonField item, string path)
    {
        var file = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, item.Get("file").Text());
        var hash = Digest.OfFile(file);
        return item.Get("sha256").Text() == hash ? (file, hash) : throw item.Get("sha256").Expected(
            $"the SHA-256 of {item.Get("file").Text()}, {hash}: the file is not the one that was approved");
    }

    private static string Kind(JsonField item) =>
        item.Text() is "head_gain" or "edge_cut" or "edge_boost" ? item.Text() : throw item.Expected("head_gain, edge_cut or edge_boost");

    private static Bounds BoundsOf(JsonField? field, Bounds otherwise)
    {
        if (field is not { } given) return otherwise;
        double[] ends = [.. given.Items().Select(end => end.Value.TryGetDouble(out var number) && double.IsFinite(number)
            ? number : throw end.Expected("a finite number"))];
        return ends.Length == 2 && ends[0] <= ends[1] ? new Bounds(ends[0], ends[1]) : throw given.Expected("[lowest, highest]");
    }

    private static void Known(JsonField field, string[] known)
    {
        foreach (var (name, member) in field.Members())
        {
            if (!known.Contains(name))
                throw InputException.At(member.File, member.Path, string.Join(", ", known),
                    $"an unknown member{Nearest.Hint(name, known)}");
        }
    }
}
