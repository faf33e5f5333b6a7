using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Models;

namespace AnchorScope.Synthesis;

/// <summary>
/// Writes a checkpoint folder with random weights: the shape of a real model for measurements and tests, without anything learned.
/// </summary>
internal sealed class SyntheticCheckpoint
{
    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly SynthesisOptions options;
    private readonly SyntheticShape shape;

    /// <exception cref="InputException">The sizes are incompatible; the message names the option.</exception>
    public SyntheticCheckpoint(SynthesisOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        (this.options, shape) = (options, options.Shape());
    }

    /// <summary>The provenance statement, which reports repeat.</summary>
    public string Statement =>
        $"Random weights ({ToolVersion.Text}, ascope synth, seed {options.Seed}): this model was never trained and follows nothing; "
            + "what is found in it is chance.";

    /// <summary>Writes the folder. It gets its name only when it is complete. After a failure or cancellation nothing remains.</summary>
    /// <param name="folder">Must not exist, or be empty.</param>
    /// <param name="progress">Called with the bytes of tensors written and the total.</param>
    /// <returns>The tensors of each file.</returns>
    /// <exception cref="InputException">The folder cannot be written, or the disk is too small.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public IReadOnlyList<IReadOnlyList<TensorEntry>> Write(string folder, Action<long, long>? progress = null,
        CancellationToken cancel = default) =>
        NewFolder.Write(folder, partial =>
        {
            var shards = WriteAll(partial, progress, cancel);
            cancel.ThrowIfCancellationRequested();
            return shards;
        });

    private IReadOnlyList<IReadOnlyList<TensorEntry>> WriteAll(string folder, Action<long, long>? progress, CancellationToken cancel)
    {
        WriteDescription(folder);
        var tensors = Tensors(folder);
        var total = tensors.Sum(tensor => tensor.Bytes);
        if (new DriveInfo(folder).AvailableFreeSpace is var free && free < total)
            throw new InputException($"--out: the weights take {total} bytes, the disk has {free}");
        File.WriteAllText(Path.Combine(folder, "README.md"), Card(tensors));
        var shards = Shards(tensors);
        var random = new RandomTensors(options.Seed, options.Type);
        var done = 0L;
        for (var i = 0; i < shards.Count; i++)
        {
            SafetensorsWriter.Write(
                Path.Combine(folder, FileName(i, shards.Count)), shards[i],
                (tensor, file) => random.Write(tensor, file, bytes => progress?.Invoke(done += bytes, total), cancel),
                new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" });
        }
        if (shards.Count == 1) return shards;
        var map = new JsonObject();
        foreach (var (file, name) in shards.SelectMany((shard, i) => shard.Select(tensor => (FileName(i, shards.Count), tensor.Name))))
            map[name] = file;
        Write(folder, Checkpoint.IndexName, new() { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = map });
        return shards;
    }

    /// <summary>Writes everything except the weights.</summary>
    private void WriteDescription(string folder)
    {
        var family = options.Family;
        var tokenizer = new ByteTokenizer(family.SpecialTokens);
        var type = options.Type switch { StoredType.F32 => "float32", StoredType.F16 => "float16", _ => "bfloat16" };
        var config = family.Config(shape, type, tokenizer);
        config["_name_or_path"] = $"random weights, seed {options.Seed}";
        config["tie_word_embeddings"] = false;
        config["torch_dtype"] = type;
        Write(folder, "config.json", config);
        Write(folder, "preprocessor_config.json", family.Preprocessor(shape));
        if (family.ProcessorConfig(shape) is { } processor) Write(folder, "processor_config.json", processor);
        Write(folder, "tokenizer.json", tokenizer.File(family.First));
        Write(folder, "tokenizer_config.json", tokenizer.Config(family.NamedTokens));
        Write(folder, "generation_config.json",
            new()
                { ["eos_token_id"] = tokenizer.Id(family.NamedTokens["eos_token"]),
                    ["pad_token_id"] = tokenizer.Id(family.NamedTokens["pad_token"]) });
        Write(folder, "provenance.json", new() { ["statement"] = Statement });
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), family.ChatTemplate);
    }

    /// <summary>
    /// The tensors that the family's reader requests with the configuration just written, and those that only the reference has.
    /// </summary>
    private IReadOnlyList<TensorEntry> Tensors(string folder)
    {
        using var asked = new RequestedTensors(folder, options.Type);
        using var checkpoint = Checkpoint.WithoutWeights(folder, asked);
        using var model = VisionLanguageModel.Of(checkpoint);
        foreach (var name in options.Family.Carried) asked.Note(name, [shape.VisionWidth]);
        return asked.Entries;
    }

    /// <summary>
    /// Divides tensors into files in the order of reading. As in the reference library, each file is filled until the next tensor does not
    /// fit.
    /// </summary>
    private List<List<TensorEntry>> Shards(IReadOnlyList<TensorEntry> tensors)
    {
        var shards = new List<List<TensorEntry>> { new() };
        var bytes = 0L;
        foreach (var tensor in tensors)
        {
            if (bytes > 0 && bytes + tensor.Bytes > options.ShardBytes)
            {
                shards.Add([]);
                bytes = 0;
            }
            shards[^1].Add(tensor);
            bytes += tensor.Bytes;
        }
        return shards;
    }

    private static string FileName(int shard, int count) =>
        count == 1 ? Checkpoint.SingleName : $"model-{shard + 1:00000}-of-{count:00000}.safetensors";

    private static void Write(string folder, string name, JsonObject json) =>
        File.WriteAllText(Path.Combine(folder, name), json.ToJsonString(Indented) + "\n");

    private string Card(IReadOnlyList<TensorEntry> tensors) => $"""
        # Random weights

        {Statement}

        It has the files and the tensors of a {options.Family.Name} checkpoint, so that speed, memory and programs can be tried without one.

        | | |
        |---|---|
        | family | {options.Family.Name} |
        | decoder | {shape.Layers} layers, {shape.Heads} heads ({shape.KeyHeads} key/value), d_model {shape.Width}, d_mlp {shape.MlpSize}, vocabulary {shape.Vocabulary} |
        | vision tower | {shape.VisionLayers} layers, {shape.VisionHeads} heads, width {shape.VisionWidth}, d_mlp {shape.VisionMlpSize} |
        | {options.Family.ImageTokensOf} | {shape.Side * shape.Side} |
        | parameters | {tensors.Sum(tensor => tensor.Count)}, stored as {options.Type.Name} |
        | seed | {options.Seed} |
        | made by | {ToolVersion.Text} |

        - Matrices, embeddings and tokens are drawn from normal(0, {RandomTensors.Deviation}); norm weights are 1, biases 0, layer scales {RandomTensors.LayerScale}. The same options give the same bytes.
        - The tokenizer knows bytes only: every byte of a text is a token, so texts are longer than with a trained one, and answers that begin with the same letter cannot be told apart.
        - It opens in the reference library with nothing missing;
            a pooling head of the tower, which some published checkpoints carry and nothing reads, is left out.

        """;
}
