using System.Text;
using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>
/// A checkpoint folder in the Hugging Face layout: <c>config.json</c> with <c>model.safetensors</c>, or with
/// <c>model.safetensors.index.json</c> and the shards that it lists.
/// </summary>
/// <remarks>The weights remain memory-mapped until <see cref="Dispose"/>.</remarks>
public sealed class Checkpoint : IDisposable
{
    private const long SmallBelow = 512L << 20;

    internal const string SingleName = "model.safetensors";
    internal const string IndexName = "model.safetensors.index.json";

    private readonly Lazy<string> sha256;
    private readonly Lazy<ModelIdentity> identity;

    private Checkpoint(string folder, ConfigSection config, Weights weights, IReadOnlyList<SafetensorsFile> files)
    {
        Folder = folder;
        Config = config;
        Files = files;
        Weights = weights;
        sha256 = new Lazy<string>(WeightDigest);
        identity = new Lazy<ModelIdentity>(() => ModelIdentity.Of(Folder, Sha256));
    }

    /// <summary>The path given to <see cref="Open"/>.</summary>
    public string Folder { get; }

    /// <summary>Name of the folder.</summary>
    public string Name => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Folder)));

    /// <summary>The root of <c>config.json</c>.</summary>
    internal ConfigSection Config { get; }

    /// <summary>The tensors of all files.</summary>
    internal Weights Weights { get; }

    /// <summary>The weight files, sorted by name.</summary>
    public IReadOnlyList<SafetensorsFile> Files { get; }

    /// <summary>
    /// Digest of the weight files in lower-case hexadecimal. For one file, the output of <c>sha256sum model.safetensors</c>. For shards,
    /// the output of <c>sha256sum SHARDS | sha256sum</c> in the folder, with shards sorted by name. It is computed on first use, which
    /// reads every file.
    /// </summary>
    public string Sha256 => sha256.Value;

    /// <summary>The identity of the weights and of every other file that affects the model's computation. Computed on first use.</summary>
    public ModelIdentity Identity => identity.Value;

    /// <summary>Total bytes of all tensors, without file headers.</summary>
    public long WeightBytes => Files.Sum(file => file.Tensors.Values.Sum(entry => entry.Bytes));

    /// <summary>
    /// Whether every thread may run separate passes over packed weights, which scales better. For a large model, all threads share each
    /// pass and read the weights from the file.
    /// </summary>
    internal bool IsSmall => WeightBytes < SmallBelow;

    /// <summary>
    /// Maps the weights and reads <c>config.json</c>. If both a single file and shards exist, the single file is used, as in transformers.
    /// </summary>
    /// <exception cref="InputException">Something is missing or malformed, or the weights are quantised.</exception>
    public static Checkpoint Open(string folder)
    {
        if (!Directory.Exists(folder))
            throw InputException.At(folder, "checkpoint", "a local folder", File.Exists(folder) ? "a file" : "no such folder");
        var config = ConfigSection.Load(Path.Combine(folder, "config.json"));
        RefuseQuantised(config);
        string single = Path.Combine(folder, SingleName);
        string index = Path.Combine(folder, IndexName);
        if (Path.Exists(single))
        {
            var file = SafetensorsFile.Open(single);
            return new Checkpoint(folder, config, new Weights(single, [file]), [file]);
        }
        if (Path.Exists(index))
        {
            var shards = ShardIndex.Open(index);
            return new Checkpoint(folder, config, new Weights(index, shards), shards.Files);
        }
        throw NoWeights(folder);
    }

    /// <summary>
    /// The checkpoint of a folder that has everything except weights. Tensors that a model requests are recorded in
    /// <paramref name="asked"/>.
    /// </summary>
    /// <exception cref="InputException"><c>config.json</c> is missing or malformed.</exception>
    internal static Checkpoint WithoutWeights(string folder, RequestedTensors asked) =>
        new(folder, ConfigSection.Load(Path.Combine(folder, "config.json")), new Weights(asked), []);

    /// <summary>The checkpoint of a folder, with its weights replaced by mutable ones.</summary>
    /// <param name="ignored">Names of parameters that are not part of the model.</param>
    internal static Checkpoint Over(string folder, Parameters parameters, params string[] ignored)
    {
        var weights = new Weights(parameters);
        weights.MarkUnused(ignored.Contains);
        return new Checkpoint(folder, ConfigSection.Load(Path.Combine(folder, "config.json")), weights, []);
    }

    /// <summary>
    /// The same checkpoint, with some of its tensors replaced by the mutable ones of <paramref name="changed"/>. The original owns the
    /// files and must outlive it.
    /// </summary>
    internal static Checkpoint Over(Checkpoint original, Parameters changed) =>
        new(original.Folder, original.Config, new Weights(original.Folder, original.Weights, changed), []);

    /// <summary>Unmaps all files.</summary>
    public void Dispose()
    {
        foreach (var file in Files)
            file.Dispose();
    }

    private static void RefuseQuantised(ConfigSection config)
    {
        const string Key = "quantization_config";
        string[] supported = ["weights that are not quantised: F32, F16, BF16 or F64"];
        var nested = config.Json.EnumerateObject()
            .Where(property => property.Value.ValueKind == JsonValueKind.Object && property.Name != Key)
            .Select(property => config.Section(property.Name));
        foreach (var section in nested.Prepend(config))
        {
            if (section.SectionOrNull(Key) is { } quantised)
                throw section.Unsupported(Key, quantised.Text("quant_method", "quantised"), supported);
        }
    }

    private static InputException NoWeights(string folder)
    {
        string expected = $"{SingleName} or {IndexName}";
        string[] names = [.. Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        string? pickle = names.FirstOrDefault(name => name.StartsWith("pytorch_model", StringComparison.Ordinal));
        if (pickle is not null)
            return InputException.At(folder, "weights", expected, $"{Quoted.Of(pickle)}: only safetensors is supported");
        string? other = names.FirstOrDefault(name => name.EndsWith(".safetensors", StringComparison.Ordinal));
        return InputException.At(folder, "weights", expected, other is null ? "neither" : $"neither, but {Quoted.Of(other)}");
    }

    private string WeightDigest()
    {
        if (Files.Count == 1 && Path.GetFileName(Files[0].Path) == SingleName)
            return Files[0].Sha256();
        string listing = string.Concat(Files.Select(file => $"{file.Sha256()}  {Path.GetFileName(file.Path)}\n"));
        return Digest.Of(Encoding.UTF8.GetBytes(listing));
    }
}
