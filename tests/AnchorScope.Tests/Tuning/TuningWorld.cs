using AnchorScope.Models;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tuning;
using AnchorScope.World;

namespace AnchorScope.Tests.Tuning;

/// <summary>A few samples for the organism.</summary>
internal static class TuningWorld
{
    /// <summary>Hard conflicts, and some without a conflict.</summary>
    public static string Write(TempFolder temp, string name, ulong seed, int hard, int control)
    {
        WorldFolder.Write(temp.File(name),
            new WorldFolderOptions
                { Seed = seed, Samples = new Dictionary<WorldSplit, int> { [WorldSplit.Hard] = hard, [WorldSplit.Control] = control } });
        return temp.File(name);
    }

    public static TuningData Load(VisionLanguageModel model, TempFolder temp, string name, ulong seed, int hard, int control) =>
        TuningData.Load(model, Write(temp, name, seed, hard, control), 2, default);
}
