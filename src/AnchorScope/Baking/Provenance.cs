using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>What a model folder says of its own origin: provenance.json with a "statement" that reports repeat, and baked.json or tuned.json where heads were changed in the weights.</summary>
internal static class Provenance
{
    private const string FileName = "provenance.json";

    /// <summary>What the files say, or null without them.</summary>
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
