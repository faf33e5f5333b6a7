using System.Text.Json;
using AnchorScope.Baking;

namespace AnchorScope.Studies;

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
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 16 });
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("statement", out var statement) && statement.ValueKind == JsonValueKind.String)
                return statement.GetString();
        }
        catch (JsonException e)
        {
            throw new InputException($"{path}: not valid JSON: {e.Message}", e);
        }
        throw InputException.At(path, "statement", "a string", "nothing");
    }
}
