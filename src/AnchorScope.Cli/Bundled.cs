namespace AnchorScope.Cli;

/// <summary>Finds the bundled model and data, searching upwards from the current folder, then from the program's folder.</summary>
internal static class Bundled
{
    public static string Model => Find(Path.Combine("models", "relay"), "--model");

    /// <summary>The policy with which the bundled model is served if nothing is named: its arbiters, with bounds.</summary>
    public static string Policy => Path.Combine(Find(Path.Combine("models", "relay", "serving"), "--policy"), "policy.json");

    public static string Data => Find(Path.Combine("data", "organism-conflicts"), "--data");

    private static string Find(string relative, string option)
    {
        foreach (var start in new[] { Directory.GetCurrentDirectory(), AppContext.BaseDirectory })
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                var path = Path.Combine(folder.FullName, relative);
                if (Directory.Exists(path)) return Path.GetRelativePath(Directory.GetCurrentDirectory(), path);
            }
        }
        throw new InputException($"{option}: {relative} is neither here nor beside the program; name a folder");
    }
}
