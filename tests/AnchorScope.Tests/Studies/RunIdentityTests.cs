using System.Text.RegularExpressions;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// Rows of one experiment are never continued by another: each setting that affects numbers is changed in turn, and the error names it.
/// </summary>
public sealed class RunIdentityTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public RunIdentityTests()
    {
        Copy(Fixtures.Organism, _temp.File("model"));
        Copy(Fixtures.Conflicts, _temp.File("data"));
        File.WriteAllText(_temp.File("data/prompt.json"), """{"layout": "mc2"}""");
        Begin(Options(), resume: false);
    }

    private DiagnosisOptions Options() =>
        new() { Model = _temp.File("model"), Data = _temp.File("data"), Limit = 4, Draws = 2, Windows = [1, 3], Threads = 1 };

    [Fact]
    public void TheSameRunGoesOn() => Begin(Options() with { Threads = 2 }, resume: true);

    public static TheoryData<string> ModelFiles() =>
        [.. ModelIdentity.Names.Where(name => File.Exists(Path.Combine(Fixtures.Organism, name)))];

    [Theory]
    [MemberData(nameof(ModelFiles))]
    public void EachFileOfTheModelIsPartOfIt(string name)
    {
        File.AppendAllText(_temp.File($"model/{name}"), "\n");
        Refused($"the model's {name} has changed", Options());
    }

    [Fact]
    public void AFileThatIsNewOrGoneIsNamed()
    {
        File.Delete(_temp.File("model/special_tokens_map.json"));
        var gone = File.Exists(Path.Combine(Fixtures.Organism, "special_tokens_map.json"));
        File.WriteAllText(_temp.File("model/added_tokens.json"), "{}");
        Refused("the model's added_tokens.json is new", Options());
        if (gone) Refused("the model's special_tokens_map.json is gone", Options());
    }

    [Fact]
    public void TheWeightsArePartOfIt()
    {
        using (var weights = new FileStream(_temp.File("model/model.safetensors"), FileMode.Open))
        {
            weights.Seek(-1, SeekOrigin.End);
            var last = weights.ReadByte();
            weights.Seek(-1, SeekOrigin.End);
            weights.WriteByte((byte)(last ^ 1));
        }
        Refused("the model's weights have changed", Options());
    }

    [Theory]
    [InlineData("rank")]
    [InlineData("test")]
    public void EachPictureIsPartOfIt(string set)
    {
        var first = ConflictSet.Load(_temp.File($"data/{set}.jsonl")).Samples[0].Image!;
        var bytes = File.ReadAllBytes(first);
        // Bytes after the end of a PNG change no pixel, but they change the digest.
        File.WriteAllBytes(first, [.. bytes, 0]);
        Refused($"pictures of {set} have changed", Options());
    }

    [Theory]
    [InlineData("rank.jsonl", "rank: rank.jsonl has changed")]
    [InlineData("hard.jsonl", "hard: hard.jsonl has changed")]
    [InlineData("control.jsonl", "control: control.jsonl has changed")]
    [InlineData("prompt.json", "prompt.json has changed")]
    public void EachFileOfTheDataIsPartOfIt(string name, string expected)
    {
        File.AppendAllText(_temp.File($"data/{name}"), "\n");
        Refused(expected, Options());
    }

    [Fact]
    public void ALayoutThatIsGoneIsNamed()
    {
        File.Delete(_temp.File("data/prompt.json"));
        Refused("prompt.json is gone", Options());
    }

    [Fact]
    public void EachSettingIsPartOfIt()
    {
        Refused("made with --limit 4, now with --limit 5", Options() with { Limit = 5 });
        // Other samples have other pictures, which are not reported separately.
        Assert.DoesNotContain("pictures", Assert.Throws<InputException>(() => Begin(Options() with { Limit = 5 }, resume: true)).Message,
            StringComparison.Ordinal);
        Refused("made with --limit 4, now without --limit", Options() with { Limit = null });
        Refused("made with --seed 0, now with --seed 3", Options() with { Seed = 3 });
        Refused("made with --draws 2, now with --draws 3", Options() with { Draws = 3 });
        Refused("made with --windows 1,3, now with --windows 3", Options() with { Windows = [3] });
        Refused("made with --gains 1.25,1.5,2,3,4, now with --gains 2", Options() with { Gains = [2] });
        Refused("made with --shares 0.01,0.02,0.05,0.1, now with --shares 0.2", Options() with { Shares = [0.2] });
        Refused("made with --equivalence-margin 0.05, now with --equivalence-margin 0.1", Options() with { EquivalenceMargin = 0.1 });
        Refused("now with --answer-tokens 2", Options() with { AnswerTokens = 2 });
        Refused("made with --ablation zero, now with --ablation mean",
            Options() with { Variants = new Definitions { Ablation = AblationVariant.Mean } });
        Refused("made with --top-k 2, now with --top-k 1", Options() with { Variants = new Definitions { TopK = 1 } });
    }

    [Theory]
    [InlineData("\"numerics\": 1", "\"numerics\": 0", "made with numerics 0, this is numerics 1")]
    [InlineData("\"tool\": \"AnchorScope", "\"tool\": \"AnchorScope 0.0.1, once", "made by AnchorScope 0.0.1, once")]
    [InlineData("\"version\": 4", "\"version\": 3", "written by an older version of this tool (form 3, here 4)")]
    [InlineData("\"version\": 4", "\"version\": 5", "written by a newer version of this tool (form 5, here 4)")]
    [InlineData("\"version\": 4", "\"version\": []", "not the record of a run")]
    public void TheToolIsPartOfIt(string then, string other, string expected)
    {
        var manifest = _temp.File("run/manifest.json");
        var text = File.ReadAllText(manifest);
        Assert.Contains(then, text, StringComparison.Ordinal);
        File.WriteAllText(manifest, text.Replace(then, other, StringComparison.Ordinal));
        Refused(expected, Options());
    }

    /// <summary>A file that a checkpoint reader opens but that is missing from the list would affect numbers unnoticed.</summary>
    [Fact]
    public void EveryFileThatReadersOfCheckpointsNameIsListed()
    {
        string[] other = ["model.safetensors.index.json", "model.safetensors", "recipe.json", "provenance.json", "state.json"];
        var root = Path.Combine(Fixtures.Root, "src", "AnchorScope");
        var named = new[] { "Prompts", "Models", "Checkpoints" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories))
            .SelectMany(file => Regex.Matches(File.ReadAllText(file), "\"([a-z_./]*[a-z_]+\\.(?:json|jinja|txt|model))\"")
                .Select(m => m.Groups[1].Value)).Distinct().Except(other);
        Assert.Empty(named.Except(ModelIdentity.Names));
    }

    private void Refused(string expected, DiagnosisOptions options)
    {
        var message = Assert.Throws<InputException>(() => Begin(options, resume: true)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains("--out", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    private void Begin(DiagnosisOptions options, bool resume)
    {
        using var study = new DiagnosisStudy(options);
        DiagnosisFolder.Begin(_temp.File("run"), study.Identity, resume).Dispose();
    }

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    public void Dispose() => _temp.Dispose();
}
