using System.CommandLine;
using AnchorScope.Checkpoints;
using AnchorScope.Synthesis;

namespace AnchorScope.Cli;

/// <summary><c>ascope synth</c>: a checkpoint of random weights in a family's layout.</summary>
internal static class SynthCommand
{
    private static readonly Dictionary<string, StoredType> Types =
        new(StringComparer.Ordinal) { ["f32"] = StoredType.F32, ["f16"] = StoredType.F16, ["bf16"] = StoredType.BF16 };

    public static Command Create()
    {
        var family = new Option<string>("--family")
            { Description = string.Join(", ", SyntheticFamily.All.Select(f => f.Name)), HelpName = "NAME", Required = true };
        var output =
            new Option<string>("--out") { Description = "folder to write; must not exist, or be empty", HelpName = "DIR", Required = true };
        var layers = Size("--layers", "decoder layers (12)");
        var heads = Size("--heads", "query heads per layer (12)");
        var keyHeads = Size("--kv-heads", "key/value heads (as many as query heads)");
        var hidden = Size("--hidden", "d_model (768)");
        var mlp = Size("--mlp", "d_mlp (d_model times the family's ratio)");
        var vocabulary = Size("--vocab", "rows of the embedding (32000)");
        var imageTokens = Size("--image-tokens", "n x n image tokens per picture or tile (as published)");
        var visionLayers = Size("--vision-layers", "layers of the vision tower (4)");
        var visionHidden = Size("--vision-hidden", "d_model of the vision tower (256)");
        var visionHeads = Size("--vision-heads", "heads of the vision tower (of size 64)");
        var visionMlp = Size("--vision-mlp", "d_mlp of the vision tower (its d_model times the family's ratio)");
        var type = new Option<string>("--dtype") { Description = "f32, f16 or bf16", DefaultValueFactory = _ => "bf16", HelpName = "TYPE" };
        var shard = new Option<string>("--shard-size")
            { Description = "maximum bytes of tensors per file, like 5GB or 200MB", DefaultValueFactory = _ => "5GB", HelpName = "SIZE" };
        var seed = new Option<ulong>("--seed") { Description = "seed of the weights", DefaultValueFactory = _ => 0UL, HelpName = "S" };
        var command = new Command("synth", "Writes a checkpoint of random weights in a real model's shape, for measurements and tests.")
        {
            family, output, layers, heads, keyHeads, hidden, mlp, vocabulary, imageTokens, visionLayers, visionHidden, visionHeads,
            visionMlp, type, shard, seed,
        };
        command.SetAction(parsed =>
        {
            var options = new SynthesisOptions { Family = SyntheticFamily.Of(parsed.GetValue(family)!) };
            options = options with
            {
                Layers = parsed.GetValue(layers) ?? options.Layers,
                Heads = parsed.GetValue(heads) ?? options.Heads,
                KeyHeads = parsed.GetValue(keyHeads),
                Width = parsed.GetValue(hidden) ?? options.Width,
                MlpSize = parsed.GetValue(mlp),
                Vocabulary = parsed.GetValue(vocabulary) ?? options.Vocabulary,
                ImageTokens = parsed.GetValue(imageTokens),
                VisionLayers = parsed.GetValue(visionLayers) ?? options.VisionLayers,
                VisionWidth = parsed.GetValue(visionHidden) ?? options.VisionWidth,
                VisionHeads = parsed.GetValue(visionHeads),
                VisionMlpSize = parsed.GetValue(visionMlp),
                Type = Types.TryGetValue(parsed.GetValue(type)!, out var stored) ? stored
                    : throw new InputException($"--dtype: expected {string.Join(", ", Types.Keys)}, found {parsed.GetValue(type)}"),
                Seed = parsed.GetValue(seed),
                ShardBytes = ByteSize.Parse("--shard-size", parsed.GetValue(shard)!),
            };
            var checkpoint = new SyntheticCheckpoint(options);
            var folder = parsed.GetValue(output)!;
            using var interrupt = new Interruption();
            var shards = Write(checkpoint, folder, interrupt.Token);
            Console.WriteLine($"{folder}: {options.Family.Name}, {shards.Sum(s => s.Sum(t => t.Count)) / 1e6:0.##} million parameters, "
                + $"{shards.Sum(s => s.Sum(t => t.Bytes)) / 1e6:0.##} MB as {parsed.GetValue(type)} in {Plural.Of(shards.Count, "file")}");
            Console.WriteLine(checkpoint.Statement);
            return 0;
        });
        return command;
    }

    private static IReadOnlyList<IReadOnlyList<TensorEntry>> Write(SyntheticCheckpoint checkpoint, string folder, CancellationToken cancel)
    {
        try
        {
            return FileProgress.Show("random weights", progress => checkpoint.Write(folder, progress, cancel));
        }
        catch (OperationCanceledException e)
        {
            throw new OperationCanceledException($"stopped; {folder} was not written", e);
        }
    }

    private static Option<int?> Size(string name, string description) => new(name) { Description = description, HelpName = "N" };
}
