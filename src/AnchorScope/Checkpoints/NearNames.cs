namespace AnchorScope.Checkpoints;

/// <summary>Suggests similar names for a missing tensor.</summary>
internal static class NearNames
{
    private const int Shown = 3;

    /// <summary>
    /// A clause for the end of a message; empty if no name shares at least half of its characters in a common prefix and suffix.
    /// </summary>
    public static string Clause(string wanted, IEnumerable<string> names)
    {
        string[] near = names
            .Select(name => (name, shared: SharedAtEnds(wanted, name)))
            .Where(candidate => 2 * candidate.shared >= wanted.Length)
            .OrderByDescending(candidate => candidate.shared)
            .ThenBy(candidate => candidate.name, StringComparer.Ordinal)
            .Take(Shown)
            .Select(candidate => Quoted.Of(candidate.name))
            .ToArray();
        return near.Length == 0 ? "" : $"; near it: {string.Join(", ", near)}";
    }

    private static int SharedAtEnds(string a, string b)
    {
        int shorter = Math.Min(a.Length, b.Length);
        int prefix = a.AsSpan().CommonPrefixLength(b);
        int suffix = 0;
        while (prefix + suffix < shorter && a[^(suffix + 1)] == b[^(suffix + 1)])
            suffix++;
        return prefix + suffix;
    }
}
