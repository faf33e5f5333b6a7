using System.IO.Compression;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Prompts;
using AnchorScope.World;

namespace AnchorScope.Wired;

/// <summary>
/// The conflict set of the wired models: a picture of a sky over a ground, a note about another sky and another ground, and a question
/// about one of the two. Every prompt of a conflict has the same length, with corresponding words at the same position.
/// </summary>
internal static class WiredConflicts
{
    /// <summary>Folder name.</summary>
    public const string Name = "wired-conflicts";

    private const ulong Seed = 1;

    private static readonly (string Name, int Count)[] Splits = [("rank", 96), ("test", 96), ("control", 24)];

    private static readonly SampleKind[] Controls = [SampleKind.Agree, SampleKind.ImageOnly, SampleKind.TextOnly];

    private static readonly string[] Questions = ["what is the {0} ?", "which {0} is there ?", "and the {0} is ?"];

    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the folder. It gets its name only when it is complete.</summary>
    /// <param name="folder">Must not exist, or be empty.</param>
    /// <exception cref="InputException">The folder is not empty, or cannot be written.</exception>
    public static void Write(string folder) => NewFolder.Write(folder, Fill);

    private static int Fill(string folder)
    {
        Directory.CreateDirectory(Path.Combine(folder, "images"));
        foreach (var (name, count) in Splits)
        {
            var samples = Enumerable.Range(0, count).Select(index => Sample(folder, name, index));
            ConflictSet.Save(Path.Combine(folder, name + ".jsonl"), samples);
        }
        var prompt = new JsonObject { ["template"] = "{text_context} {question} {instruction}" };
        File.WriteAllText(Path.Combine(folder, "prompt.json"), prompt.ToJsonString(Indented) + "\n");
        return Splits.Length;
    }

    /// <summary>Sample <paramref name="index"/> of a split. Writes its picture if it does not exist.</summary>
    private static ConflictSample Sample(string folder, string split, int index)
    {
        var random = WorldRandom.Of(Seed, "wired " + split, index);
        var kind = split == "control" ? Controls[index % Controls.Length] : SampleKind.Conflict;
        var asksSky = index / (split == "control" ? Controls.Length : 1) % 2 == 0;
        var count = WiredVocabulary.Skies.Count;
        var (sky, ground) = (random.Below(count), random.Below(count));
        var (otherSky, otherGround) = ((sky + 1 + random.Below(count - 1)) % count, (ground + 1 + random.Below(count - 1)) % count);
        var shown = Answer(sky, ground);
        var (noteSky, noteGround) = kind == SampleKind.Conflict ? (otherSky, otherGround) : (sky, ground);
        var noted = Answer(noteSky, noteGround);
        var (above, below) = (WiredVocabulary.Skies[noteSky], WiredVocabulary.Grounds[noteGround]);
        var note = random.Chance(0.5) ? $"note : {above} over {below} ." : $"note : {below} under {above} .";
        var image = kind == SampleKind.TextOnly ? null : Picture(folder, sky, ground);
        var told = new Dictionary<Modality, string>
        {
            [Modality.Vision] = Instruction(random, WiredVocabulary.PictureWords),
            [Modality.Text] = Instruction(random, WiredVocabulary.TextWords),
        };
        var answers = new Dictionary<Modality, IReadOnlyList<string>> { [Modality.Vision] = [shown], [Modality.Text] = [noted] };
        if (kind is SampleKind.ImageOnly or SampleKind.TextOnly)
        {
            var absent = kind == SampleKind.ImageOnly ? Modality.Text : Modality.Vision;
            told.Remove(absent);
            answers.Remove(absent);
        }
        return new ConflictSample
        {
            Id = $"{split}-{index:0000}", Image = image,
            Question = string.Format(random.Pick(Questions), asksSky ? "sky" : "ground"),
            TextContext = kind == SampleKind.ImageOnly ? null : note, Instructions = told, Answers = answers,
            Category = asksSky ? "sky" : "ground", Kind = kind,
        };

        string Answer(int s, int g) => asksSky ? WiredVocabulary.Skies[s] : WiredVocabulary.Grounds[g];
    }

    private static string Instruction(WorldRandom random, IReadOnlyList<string> nouns) =>
        $"{random.Pick(WiredVocabulary.Verbs)} the {random.Pick(nouns)} {random.Pick(WiredVocabulary.Tails)}";

    private static string Picture(string folder, int sky, int ground)
    {
        var path = Path.Combine(folder, "images", $"{WiredVocabulary.Skies[sky]}-{WiredVocabulary.Grounds[ground]}.png");
        if (!File.Exists(path)) File.WriteAllBytes(path, PngWriter.Encode(WiredPicture.Draw(sky, ground), CompressionLevel.NoCompression));
        return path;
    }
}
