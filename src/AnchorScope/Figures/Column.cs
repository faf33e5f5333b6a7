namespace AnchorScope.Figures;

/// <summary>A column of a table.</summary>
/// <param name="Name">Text of its header.</param>
/// <param name="Group">Header that spans this column and its neighbours of the same group; empty for none.</param>
internal sealed record Column(string Name, string Group = "")
{
    /// <summary>A column without a spanning header.</summary>
    public static implicit operator Column(string name) => new(name);

    /// <summary>Columns under one spanning header.</summary>
    public static IEnumerable<Column> Under(string group, params IEnumerable<string> names) =>
        names.Select(name => new Column(name, group));
}
