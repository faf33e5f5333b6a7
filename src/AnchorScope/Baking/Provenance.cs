using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>
/// The stated origin of a model folder: the "statement" of provenance.json, which reports repeat, and baked.json or tuned.json if heads
/// were changed in the weights.
/// </summary>
internal static class Provenance
{
    private const string FileName = "provenance.json";

    /// <summary>The statements of these files, or null without any.</summary>
    public static string? Read(string folder)
    {
        var baked = File.Exists(Path.Combine(folder, BakedRecord.FileName)) ? BakedRecord.Load(folder).Statement : null;
        var tuned = File.Exists(Path.Combine(folder, TunedRecord.FileName)) ? TunedRecord.Load(folder).Statement : null;
        var statements = new[] { baked, tuned, Statement(folder) }.OfType<string>().ToList();
        return statements.Count == 0 ? null : string.Join(' ', statements);
    }

    private static string? Statement(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        return ConfigSection.Load(path).Text("statement");
    }
}
