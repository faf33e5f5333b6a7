namespace AnchorScope;

/// <summary>Members of an enum by the name that files and options have.</summary>
internal static class EnumName
{
    /// <summary>The name of a variant as files have it: SignedKl is "signed_kl".</summary>
    public static string Of<T>(T variant)
        where T : struct, Enum =>
        string.Concat(variant.ToString().Select((c, i) => char.IsUpper(c) ? (i > 0 ? "_" : "") + char.ToLowerInvariant(c) : $"{c}"));

    /// <summary>The variant of a name; an unknown one is an error that lists them.</summary>
    public static T Parse<T>(string option, string name)
        where T : struct, Enum
    {
        foreach (var value in Enum.GetValues<T>())
        {
            if (Of(value) == name) return value;
        }
        throw new InputException($"{option}: expected {string.Join(", ", Enum.GetValues<T>().Select(Of))}, found {name}{Nearest.Hint(name, Enum.GetValues<T>().Select(Of))}");
    }
}
