namespace AnchorScope;

/// <summary>Converts members of an enum to and from their names in files and options.</summary>
internal static class EnumName
{
    /// <summary>The name of a member in files: SignedKl is "signed_kl".</summary>
    public static string Of<T>(T variant)
        where T : struct, Enum =>
        string.Concat(variant.ToString().Select((c, i) => char.IsUpper(c) ? (i > 0 ? "_" : "") + char.ToLowerInvariant(c) : $"{c}"));

    /// <summary>The member with this name.</summary>
    /// <exception cref="InputException">The name is unknown; the message lists the names.</exception>
    public static T Parse<T>(string option, string name)
        where T : struct, Enum
    {
        foreach (var value in Enum.GetValues<T>())
        {
            if (Of(value) == name) return value;
        }
        throw new InputException($"{option}: expected {string.Join(", ", Enum.GetValues<T>().Select(Of))}, "
            + $"found {name}{Nearest.Hint(name, Enum.GetValues<T>().Select(Of))}");
    }
}
