using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Monitoring;

/// <summary>Reads members of profiles and of the policy strictly.</summary>
internal static class ReadingFields
{
    /// <summary>A number within bounds.</summary>
    /// <exception cref="InputException">It is no number, or out of bounds.</exception>
    public static double Number(this JsonField field, double least, double most) =>
        field.Value.ValueKind == System.Text.Json.JsonValueKind.Number && field.Value.TryGetDouble(out var number)
            && number >= least && number <= most
            ? number : throw field.Expected(FormattableString.Invariant($"a number from {least} to {most}"));

    /// <summary>Refuses members with other names.</summary>
    /// <exception cref="InputException">There is one.</exception>
    public static void Only(this JsonField field, params string[] known)
    {
        foreach (var (name, member) in field.Members())
        {
            if (!known.Contains(name))
                throw InputException.At(member.File, member.Path, string.Join(", ", known),
                    $"an unknown member{Nearest.Hint(name, known)}");
        }
    }
}
