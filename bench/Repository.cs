using System.Runtime.CompilerServices;

namespace AnchorScope.Bench;

/// <summary>Locates the source folders to which results and figures are written.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, ".."));
}
