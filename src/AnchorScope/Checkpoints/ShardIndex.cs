using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary><c>model.safetensors.index.json</c>: which file of the folder holds which tensor.</summary>
internal static class ShardIndex
{
    /// <summary>Opens every shard and holds it against the index.</summary>
    /// <returns>Sorted by file name.</returns>
    /// <exception cref="InputException">
    /// A shard that is not a file of the same folder, a tensor that is not in its shard, or one that the index does not list.
    /// </exception>
    public static IReadOnlyList<SafetensorsFile> OpenShards(string indexPath)
    {
        var map = ReadMap(ConfigSection.Load(indexPath));
        string folder = Path.GetDirectoryName(indexPath)!;
        var files = new List<SafetensorsFile>();
        try
        {
            foreach (var shard in map.GroupBy(pair => pair.Value, pair => pair.Key).OrderBy(shard => shard.Key, StringComparer.Ordinal))
            {
                string path = Path.Combine(folder, shard.Key);
                if (!File.Exists(path))
                    throw new InputException($"{indexPath}: weight_map: the shard {Quoted.Of(shard.Key)} is not in the folder");
                files.Add(SafetensorsFile.Open(path));
                Check(indexPath, files[^1], shard.ToHashSet());
            }
            return files;
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    private static Dictionary<string, string> ReadMap(ConfigSection index)
    {
        var section = index.Section("weight_map");
        var map = new Dictionary<string, string>();
        foreach (var property in section.Json.EnumerateObject())
        {
            string field = $"weight_map: {Quoted.Of(property.Name)}";
            if (property.Value.ValueKind != JsonValueKind.String)
                throw InputException.At(index.File, field, "the name of a shard", JsonKind.Of(property.Value));
            string shard = property.Value.GetString()!;
            // The name becomes a path: no part of it may leave the folder on any system.
            if (shard.AsSpan().ContainsAny("/\\:\0") || !shard.EndsWith(".safetensors", StringComparison.Ordinal))
                throw InputException.At(index.File, field, "a plain file name that ends with .safetensors", Quoted.Of(shard));
            map.Add(property.Name, shard);
        }
        return map.Count > 0 ? map : throw InputException.At(index.File, "weight_map", "at least one tensor", "none");
    }

    private static void Check(string indexPath, SafetensorsFile shard, HashSet<string> listed)
    {
        string index = Path.GetFileName(indexPath);
        string? absent = listed.FirstOrDefault(name => !shard.Tensors.ContainsKey(name));
        if (absent is not null)
            throw new InputException($"{shard.Path}: tensor {Quoted.Of(absent)} is not in this shard, where {index} puts it");
        string? unlisted = shard.Tensors.Keys.FirstOrDefault(name => !listed.Contains(name));
        if (unlisted is not null)
            throw new InputException($"{shard.Path}: tensor {Quoted.Of(unlisted)} is in this shard, but {index} does not put it there");
    }
}
