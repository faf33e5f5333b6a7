using AnchorScope.Checkpoints;

namespace AnchorScope.Studies;

/// <summary>The roles in truth.json, a file in the folder of a model with constructed weights (docs/wired.md).</summary>
internal static class PlantedRoles
{
    private const string Name = "truth.json";

    /// <summary>The role of every head that the file lists; null if there is no file.</summary>
    /// <param name="model">Folder of the checkpoint.</param>
    /// <exception cref="InputException">The file does not have the format of docs/wired.md, or lists a head twice.</exception>
    public static IReadOnlyDictionary<HeadId, string>? Beside(string model)
    {
        var path = Path.Combine(model, Name);
        if (!File.Exists(path)) return null;
        string[] known = [.. Enum.GetValues<HeadRole>().Select(EnumName.Of)];
        var roles = new Dictionary<HeadId, string>();
        foreach (var head in ConfigSection.Load(path).Sections("heads"))
        {
            var role = head.Text("role");
            if (!known.Contains(role)) throw head.Unsupported("role", role, known);
            var id = new HeadId(head.Int("layer"), head.Int("head"));
            if (!roles.TryAdd(id, role)) throw InputException.At(path, head.Path, "every head once", $"{id} twice");
        }
        return roles;
    }
}
