using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>
/// The shards of a checkpoint, and which tensor of which shard each name refers to. <c>model.safetensors.index.json</c> lists the shard of
/// each tensor. If the shards contradict it but the reference loads the same weights anyway, there is a line in <see cref="Warnings"/>.
/// </summary>
internal sealed class ShardIndex
{
    private readonly string _path;
    private readonly List<string> _warnings = [];
    private readonly Dictionary<string, SafetensorsFile> _places = [];

    private ShardIndex(string path, Dictionary<string, string> map, IReadOnlyList<SafetensorsFile> files)
    {
        (_path, Files) = (path, files);
        // In the order of their names: of several copies the reference keeps the last.
        foreach (var file in files)
        {
            foreach (var name in file.Tensors.Keys)
            {
                if (!_places.TryGetValue(name, out var other) || Settle(name, other, file, map.GetValueOrDefault(name))) _places[name] =
                    file;
            }
        }
        foreach (var (name, shard) in map.Where(pair => !Name(_places.GetValueOrDefault(pair.Key))
            .Equals(pair.Value, StringComparison.Ordinal)))
        {
            _warnings.Add(_places.TryGetValue(name, out var file)
                ? $"{path}: weight_map: {Quoted.Of(name)}: in {Name(file)}, not in {Quoted.Of(shard)}; it was taken from there"
                : $"{path}: weight_map: {Quoted.Of(name)}: in no shard, and nothing reads it");
        }
        Unlisted = _places.Keys.Where(name => !map.ContainsKey(name)).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The shards, sorted by file name.</summary>
    public IReadOnlyList<SafetensorsFile> Files { get; }

    /// <summary>The shard from which each tensor is read.</summary>
    public IReadOnlyDictionary<string, SafetensorsFile> Places => _places;

    /// <summary>Stored tensors that the index does not list.</summary>
    public IReadOnlySet<string> Unlisted { get; }

    /// <summary>Harmless contradictions between index and shards, one line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Opens every shard and compares it with the index.</summary>
    /// <exception cref="InputException">A shard is not a file of the same folder, or two different tensors have the same name and index and
    /// reference select different ones.</exception>
    public static ShardIndex Open(string indexPath)
    {
        var map = ReadMap(ConfigSection.Load(indexPath));
        string folder = Path.GetDirectoryName(indexPath)!;
        var files = new List<SafetensorsFile>();
        try
        {
            foreach (string shard in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                string path = Path.Combine(folder, shard);
                if (!File.Exists(path))
                    throw new InputException($"{indexPath}: weight_map: the shard {Quoted.Of(shard)} is not in the folder");
                files.Add(SafetensorsFile.Open(path));
            }
            return new ShardIndex(indexPath, map, files);
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
            // The name becomes a path, so it must not be able to leave the folder on any system.
            if (shard.AsSpan().ContainsAny("/\\:\0") || !shard.EndsWith(".safetensors", StringComparison.Ordinal))
                throw InputException.At(index.File, field, "a plain file name that ends with .safetensors", Quoted.Of(shard));
            map.Add(property.Name, shard);
        }
        return map.Count > 0 ? map : throw InputException.At(index.File, "weight_map", "at least one tensor", "none");
    }

    /// <summary>Resolves a second copy. It is harmless if it is identical, or if the index and the reference select the same one.</summary>
    /// <returns>Whether the later one is read.</returns>
    private bool Settle(string name, SafetensorsFile earlier, SafetensorsFile later, string? listed)
    {
        var same = Same(earlier, later, name);
        if (Name(later) != listed && !same)
            throw new InputException(
                $"{later.Path}: tensor {Quoted.Of(name)} is another one than in "
                    + $"{Name(earlier)}, and {Path.GetFileName(_path)} "
                    + $"{(listed is null ? "lists neither" : $"lists that in {Quoted.Of(listed)}")}");
        var (read, idle) = Name(earlier) == listed ? (earlier, later) : (later, earlier);
        _warnings.Add($"{idle.Path}: tensor {Quoted.Of(name)}: {(same ? "the same" : "another one")} is in {Name(read)}; that one is read");
        return read == later;
    }

    private static unsafe bool Same(SafetensorsFile a, SafetensorsFile b, string name)
    {
        var (x, y) = (a.Entry(name), b.Entry(name));
        if (x.Type != y.Type || !x.Shape.AsSpan().SequenceEqual(y.Shape)) return false;
        const int Piece = 1 << 24;
        for (var at = 0L; at < x.Bytes; at += Piece)
        {
            var count = (int)Math.Min(Piece, x.Bytes - at);
            if (!new ReadOnlySpan<byte>(a.Address(x) + at, count).SequenceEqual(new ReadOnlySpan<byte>(b.Address(y) + at,
                count))) return false;
        }
        return true;
    }

    private static string Name(SafetensorsFile? file) => file is null ? "" : Path.GetFileName(file.Path);
}
