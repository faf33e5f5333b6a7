using System.Security.Cryptography;
using System.Text.Json;
using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.World;

namespace AnchorScope.Tests.World;

public sealed class ConflictWorldTests : IDisposable
{
    private const int Some = 400;

    private static readonly WorldSplit[] Splits = Enum.GetValues<WorldSplit>();
    private static readonly ConflictWorld World = new(7);
    private static readonly Dictionary<WorldSplit, List<ConflictSample>> Samples = Splits.ToDictionary(s => s,
        s => Enumerable.Range(0, Some).Select(i => World.Draw(s, i).Sample).ToList());

    private readonly TempFolder _temp = new();

    public static TheoryData<object> All => [.. Splits];

    [Fact]
    public void SampleFollowsFromSeedSplitAndIndexAlone()
    {
        var first = Texts(new ConflictWorld(3), Enumerable.Range(0, 24));
        var reversed = Texts(new ConflictWorld(3), Enumerable.Range(0, 24).Reverse());
        Assert.Equal(first.Order(StringComparer.Ordinal), reversed.Order(StringComparer.Ordinal));
        var world = new ConflictWorld(3);
        var parallel = new string[24];
        Parallel.For(0, 24, i => parallel[i] = Texts(world, [i])[0]);
        Assert.Equal(first, parallel);
        Assert.Empty(first.Intersect(Texts(new ConflictWorld(4), Enumerable.Range(0, 24))));
        Assert.Equal(24, first.Distinct().Count());

        static List<string> Texts(ConflictWorld world, IEnumerable<int> indices) =>
            [.. indices.Select(i => world.Draw(WorldSplit.Test, i))
                .Select(
                    s => $"{s.Sample.TextContext} {s.Sample.Question} {s.Sample.Instructions[Modality.Vision]} "
                        + $"{s.Sample.Instructions[Modality.Text]} {Convert.ToHexString(SHA256.HashData(s.Picture!.Rgb))}")];
    }

