using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Readouts;

namespace AnchorScope.Cli;

/// <summary><c>ascope trace</c>: writes the arrays of one run.</summary>
internal static class TraceCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "folder of the checkpoint" };
        var given = new PromptOptions();
        var edits = new Option<string?>("--edits") { Description = "JSON list of edits (docs/sites.md)", HelpName = "FILE" };
        var output = new Option<string>("--out") { Description = "safetensors file to write", HelpName = "FILE", Required = true };
        var force = OutputPath.Force();
        var top = new Option<int>("--top") { Description = "print the N likeliest next tokens (0)", HelpName = "N" }.AtLeast(0);
        var keep = new Option<string?>("--keep")
            { Description = "optional arrays to write as well, comma-separated: " + string.Join(", ", TraceExport.Optional),
                HelpName = "NAMES" };
        var generate = new Option<int>("--generate") { Description = "generate N tokens under the same edits", HelpName = "N" }.AtLeast(0);
        var temperature =
            new Option<double>("--temperature") { Description = "sample at temperature T instead of taking the arg-max", HelpName = "T" };
        var topK = new Option<int>("--top-k") { Description = "sample among the K likeliest tokens", HelpName = "K" };
        var topP = new Option<double>("--top-p")
            { Description = "sample among the fewest likeliest tokens whose probabilities sum to P or more",
                DefaultValueFactory = _ => 1.0, HelpName = "P" };
        var seed = new Option<ulong>("--seed") { Description = "seed of the sampler", DefaultValueFactory = _ => 0UL, HelpName = "S" };
        var kernel = new Option<KernelFamily>("--kernel") { Description = "matrix kernel: panel (many rows) or direct (few rows)" };
        var threads = Counts.Threads();
        var command = new Command("trace", "Runs one prompt, with or without edits, and writes its activations.")
        {
            model, given.Inputs, given.Images, given.Text, given.Messages, edits, output, force, top, keep, generate, temperature, topK,
            topP, seed, kernel, threads,
        };
        command.SetAction(parsed =>
        {
            var kept = Keep(parsed.GetValue(keep));
            var steps = parsed.GetValue(generate);
            var sampling = new Sampling(parsed.GetValue(temperature), parsed.GetValue(topK), parsed.GetValue(topP), parsed.GetValue(seed));
            if (steps == 0 && new Option[] { temperature, topK, topP, seed }.FirstOrDefault(o =>
                parsed.GetResult(o) is { Implicit: false }) is { } idle)
                throw new InputException($"{idle.Name}: says how tokens are generated; expected --generate N beside it, found none");
            sampling.Validate(name => name switch { nameof(Sampling.TopK) => "--top-k", nameof(Sampling.TopP) => "--top-p", _ => "--"
                + name.ToLowerInvariant() });
            OutputPath.CheckFile(parsed.GetValue(output)!, parsed.GetValue(force), [.. given.Files(parsed), parsed.GetValue(edits)]);
            using var opened = Opening.Model(parsed.GetValue(model)!);
            using var interrupt = new Interruption();
            using var session = Opening.Session(opened, parsed.GetValue(threads), parsed.GetValue(kernel), interrupt.Token);
            var (prompt, pixels) = given.Read(parsed, opened, session);
            if (opened.TooLong(prompt, Math.Max(0, steps - 1)) is { } tooLong) throw new InputException(tooLong);
            if (steps > 0) Opening.Warn(opened.Rules.NotApplied(sampling.Temperature > 0));
            var intervention = parsed.GetValue(edits) is { } path
                ? InterventionJson.Load(path, opened.Engine.Shape, opened.Checkpoint.Identity) : Intervention.None;
            intervention.Validate(opened.Engine.Shape, prompt.Length, Math.Max(0, steps - 1));
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
            arrays.AddRange(TraceExport.Run(opened, prompt, pixels, intervention, kept, session, Math.Max(0, steps - 1)));
            if (steps > 0)
            {
                var generated = Generation.Run(session, prompt, new SequenceOptions(steps)
                {
                    Intervention = intervention, Sampling = sampling, Rules = opened.Rules, KeepLogits = true,
                });
                arrays.Add(TensorData.Of("gen.ids", [.. generated.Tokens.Select(t => (long)t)], generated.Tokens.Count));
                arrays.Add(TensorData.Of("gen.logits", [.. generated.Logits.SelectMany(l => l)], generated.Tokens.Count,
                    opened.Engine.VocabularySize));
                Console.WriteLine(opened.Tokenizer.Decode([.. generated.Tokens]));
            }
            SafetensorsWriter.Write(parsed.GetValue(output)!, arrays, new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["model"] = Path.GetFileName(Path.GetFullPath(opened.Checkpoint.Folder)),
                ["intervention"] = intervention.Name,
                ["kernel"] = parsed.GetValue(kernel).ToString().ToLowerInvariant(),
            });
            var last = arrays.First(a => a.Name == "lm.logits");
            // The arrays stay usable for inspection; a table of probabilities would not be.
            if (!LogitRange.IsFinite(MemoryMarshal.Cast<byte, float>(last.Bytes.Span)))
                Terminal.Warn(
                    $"{intervention.Name}: logits are beyond the range of float32; {parsed.GetValue(output)} has them as they are");
            else if (parsed.GetValue(top) is > 0 and var likeliest) PrintLikeliest(last, likeliest, opened.Tokenizer);
            Console.WriteLine($"{parsed.GetValue(output)}: {Plural.Of(arrays.Count, "array")}, {Plural.Of(prompt.Length, "position")}, "
                + $"{Plural.Of(intervention.Edits.Count, "edit")}");
            return 0;
        });
        return command;
    }

    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Probabilities at the last position.</summary>
    private static void PrintLikeliest(TensorData logits, int count, Tokenizer tokenizer)
    {
        var row = MemoryMarshal.Cast<byte, float>(logits.Bytes.Span)[^(int)logits.Shape[^1]..].ToArray();
        var largest = row.Max();
        var sum = row.Sum(x => Math.Exp((double)x - largest));
        foreach (var id in Enumerable.Range(0, row.Length).OrderByDescending(i => row[i]).ThenBy(i => i).Take(count))
        {
            var text = tokenizer.HasToken(id) ? JsonSerializer.Serialize(tokenizer.TokenText(id), Readable) : "no token of the tokenizer";
            Console.WriteLine(FormattableString.Invariant($"{id,8}  {Math.Exp(row[id] - largest) / sum:0.0000}  {text}"));
        }
    }

    private static HashSet<string> Keep(string? names)
    {
        var kept = (names ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .ToHashSet(StringComparer.Ordinal);
        if (kept.FirstOrDefault(n => !TraceExport.Optional.Contains(n)) is { } unknown)
            throw new InputException($"--keep: expected {string.Join(", ", TraceExport.Optional)}, found {unknown}"
                + (unknown is "logits" or "hidden" or "attn_out" or "mlp_out" ? ", which is always written" : ""));
        return kept;
    }
}
