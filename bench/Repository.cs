using System.Runtime.CompilerServices;

namespace AnchorScope.Bench;

/// <summary>Where the sources are that results and figures go to.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, ".."));
}
