namespace AnchorScope;

/// <summary>Finds the known name that a user may have meant.</summary>
internal static class Nearest
{
    /// <summary>"; did you mean seed?" if a known name is similar to <paramref name="found"/>, otherwise empty.</summary>
    public static string Hint(string found, IEnumerable<string> known) => Of(found, known) is { } name ? $"; did you mean {name}?" : "";

    /// <summary>The known name with the fewest changed letters, if these are at most two and at most a third of the name.</summary>
    public static string? Of(string found, IEnumerable<string> known)
    {
        var near = known.Select(name => (Name: name, Changes: Changes(found.ToLowerInvariant(), name.ToLowerInvariant())))
            .Where(n => n.Changes <= 2 && 3 * n.Changes <= Math.Max(3, Math.Max(n.Name.Length, found.Length)))
            .OrderBy(n => n.Changes).ThenBy(n => n.Name, StringComparer.Ordinal).ToList();
        return near.Count == 0 ? null : near[0].Name;
    }

    /// <summary>Number of letters to insert, delete, replace, or swap with their neighbour.</summary>
    private static int Changes(string a, string b)
    {
        var table = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++) table[i, 0] = i;
        for (var j = 0; j <= b.Length; j++) table[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var same = a[i - 1] == b[j - 1] ? 0 : 1;
                table[i, j] = Math.Min(Math.Min(table[i - 1, j], table[i, j - 1]) + 1, table[i - 1, j - 1] + same);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    table[i, j] = Math.Min(table[i, j], table[i - 2, j - 2] + 1);
            }
        }
        return table[a.Length, b.Length];
    }
}
