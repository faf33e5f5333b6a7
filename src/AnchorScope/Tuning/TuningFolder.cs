using AnchorScope.Checkpoints;
using AnchorScope.World;

namespace AnchorScope.Tuning;

/// <summary>The folder of a tuning: its ownership, and the samples that are drawn for it if none are given.</summary>
internal static class TuningFolder
{
    /// <summary>Name of the file with everything that affects the numbers of a run.</summary>
    internal const string Settings = "settings.json";

    private const string Data = "data";

    /// <summary>
    /// The samples that are drawn for each part, with a separate seed. The test folder has a ranking set, so that it can be diagnosed.
    /// </summary>
    private static readonly (string Part, (WorldSplit Split, int Count)[] Samples)[] Parts =
    [
        ("train", [(WorldSplit.Rank, 300), (WorldSplit.Hard, 300), (WorldSplit.Control, 150)]),
        ("validate", [(WorldSplit.Rank, 100), (WorldSplit.Hard, 100), (WorldSplit.Control, 60)]),
        ("test", [(WorldSplit.Rank, 40), (WorldSplit.Test, 400), (WorldSplit.HeldOut, 200), (WorldSplit.Hard, 200),
            (WorldSplit.Inertia, 100), (WorldSplit.Control, 150)]),
    ];

    /// <summary>Throws if a folder is not empty and is not that of a tuning.</summary>
    /// <exception cref="InputException">The folder contains something else.</exception>
    internal static void Own(string folder)
    {
        if (File.Exists(folder)) throw new InputException($"{folder}: expected a folder, found a file");
        if (!Directory.Exists(folder) || File.Exists(Path.Combine(folder, Settings))) return;
        if (Directory.EnumerateFileSystemEntries(folder).Any(path => Path.GetFileName(path) is not (Data or FolderLock.FileName)))
            throw NewFolder.NotEmpty(folder, $"there is no {Settings} of a tuning to resume; name another one with --out");
    }

    /// <summary>Draws conflicts in the world of the bundled organism, unless they exist.</summary>
    /// <returns>The folders for training, validation and testing.</returns>
    internal static TuningSets World(string folder, ulong seed, CancellationToken cancel)
    {
        Directory.CreateDirectory(Path.Combine(folder, Data));
        string Part(int i)
        {
            var path = Path.Combine(folder, Data, Parts[i].Part);
            if (!Directory.Exists(path))
                WorldFolder.Write(path,
                    new WorldFolderOptions
                        { Seed = seed * (ulong)Parts.Length + (ulong)i + 1,
                            Samples = Parts[i].Samples.ToDictionary(s => s.Split, s => s.Count) }, cancel);
            return path;
        }
        return new TuningSets(Part(0), Part(1), Part(2));
    }
}
