using AnchorScope.Checkpoints;

namespace AnchorScope.Wired;

/// <summary>Collects the tensors of a wired model, and generates the noise of all weights that are not constructed.</summary>
/// <param name="seed">Seed of the noise.</param>
internal sealed class WiredTensors(ulong seed)
{
    private const int Steps = 1024;

    private readonly SplitMix _draws = new(seed);
    private readonly List<TensorData> _tensors = [];

    /// <summary>
    /// Uniform in [-<paramref name="most"/>, <paramref name="most"/>], computed from integers, so that it is the same on every machine.
    /// </summary>
    public float[] Noise(float most, int rows, int columns)
    {
        var values = new float[rows * columns];
        for (var i = 0; i < values.Length; i++) values[i] = (_draws.Below(2 * Steps + 1) - Steps) * most / Steps;
        return values;
    }

    /// <summary>Adds a tensor of noise, <c>.weight</c>, and optionally one of zeros, <c>.bias</c>.</summary>
    public void AddNoise(string name, float most, int rows, int columns, bool bias = false)
    {
        Add(name + ".weight", Noise(most, rows, columns), rows, columns);
        if (bias) Add(name + ".bias", new float[rows], rows);
    }

    /// <summary>Adds a tensor, rounded to bfloat16.</summary>
    public void Add(string name, float[] values, params long[] shape)
    {
        var bytes = new byte[values.Length * StoredType.BF16.Bytes()];
        Narrowing.FromSingles(values, StoredType.BF16, bytes);
        _tensors.Add(new TensorData(name, StoredType.BF16, shape, bytes));
    }

    /// <summary>Writes all of them to a file.</summary>
    public void Write(string path) =>
        SafetensorsWriter.Write(path, _tensors, new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" });
}
