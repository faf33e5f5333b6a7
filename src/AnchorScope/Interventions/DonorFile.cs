using AnchorScope.Checkpoints;

namespace AnchorScope.Interventions;

/// <summary>Arrays of a donor run, as written by <c>ascope trace</c>. An interchange reads its values from them.</summary>
internal sealed class DonorFile
{
    private readonly string _path;
    private readonly SafetensorsFile _file;
    private readonly int _headSize;
    private readonly Dictionary<string, float[]> _arrays = new(StringComparer.Ordinal);

    private DonorFile(string path, SafetensorsFile file, int headSize) => (_path, _file, _headSize) = (path, file, headSize);

    /// <summary>Name of the array with the values of a site, and its <c>--keep</c> name; null for a site that is not written.</summary>
    public static (string Array, string Keep)? ArrayOf(Site site) => site switch
    {
        Site.QueryProj => ("lm.q", "q"),
        Site.KeyProj => ("lm.k", "k"),
        Site.Key => ("lm.k_rope", "k_rope"),
        Site.Value => ("lm.v", "v"),
        Site.AttnPattern => ("lm.attn", "attn"),
        Site.HeadOut => ("lm.z", "z"),
        Site.AttnOut => ("lm.attn_out", ""),
        Site.ResidMid => ("lm.resid_mid", "resid_mid"),
        Site.NeuronOut => ("lm.neuron_out", "neuron_out"),
        Site.MlpOut => ("lm.mlp_out", ""),
        Site.ResidPost => ("lm.hidden", ""),
        _ => null,
    };

    /// <summary>Opens a file relative to the folder of the edits file, or at an absolute path.</summary>
    /// <param name="place">The field of the edits file that contains the path.</param>
    /// <param name="headSize">Width of a head of the model.</param>
    public static DonorFile Open(string path, string editsFile, string place, int headSize)
    {
        var whole = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(editsFile)) ?? "", path);
        if (!File.Exists(whole))
            throw InputException.At(editsFile, place, "a safetensors file of ascope trace", $"no file {Quoted.Of(whole)}");
        return new DonorFile(whole, SafetensorsFile.Open(whole), headSize);
    }

    /// <summary>Rows of one site in one layer.</summary>
    /// <param name="positions">Positions of the donor run.</param>
    /// <param name="heads">Heads to take; null for all, also at <see cref="Site.AttnPattern"/>.</param>
    public DonorRows Rows(Site site, int layer, IReadOnlyList<int> positions, IReadOnlyList<int>? heads)
    {
        var (name, keep) = ArrayOf(site)!.Value;
        if (!_file.Tensors.TryGetValue(name, out var entry))
            throw InputException.At(_path, name,
                keep.Length == 0 ? "an array of ascope trace" : $"an array that ascope trace writes with --keep {keep}", "none");
        var shape = entry.Shape;
        var axes = site == Site.AttnPattern ? 4 : 3;
        if (shape.Length != axes) throw InputException.At(_path, name, $"{axes} axes", $"{shape.Length}");
        if (layer < 0 || layer >= shape[0]) throw InputException.At(_path, name, $"layer {layer}", $"{shape[0]} layers");
        var length = (int)shape[shape.Length - 2];
        if (positions.Max() >= length) throw InputException.At(_path, name, $"position {positions.Max()}", $"{length} positions");
        var values = _arrays.TryGetValue(name, out var read) ? read : _arrays[name] = _file.ReadSingles(name);
        var columns = (int)shape[shape.Length - 1];
        if (site == Site.AttnPattern)
        {
            var perLayer = (int)(shape[1] * length * columns);
            var named = heads ?? [.. Enumerable.Range(0, (int)shape[1])];
            foreach (var head in named) CheckHead(name, head, shape[1]);
            var rows = positions.SelectMany(
                p => named.SelectMany(h => values.AsSpan(layer * perLayer + (int)((h * length + p) * columns), columns).ToArray()));
            return new DonorRows([.. rows], positions.Count);
        }
        return Taken(name, values.AsSpan(layer * (int)length * columns, (int)length * columns), columns, positions, heads);
    }

    /// <summary>Closes the file.</summary>
    public void Close() => _file.Dispose();

    private DonorRows Taken(string name, ReadOnlySpan<float> layer, int columns, IReadOnlyList<int> positions, IReadOnlyList<int>? heads)
    {
        foreach (var head in heads ?? []) CheckHead(name, head, columns / _headSize);
        return DonorRows.Of(layer, columns, positions, heads, _headSize);
    }

    private void CheckHead(string name, int head, long heads)
    {
        if (head < 0 || head >= heads) throw InputException.At(_path, name, $"head {head}", $"{heads} heads");
    }
}

/// <summary>The donor and direction files that an edits file refers to. Each is opened once.</summary>
internal sealed class DonorFiles(string editsFile, DecoderShape? shape, ModelIdentity? model) : IDisposable
{
    private readonly Dictionary<string, DonorFile> _open = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DirectionFile> _directions = new(StringComparer.Ordinal);

    /// <summary>Reads a file of directions, or returns it if it has been read.</summary>
    /// <param name="place">The field of the edits file that contains the path.</param>
    public DirectionFile Directions(string path, string place)
    {
        if (_directions.TryGetValue(path, out var known)) return known;
        var file = DirectionFile.Load(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(editsFile)) ?? "", path));
        model?.Require(file.Model, editsFile, place, "");
        return _directions[path] = file;
    }

    /// <summary>Opens a donor file, or returns it if it is open.</summary>
    /// <param name="place">The field of the edits file that contains the path.</param>
    public DonorFile Open(string path, string place)
    {
        if (shape is null) throw new ArgumentException("an edit with a donor's file can only be read for a model", nameof(path));
        return _open.TryGetValue(path, out var file) ? file : _open[path] = DonorFile.Open(path, editsFile, place, shape.HeadSize);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in _open.Values) file.Close();
    }
}
