using System.CommandLine;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Cli;

/// <summary><c>ascope trace</c>: one run, written down array by array.</summary>
internal static class TraceCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "folder of the checkpoint" };
        var inputs = new Option<string?>("--inputs") { Description = "safetensors with input_ids [1, T] and, for pictures, pixel_values", HelpName = "FILE" };
        var images = new Option<string[]>("--image") { Description = "a picture; may be given several times", HelpName = "FILE", AllowMultipleArgumentsPerToken = true };
        var text = new Option<string?>("--prompt") { Description = "text of one user turn, behind the pictures", HelpName = "TEXT" };
        var messages = new Option<string?>("--messages") { Description = "JSON list of messages, as chat templates take them", HelpName = "FILE" };
        var edits = new Option<string?>("--edits") { Description = "JSON list of edits (docs/sites.md)", HelpName = "FILE" };
        var output = new Option<string>("--out") { Description = "safetensors to write", HelpName = "FILE", Required = true };
        var keep = new Option<string?>("--keep") { Description = "further arrays, comma-separated: " + string.Join(", ", TraceExport.Optional), HelpName = "NAMES" };
        var generate = new Option<int>("--generate") { Description = "generate N tokens under the same edits", HelpName = "N" };
        var temperature = new Option<double>("--temperature") { Description = "sample instead of taking the arg-max", HelpName = "T" };
        var topK = new Option<int>("--top-k") { Description = "sample among the k likeliest", HelpName = "K" };
        var topP = new Option<double>("--top-p") { Description = "sample among the fewest that reach p", DefaultValueFactory = _ => 1.0, HelpName = "P" };
        var seed = new Option<ulong>("--seed") { Description = "of the sampler", HelpName = "S" };
        var kernel = new Option<KernelFamily>("--kernel") { Description = "matrix kernel: panel (many rows) or direct (few rows)" };
        var threads = new Option<int>("--threads") { Description = "threads", DefaultValueFactory = _ => Environment.ProcessorCount, HelpName = "N" };
        var command = new Command("trace", "Runs one prompt, edited or not, and writes what happened inside.")
        {
            model, inputs, images, text, messages, edits, output, keep, generate, temperature, topK, topP, seed, kernel, threads,
        };
        command.SetAction(parsed =>
        {
            var kept = Keep(parsed.GetValue(keep));
            var steps = parsed.GetValue(generate);
            if (steps < 0) throw new InputException($"--generate: expected a number of tokens, found {steps}");
            if (parsed.GetValue(threads) < 1) throw new InputException($"--threads: expected at least 1, found {parsed.GetValue(threads)}");
            using var opened = VisionLanguageModel.Open(parsed.GetValue(model)!);
            using var arena = new Arena();
            using var team = new Team(parsed.GetValue(threads));
            var compute = new Compute(arena, team, parsed.GetValue(kernel));
            var given = new[] { parsed.GetValue(inputs), parsed.GetValue(text), parsed.GetValue(messages) }.Count(v => v is not null);
            if (given != 1) throw new InputException("say what to run with one of --inputs, --prompt and --messages");
            var (prompt, pixels) = parsed.GetValue(inputs) is { } file
                ? ReadInputs(opened, file, compute)
                : Render(opened, Messages(parsed.GetValue(messages), parsed.GetValue(text), parsed.GetValue(images)!.Length), parsed.GetValue(images)!, compute);
            var intervention = parsed.GetValue(edits) is { } path ? InterventionJson.Load(path) : Intervention.None;
            intervention.Validate(opened.Decoder.Shape, prompt.Length, steps);
            var arrays = new List<TensorData>();
            if (prompt.Rendered.Length > 0)
            {
                arrays.Add(TensorData.Of("inputs.input_ids", [.. prompt.Tokens.Select(t => (long)t)], 1, prompt.Length));
                if (pixels is not null)
                {
                    arrays.Add(TensorData.Of("inputs.pixel_values", pixels.Values, pixels.Shape));
                    arrays.AddRange(pixels.Companions.Select(c => c with { Name = "inputs." + c.Name }));
                }
            }
            arrays.AddRange(TraceExport.Run(opened, prompt, pixels, intervention, kept, compute));
            if (steps > 0)
            {
                var sampling = new Sampling(parsed.GetValue(temperature), parsed.GetValue(topK), parsed.GetValue(topP), parsed.GetValue(seed));
                var generated = Generation.Run(opened.Decoder, prompt, steps, compute, intervention, sampling);
                arrays.Add(TensorData.Of("gen.ids", [.. generated.Tokens.Select(t => (long)t)], generated.Tokens.Count));
                arrays.Add(TensorData.Of("gen.logits", [.. generated.Logits.SelectMany(l => l)], generated.Tokens.Count, opened.Decoder.VocabularySize));
                Console.WriteLine(opened.Tokenizer.Decode([.. generated.Tokens]));
            }
            SafetensorsWriter.Write(parsed.GetValue(output)!, arrays, new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["model"] = Path.GetFileName(Path.GetFullPath(opened.Checkpoint.Folder)),
                ["intervention"] = intervention.Name,
                ["kernel"] = parsed.GetValue(kernel).ToString().ToLowerInvariant(),
            });
            Console.WriteLine($"{parsed.GetValue(output)}: {arrays.Count} arrays, {prompt.Length} positions, {intervention.Edits.Count} edits");
            return 0;
        });
        return command;
    }

    private static HashSet<string> Keep(string? names)
    {
        var kept = (names ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToHashSet(StringComparer.Ordinal);
        if (kept.FirstOrDefault(n => !TraceExport.Optional.Contains(n)) is { } unknown)
            throw new InputException($"--keep: expected {string.Join(", ", TraceExport.Optional)}, found {unknown}");
        return kept;
    }

    private static (Prompt, PixelValues?) ReadInputs(VisionLanguageModel model, string path, Compute compute)
    {
        using var file = SafetensorsFile.Open(path);
        var ids = file.Entry("input_ids");
        if (ids.Shape.Length != 2 || ids.Shape[0] != 1) throw InputException.At(path, "input_ids", "shape [1, T]", ids.ShapeText);
        int[] tokens = [.. file.ReadInt64s("input_ids").Select(id => id is >= 0 and <= int.MaxValue ? (int)id : throw InputException.At(path, "input_ids", "token ids", $"{id}"))];
        if (!file.Tensors.TryGetValue("pixel_values", out var entry)) return (model.Prompt(tokens, null, null), null);
        var pixels = model.Accept(new PixelInputs(
            path, file.ReadSingles("pixel_values"), entry.Shape, file.Tensors.ContainsKey("image_grid_thw") ? file.ReadInt64s("image_grid_thw") : null,
            file.Tensors.ContainsKey("image_sizes") ? file.ReadInt64s("image_sizes") : null));
        return (model.Prompt(tokens, pixels, model.Features(pixels, compute)), pixels);
    }

    private static IReadOnlyList<ChatMessage> Messages(string? path, string? text, int pictures) => path is not null
        ? ChatMessage.LoadAll(path)
        : [new ChatMessage("user", [.. Enumerable.Repeat(new ImagePart(), pictures), new TextPart(text!)])];

    private static (Prompt, PixelValues?) Render(VisionLanguageModel model, IReadOnlyList<ChatMessage> messages, string[] images, Compute compute)
    {
        var pixels = images.Length == 0 ? null : model.Preprocess([.. images.Select(path => Picture.Load(path))]);
        return (model.Prompt(messages, pixels, pixels is null ? null : model.Features(pixels, compute)), pixels);
    }
}
