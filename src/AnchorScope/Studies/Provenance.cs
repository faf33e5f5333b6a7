using System.Text.Json;

namespace AnchorScope.Studies;

/// <summary>What a model folder says of its own origin: provenance.json with a "statement" that reports repeat.</summary>
internal static class Provenance
{
    private const string FileName = "provenance.json";

    /// <summary>The statement, or null without the file.</summary>
    public static string? Read(string folder)
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
