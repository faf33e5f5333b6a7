using System.Runtime.CompilerServices;

namespace AnchorScope.Tests;

/// <summary>Paths of the files that tests read: tests/fixtures, models and data of this repository.</summary>
internal static class Fixtures
{
    public static string Root { get; } = FindRoot();

    public static string Path(params string[] parts) => System.IO.Path.Combine([Root, "tests", "fixtures", .. parts]);

    /// <summary>The organism that the reference library trained and measured.</summary>
    public static string Organism => Path("organism");

    /// <summary>A bundled organism: relay, direct or biased.</summary>
    public static string Grown(string name) => System.IO.Path.Combine(Root, "models", name);

    public static string Conflicts => System.IO.Path.Combine(Root, "data", "organism-conflicts");

    private static string FindRoot([CallerFilePath] string here = "")
    {
        var folder = new DirectoryInfo(System.IO.Path.GetDirectoryName(here)!);
        while (!File.Exists(System.IO.Path.Combine(folder.FullName, "AnchorScope.slnx")))
            folder = folder.Parent ?? throw new InvalidOperationException($"no AnchorScope.slnx above {here}");
        return folder.FullName;
    }
}
