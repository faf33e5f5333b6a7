namespace AnchorScope.Checkpoints;

/// <summary>
/// The tensors of one checkpoint, requested by name and expected shape. It records which were read, because a tensor that no part of a
/// model reads means that the stored model is a different one.
/// </summary>
/// <remarks>Requesting is not thread-safe; reading the weights is.</remarks>
internal sealed class Weights
{
    private const int Listed = 5;

    private readonly string source;
    private readonly RequestedTensors? asked;
    private readonly Dictionary<string, (ITensorMemory Memory, TensorEntry Entry)> tensors = [];
    private readonly HashSet<string> settled = [];
    private readonly IReadOnlySet<string> unlisted = new HashSet<string>();
    private readonly List<string> warnings = [];

    /// <param name="source">Name of the whole in messages: the file, or the index of its shards.</param>
    /// <param name="files">Not disposed of by this object.</param>
    /// <exception cref="InputException">Two files contain a tensor of the same name.</exception>
    public Weights(string source, IEnumerable<SafetensorsFile> files)
    {
        this.source = source;
        foreach (var file in files)
        {
            foreach (var (name, entry) in file.Tensors)
            {
                if (!tensors.TryAdd(name, (file, entry)))
                    throw new InputException($"{file.Path}: tensor {Quoted.Of(name)} is also in {tensors[name].Memory.Path}");
            }
        }
    }

    /// <summary>The tensors of an index's shards.</summary>
    internal Weights(string source, ShardIndex shards)
    {
        this.source = source;
        foreach (var file in shards.Files)
        {
            foreach (var (name, entry) in file.Tensors.Where(tensor => shards.Places[tensor.Key] == file)) tensors.Add(name, (file, entry));
        }
        unlisted = shards.Unlisted;
        warnings.AddRange(shards.Warnings);
    }

    /// <summary>The tensors of <paramref name="original"/>, some replaced by tensors in memory with the same names.</summary>
    internal Weights(string source, Weights original, Parameters changed)
    {
        (this.source, unlisted) = (source, original.unlisted);
        foreach (var (name, found) in original.tensors) tensors.Add(name, found);
        foreach (var entry in changed.Entries) tensors[entry.Name] = (changed, entry);
    }

    /// <summary>Tensors in memory, which may change.</summary>
    public Weights(Parameters parameters)
    {
        source = parameters.Path;
        foreach (var entry in parameters.Entries) tensors.Add(entry.Name, (parameters, entry));
    }

    /// <summary>Tensors that are created on first request. None exists before, so a model uses its first spelling of each name.</summary>
    public Weights(RequestedTensors asked) => (this.asked, source) = (asked, asked.Path);

    /// <summary>Names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => tensors.Keys;

    /// <summary>Harmless irregularities, one line each; complete after <see cref="AssertAllRead"/>.</summary>
    public IReadOnlyList<string> Warnings => warnings;

    /// <summary>The tensors in files, each with the file it is read from, in the order of the files.</summary>
    internal IEnumerable<(SafetensorsFile File, TensorEntry Entry)> Stored =>
        tensors.Values.Where(t => t.Memory is SafetensorsFile).Select(t => ((SafetensorsFile)t.Memory, t.Entry));

    /// <summary>The file that a stored tensor is read from.</summary>
    internal SafetensorsFile FileOf(string name) => (SafetensorsFile)tensors[name].Memory;

    /// <summary>Names of tensors that were neither read nor marked as unused, sorted.</summary>
    public IReadOnlyList<string> Unread => [.. tensors.Keys.Where(name => !settled.Contains(name)).Order(StringComparer.Ordinal)];

    /// <summary>Whether the tensor is stored. This does not count as reading it.</summary>
    public bool Has(string name) => tensors.ContainsKey(name);

    /// <summary>Finds a weight and counts it as read. It may be requested again, as for tied weights.</summary>
    /// <param name="name">Name as stored.</param>
    /// <param name="shape">Each axis; none for a scalar.</param>
    /// <exception cref="InputException">The tensor is missing, has another shape, or does not have a float type.</exception>
    public Weight Get(string name, params long[] shape)
    {
        string expected = TensorEntry.Text(shape);
        if (!tensors.ContainsKey(name) && asked is not null) tensors.Add(name, (asked, asked.Note(name, shape)));
        if (!tensors.TryGetValue(name, out var found))
        {
            string near = NearNames.Clause(name, Names);
            throw new InputException($"{source}: there is no tensor {Quoted.Of(name)} (expected shape {expected}){near}");
        }
        var (memory, entry) = found;
        string field = $"tensor {Quoted.Of(name)}";
        if (!entry.Shape.AsSpan().SequenceEqual(shape))
            throw InputException.At(memory.Path, $"{field}: shape", expected, entry.ShapeText);
        if (!entry.Type.IsFloat)
            throw InputException.At(memory.Path, $"{field}: dtype", "F32, F16, BF16 or F64", entry.Type.Name);
        settled.Add(name);
        return new Weight(memory, entry);
    }

    /// <summary>Marks tensors that the architecture contains but never reads, such as the layers after the last one used.</summary>
    /// <param name="which">Called for every unread name.</param>
    public void MarkUnused(Func<string, bool> which)
    {
        foreach (string name in Unread.Where(which))
            settled.Add(name);
    }

    /// <summary>Throws if tensors were neither read nor marked as unused.</summary>
    /// <exception cref="InputException">There are such tensors. Those that a shard contains and its index does not list are only a
    /// warning.</exception>
    public void AssertAllRead()
    {
        foreach (string name in Unread.Where(unlisted.Contains))
        {
            settled.Add(name);
            warnings.Add($"{tensors[name].Memory.Path}: tensor {Quoted.Of(name)}: {Path.GetFileName(source)} does not list it and this "
                + "model has no place for it; not used");
        }
        var unread = Unread;
        if (unread.Count == 0)
            return;
        string first = string.Join(", ", unread.Take(Listed).Select(Quoted.Of));
        string more = unread.Count > Listed ? $" and {unread.Count - Listed} more" : "";
        throw new InputException($"{source}: {unread.Count} of {tensors.Count} tensors have no place in this model: {first}{more}");
    }
}
