using AnchorScope.Checkpoints;
using AnchorScope.World;

namespace AnchorScope.Tuning;

/// <summary>The folder of a tuning: whose it is, and the samples that are drawn for it where none are given.</summary>
internal static class TuningFolder
{
    /// <summary>Holds what decides every number of a run.</summary>
    internal const string Settings = "settings.json";

    private const string Data = "data";

    /// <summary>What is drawn for each part, from a seed of its own. The test folder has a ranking set, so that it can be diagnosed.</summary>
    private static readonly (string Part, (WorldSplit Split, int Count)[] Samples)[] Parts =
    [
        ("train", [(WorldSplit.Rank, 300), (WorldSplit.Hard, 300), (WorldSplit.Control, 150)]),
        ("validate", [(WorldSplit.Rank, 100), (WorldSplit.Hard, 100), (WorldSplit.Control, 60)]),
        ("test", [(WorldSplit.Rank, 40), (WorldSplit.Test, 400), (WorldSplit.HeldOut, 200), (WorldSplit.Hard, 200), (WorldSplit.Inertia, 100), (WorldSplit.Control, 150)]),
    ];

    /// <summary>Refuses a folder that has something in it and is no tuning's.</summary>
    /// <exception cref="InputException">It is.</exception>
    internal static void Own(string folder)
    {
        if (File.Exists(folder)) throw new InputException($"{folder}: expected a folder, found a file");
        if (!Directory.Exists(folder) || File.Exists(Path.Combine(folder, Settings))) return;
        if (Directory.EnumerateFileSystemEntries(folder).Any(path => Path.GetFileName(path) is not (Data or FolderLock.FileName)))
            throw NewFolder.NotEmpty(folder, $"there is no {Settings} of a tuning to resume; name another one with --out");
    }

    /// <summary>Conflicts in the bundled organism's world, drawn where they are not there yet.</summary>
    /// <returns>The folders to train, validate and test on.</returns>
    internal static TuningSets World(string folder, ulong seed, CancellationToken cancel)
    {
        Directory.CreateDirectory(Path.Combine(folder, Data));
        string Part(int i)
        {
            var path = Path.Combine(folder, Data, Parts[i].Part);
            if (!Directory.Exists(path)) WorldFolder.Write(path, new WorldFolderOptions { Seed = seed * (ulong)Parts.Length + (ulong)i + 1, Samples = Parts[i].Samples.ToDictionary(s => s.Split, s => s.Count) }, cancel);
            return path;
        }
        return new TuningSets(Part(0), Part(1), Part(2));
    }
}