    [Fact]
    public void Folder_HasTheSameBytesTwiceAndMoreSamplesChangeNone()
    {
        var six = Splits.ToDictionary(s => s, _ => 6);
        WorldFolder.Write(_temp.File("once"), new WorldFolderOptions { Seed = 5, Samples = six });
        WorldFolder.Write(_temp.File("twice"), new WorldFolderOptions { Seed = 5, Samples = six });
        WorldFolder.Write(_temp.File("more"), new WorldFolderOptions { Seed = 5, Samples = Splits.ToDictionary(s => s, _ => 9) });
        foreach (var file in Files("once"))
        {
            var bytes = File.ReadAllBytes(Path.Combine(_temp.File("once"), file));
            Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(_temp.File("twice"), file)));
            if (file != "prompt.json")
                Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(_temp.File("more"), file)).AsSpan(0, bytes.Length));
        }
        Assert.Equal(Files("once"), Files("twice"));
    }

    /// <summary>
    /// Of later conflicts nearly all name donors for each part, few name a crossed donor, and each named donor is valid for both runs.
    /// </summary>
    [Fact]
    public void Conflicts_NameDonorsThatFit()
    {
        WorldFolder.Write(_temp.File("named"), new WorldFolderOptions { Seed = 3, Samples = Splits.ToDictionary(s => s, _ => 200) });
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var set = ConflictSet.Load(Path.Combine(_temp.File("named"), "rank.jsonl"));
        var finder = DonorFinder.In(set, model.Tokenizer, 0);
        Assert.Empty(finder.Unfit(set, SpanAlignment.Equal));
        foreach (var factor in new[] { "phrasing", "question", "picture", "note" })
            Assert.InRange(set.Samples.Skip(150).Count(s => s.Donors.ContainsKey(factor)), 40, 50);
        // All parts of a crossed donor must be valid at once.
        Assert.Contains(set.Samples, s => s.Donors.ContainsKey("crossed"));
        // The sample's own contrary instruction is preferred if it has the same length.
        Assert.All(set.Samples.Where(s => s.Donors.ContainsKey("instruction")), s =>
            Assert.NotEqual(s.Instructions[Modality.Vision].Split(' ').Length, s.Instructions[Modality.Text].Split(' ').Length));
        var seen = set.Samples.Select((s, i) => (s.Id, i)).ToDictionary(p => p.Id, p => p.i);
        Assert.All(set.Samples, s => Assert.All(s.Donors.Values, from => Assert.True(seen[from] < seen[s.Id])));
        Assert.All(ConflictSet.Load(Path.Combine(_temp.File("named"), "control.jsonl")).Samples, s => Assert.Empty(s.Donors));
    }

    /// <summary>The texts and pixels of one small folder, pinned: sets that were made once can be made again.</summary>
    [Fact]
    public void DrawsAreForever()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var world = new ConflictWorld(1);
        foreach (var split in Splits)
        {
            for (var i = 0; i < 20; i++)
            {
                var (sample, picture) = world.Draw(split, i);
                hash.AppendData(
                    System.Text.Encoding.UTF8.GetBytes(
                        string.Join('\n', [sample.Id, sample.Question, sample.TextContext, .. sample.Instructions.Values,
                            .. sample.Answers.Values.Select(a => a[0])])));
                if (picture is not null) hash.AppendData(picture.Rgb);
            }
        }
        Assert.Equal("b5abc4232caec8681239b9aa528e6f6a4d29b3a58235a5de807f7b66bb4719e4", Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Folder_LoadsAsConflictSets(object splitGiven)
    {
        var split = (WorldSplit)splitGiven;
        var folder = _temp.File("data");
        var pictures = WorldFolder.Write(folder,
            new WorldFolderOptions
                { Samples = new Dictionary<WorldSplit, int>
                    { [split] = 28, [WorldSplit.Control] = split == WorldSplit.Control ? 28 : 0 } });
        Assert.Equal(pictures, Directory.GetFiles(Path.Combine(folder, "images")).Length);
        Assert.Equal(["images", "prompt.json", ConflictWorld.NameOf(split) + ".jsonl"],
            Directory.GetFileSystemEntries(folder).Select(Path.GetFileName).OrderBy(n => n == ConflictWorld.NameOf(split) + ".jsonl")
                .ThenBy(n => n, StringComparer.Ordinal));
        var set = ConflictSet.Load(Path.Combine(folder, ConflictWorld.NameOf(split) + ".jsonl"));
        Assert.Empty(set.Rejected);
        Assert.Equal(28, set.Samples.Count);
        Assert.Equal(28, AnswerEntities.Filter(set, Tokenizer.Load(Fixtures.Organism)).Samples.Count);
        Assert.Equal(PromptLayout.Beside(Fixtures.Conflicts).Name, PromptLayout.Beside(folder).Name);
        Assert.All(set.Samples.Where(s => s.Image is not null),
            s => Assert.Equal((64, 64), (Picture.Load(s.Image!).Width, Picture.Load(s.Image!).Height)));
    }

    [Fact]
    public void Folder_HasTheFormOfTheBundledOne()
    {
        var folder = _temp.File("data");
        WorldFolder.Write(folder, new WorldFolderOptions { Samples = Splits.ToDictionary(s => s, _ => 100) });
        var bundled = new[] { "rank", "test", "hard", "control" }
            .SelectMany(name => Lines(Path.Combine(Fixtures.Conflicts, name + ".jsonl"))).ToList();
        var generated = Splits.SelectMany(split => Lines(Path.Combine(folder, ConflictWorld.NameOf(split) + ".jsonl"))).ToList();
        // Donors are a field that a sample may have; the bundled sets were drawn before there were any.
        Assert.Equal(Forms(bundled), Forms(generated));
        Assert.Equal(Of(bundled, "question"), Of(generated, "question"));
        Assert.Equal(Of(bundled, "category"), Of(generated, "category"));
        Assert.Equal(Of(bundled, "kind"), Of(generated, "kind"));
        Assert.Empty(Of(generated, "tags", tags => string.Join(' ', tags.EnumerateArray())).SelectMany(t => t.Split(' '))
            .Except(Of(bundled, "tags", tags => string.Join(' ', tags.EnumerateArray())).SelectMany(t => t.Split(' '))));
        // Notes use different words for the objects; the words between are the same.
        Assert.Equal(Of(bundled, "text_context", note => Frame(note.GetString())),
            Of(generated, "text_context", note => Frame(note.GetString())));

        static List<JsonElement> Lines(string file) => [.. File.ReadLines(file).Select(line => JsonDocument.Parse(line).RootElement)];
        static List<string> Of(List<JsonElement> lines, string field, Func<JsonElement, string>? read = null) =>
            [.. lines.Select(l => (read ?? (v => v.GetString()!))(l.GetProperty(field))).Distinct().Order(StringComparer.Ordinal)];
        static string Form(JsonProperty p) =>
            $"{p.Name}:{p.Value.ValueKind}"
            + (p.Value.ValueKind == JsonValueKind.Object ? string.Concat(p.Value.EnumerateObject().Select(o => o.Name)) : "");
        static List<string> Forms(List<JsonElement> lines) =>
            [.. lines.Select(l => string.Join(' ', l.EnumerateObject().Where(p => p.Name != "donors").Select(Form))).Distinct()
                .Order(StringComparer.Ordinal)];
        static string Frame(string? note) =>
            string.Join(' ', (note ?? "none").Split(' ').Select(word => Answers.Contains(word) ? "*" : word));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void EveryWord_IsATokenOfTheOrganism(object splitGiven)
    {
        var split = (WorldSplit)splitGiven;
        var tokenizer = Tokenizer.Load(Fixtures.Organism);
        foreach (var sample in Samples[split])
        {
            string[] texts = [sample.Question, .. sample.TextContext is { } note ? [note] : Array.Empty<string>(),
                .. sample.Instructions.Values, .. sample.Answers.Values.SelectMany(a => a)];
            Assert.All(texts.SelectMany(text => text.Split(' ')),
                word => Assert.True(tokenizer.IdOf(word) is not null, $"{sample.Id}: \"{word}\""));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Instructions_AreThoseOfTheSplit(object splitGiven)
    {
        var split = (WorldSplit)splitGiven;
        var forms = 0;
        var parsed = Samples[split].SelectMany(
            s => s.Instructions.Select(i => (Sample: s, Modality: i.Key, Text: InstructionText.Parse(i.Value)))).ToList();
        foreach (var (sample, modality, text) in parsed)
        {
            Assert.Equal(modality, text.Followed);
            Assert.All(text.Pairs, pair => Assert.Equal(split == WorldSplit.HeldOut, pair.IsHeldOut));
            Assert.Contains(text.Form, new[] { 0, 2 });
            if (text.Form == 2) forms++;
            Assert.Equal(split == WorldSplit.Hard, text.Trail.Length > 0);
            if (split == WorldSplit.Hard) Assert.Equal(sample.Tags.Contains("long_trail"), text.Trail.Split(' ').Length >= 5);
        }
        Frequency.Is("trust … not …", 0.15, forms, parsed.Count);
        if (split == WorldSplit.Hard)
        {
            Assert.All(Samples[split],
                s => Assert.Equal(InstructionText.Parse(s.Instructions[Modality.Vision]).Trail,
                    InstructionText.Parse(s.Instructions[Modality.Text]).Trail));
            Assert.Equal(Some / 2, Samples[split].Count(s => s.Tags.Contains("long_trail")));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Notes_TellTheAnswer(object splitGiven)
    {
        var split = (WorldSplit)splitGiven;
        foreach (var sample in Samples[split].Where(s => s.TextContext is not null))
        {
            Assert.Contains(sample.Answers[Modality.Text][0], sample.TextContext!.Split(' '));
            if (sample.Kind == SampleKind.Conflict)
                Assert.DoesNotContain(sample.Answers[Modality.Vision][0], sample.TextContext.Split(' '));
            if (sample.Kind == SampleKind.Agree) Assert.Equal(sample.Answers[Modality.Vision], sample.Answers[Modality.Text]);
        }
    }

    [Fact]
    public void Categories_TakeTurns()
    {
        foreach (var split in Splits.Where(s => s != WorldSplit.Inertia))
            Assert.All(Samples[split].GroupBy(s => (s.Category, s.Kind, string.Join(' ', s.Tags))).GroupBy(g => (g.Key.Kind, g.Key.Item3)),
                kind => Assert.Equal(4, kind.Count()));
        Assert.Equal([100, 100, 100, 100], Samples[WorldSplit.Test].GroupBy(s => s.Category).Select(g => g.Count()));
        Assert.Equal([44, 28, 28], Samples[WorldSplit.Control].Take(100).GroupBy(s => s.Kind).OrderBy(g => g.Key).Select(g => g.Count()));
    }

    [Fact]
    public void Inertia_AsksForAColourThatIsTypicalOnOneSide()
    {
        string[] shapes = [.. Answers.Take(8)];
        string[] colours = [.. Answers.Skip(8).Take(8)];
        foreach (var sample in Samples[WorldSplit.Inertia])
        {
            Assert.Equal("colour", sample.Category);
            var typical = colours[Array.IndexOf(shapes, sample.TextContext!.Split(' ').Single(shapes.Contains))];
            var untypical = sample.Tags.Contains("untypical_vision") ? Modality.Vision : Modality.Text;
            Assert.All(sample.Answers, a => Assert.Equal(a.Key != untypical, a.Value[0] == typical));
        }
        Assert.Equal(Some / 2, Samples[WorldSplit.Inertia].Count(s => s.Tags.Contains("untypical_text")));
    }

    [Fact]
    public void Sigma_IsOfAllPicturesWhereItIsSaid()
    {
        foreach (var split in Splits)
        {
            var clean = new ConflictWorld(1, new NoiseRange(0, 0)).Draw(split, 0).Picture!;
            // Pixels of the ground, of one of the four places: without noise many are alike.
            Assert.True(clean.Rgb.Chunk(3).GroupBy(p => (p[0], p[1], p[2])).Max(g => g.Count()) > 1000);
            var noisy = new ConflictWorld(1).Draw(split, 0).Picture!;
            Assert.True(noisy.Rgb.Chunk(3).GroupBy(p => (p[0], p[1], p[2])).Max(g => g.Count()) < 200);
        }
    }

    private static readonly string[] Answers =
    [
        "heart", "star", "leaf", "drop", "moon", "plum", "carrot", "ring", "red", "yellow", "green", "blue", "white",
        "purple", "orange", "pink",
        "one", "two", "three", "four", "night", "sand", "sea", "grass",
    ];

    private List<string> Files(string folder) =>
        [.. Directory.EnumerateFiles(_temp.File(folder), "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(_temp.File(folder), f)).Order(StringComparer.Ordinal)];

    public void Dispose() => _temp.Dispose();
}
