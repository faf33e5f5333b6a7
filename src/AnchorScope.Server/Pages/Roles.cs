using AnchorScope.Server.Security;

namespace AnchorScope.Server.Pages;

/// <summary>Which keys may see which pages.</summary>
internal static class Roles
{
    /// <summary>The state of the server: counts, decisions, alerts, knobs.</summary>
    public static bool SeeState(ServerKey key) => key.May(Role.Audit) || key.May(Role.Operator);

    /// <summary>The record, which names callers.</summary>
    public static bool SeeRecord(ServerKey key) => key.May(Role.Audit);

    /// <summary>The playground, which asks for text.</summary>
    public static bool Ask(ServerKey key) => key.May(Role.Infer);
}
