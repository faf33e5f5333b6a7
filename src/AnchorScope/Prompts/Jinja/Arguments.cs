namespace AnchorScope.Prompts.Jinja;

/// <summary>Evaluated arguments of a call of <paramref name="Name"/>.</summary>
internal sealed record Arguments(
    Site Site, string Name, IReadOnlyList<object?> Positional, IReadOnlyDictionary<string, object?> Named, Budget Budget)
{
    /// <summary>True without arguments; throws if there is any argument.</summary>
    public bool IsEmpty => Only() is not null;

    public InputException Fail(string what) => Site.Fail($"{Name}: {what}");

    /// <summary>The argument at a position or with a name; null if it was not given.</summary>
    public object? Find(int position, string name) =>
        position < Positional.Count ? Positional[position] : Named.GetValueOrDefault(name);

    public bool Has(int position, string name) => position < Positional.Count || Named.ContainsKey(name);

    public object? Get(int position, string name) =>
        Has(position, name) ? Find(position, name) : throw Fail($"needs the argument '{name}'");

    public string? FindText(int position, string name) => Find(position, name) switch
    {
        null => null,
        SourcedText text => text.Text,
        var other => throw Fail($"'{name}' is to be a string, not {Values.Describe(other)}"),
    };

    public SourcedText GetText(int position, string name) => Get(position, name) as SourcedText ??
        throw Fail($"'{name}' is to be a string, not {Values.Describe(Find(position, name))}");

    public int? FindInteger(int position, string name) => Find(position, name) switch
    {
        null => null,
        long number when number is >= int.MinValue and <= int.MaxValue => (int)number,
        var other => throw Fail($"'{name}' is to be an integer of 32 bits, not {Values.Describe(other)}"),
    };

    public bool Flag(int position, string name) => Values.IsTrue(Find(position, name));

    /// <summary>Throws for arguments that the callee does not know, instead of ignoring them.</summary>
    public Arguments Only(params string[] names)
    {
        if (Positional.Count > names.Length) throw Fail($"takes at most {names.Length} arguments, not {Positional.Count}");
        foreach (var name in Named.Keys)
            if (!names.Contains(name)) throw Fail($"the argument '{name}' is not supported");
        return this;
    }

    public Arguments From(int first) => this with { Positional = [.. Positional.Skip(first)] };
}
