using System.Reflection;

namespace AnchorScope;

/// <summary>Name and version of the tool in result files.</summary>
internal static class ToolVersion
{
    /// <summary>"AnchorScope 0.1.0".</summary>
    public static string Text { get; } = "AnchorScope "
        + typeof(ToolVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
