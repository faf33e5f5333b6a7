using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;

namespace AnchorScope.World;

/// <summary>Options of a folder of generated conflict sets.</summary>
internal sealed record WorldFolderOptions
{
    private const int MostSamples = 100_000;

    /// <summary>Seed of everything.</summary>
    public ulong Seed { get; init; }

    /// <summary>Number of samples of each split. A split without samples gets no file.</summary>
    public required IReadOnlyDictionary<WorldSplit, int> Samples { get; init; }

    /// <summary>Noise of all pictures; null: that of each split.</summary>
    public NoiseRange? Sigma { get; init; }

    /// <exception cref="InputException">A number is out of range; the message names the option.</exception>
    internal void Check()
    {
        foreach (var (split, count) in Samples)
        {
            if (count is < 0 or > MostSamples)
                throw new InputException($"--{ConflictWorld.NameOf(split)}: expected 0 to {MostSamples} samples, found {count}");
        }
        if (Samples.Values.All(count => count == 0))
            throw new InputException("--test: expected at least one sample in one of the splits, found 0 in all");
        if (Sigma is { IsPlausible: false } noise)
            throw new InputException($"--sigma: expected 0 <= low <= high <= {NoiseRange.Most}, found {noise.Low}-{noise.High}");
    }
}

/// <summary>Writes generated conflict sets: a JSONL file for each split, their pictures, and prompt.json.</summary>
internal static class WorldFolder
{
    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the folder. It gets its name only when it is complete.</summary>
    /// <param name="folder">Must not exist, or be empty.</param>
    /// <returns>Number of pictures.</returns>
    /// <exception cref="InputException">An option is out of range, or the folder is not empty or cannot be written.</exception>
    public static int Write(string folder, WorldFolderOptions options, CancellationToken cancel = default)
    {
        options.Check();
        return NewFolder.Write(folder, partial => Fill(partial, options, cancel));
    }

    private static int Fill(string folder, WorldFolderOptions options, CancellationToken cancel)
    {
        var world = new ConflictWorld(options.Seed, options.Sigma);
        Directory.CreateDirectory(Path.Combine(folder, "images"));
        var pictures = 0;
        foreach (var (split, count) in options.Samples.Where(s => s.Value > 0).OrderBy(s => s.Key))
        {
            var samples = new List<ConflictSample>(count);
            for (var i = 0; i < count; i++)
            {
                cancel.ThrowIfCancellationRequested();
                var (sample, picture) = world.Draw(split, i);
                if (picture is not null)
                {
                    sample = sample with { Image = Path.Combine(folder, sample.Image!) };
                    File.WriteAllBytes(sample.Image, picture.ToPng());
                    pictures++;
                }
                samples.Add(sample);
            }
            ConflictSet.Save(Path.Combine(folder, ConflictWorld.NameOf(split) + ".jsonl"), WorldDonors.In(samples));
        }
        File.WriteAllText(Path.Combine(folder, "prompt.json"), Prompt(options).ToJsonString(Indented) + "\n");
        return pictures;
    }

    /// <summary>The prompt layout, and the options from which the folder was made, so that it can be reproduced.</summary>
    private static JsonObject Prompt(WorldFolderOptions options) => new()
    {
        ["template"] = "{text_context} {question} {instruction}",
        ["world"] = new JsonObject
        {
            ["seed"] = options.Seed,
            ["samples"] = new JsonObject(
                options.Samples.OrderBy(s => s.Key).Select(s => KeyValuePair.Create(ConflictWorld.NameOf(s.Key), (JsonNode?)s.Value))),
            ["sigma"] = options.Sigma is { } noise ? new JsonArray(noise.Low, noise.High) : null,
        },
    };
}
