using System.Text.Json;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Wired;

namespace AnchorScope.Tests.Wired;

/// <summary>The wired models in models/ and their data: what the code writes, what they answer, and what their heads attend to.</summary>
public sealed class WiredModelTests : IDisposable
{
    private const long MostModelBytes = 1_000_000;
    private const long MostDataBytes = 300_000;
    private const float Sharp = 0.95f;

    // The reference library computes in another order of summation, on logits up to 8.
    private const double ReferenceTolerance = 1e-4;

    private readonly TempFolder _temp = new();

    public static TheoryData<string> Names => [.. WiredModel.All.Select(m => m.Name)];

    public void Dispose() => _temp.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Model_IsWhatTheCodeWrites(string name)
    {
        WiredCheckpoint.Write(WiredModel.All.Single(m => m.Name == name), _temp.File(name));
        Same(Fixtures.Grown(name), _temp.File(name), MostModelBytes);
    }

    [Fact]
    public void Data_AreWhatTheCodeWrites()
    {
        WiredConflicts.Write(_temp.File("data"));
        Same(WiredRuns.Data, _temp.File("data"), MostDataBytes);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Answers_AreThoseOfTheInstruction(string name)
    {
        using var model = new WiredRuns(name);
        foreach (var (split, count) in new[] { ("rank", 192), ("test", 192), ("control", 32) })
        {
            var runs = WiredRuns.Samples(split).SelectMany(s => s.Runs).ToList();
            Assert.Equal(count, runs.Count);
            var prompts = runs.Select(model.Prompt).ToList();
            if (split != "control") Assert.Equal(23, Assert.Single(prompts.Select(p => p.Length).Distinct()));
            var answers = model.Answers([.. prompts.Select(p => (p, Intervention.None))]);
            Assert.InRange(runs.Zip(answers).Average(r => r.First.Following[0] == r.Second ? 1.0 : 0.0), 0.99, 1);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void PlantedHeads_AttendToWhatTheyAreSaidToRead(string name)
    {
        using var model = new WiredRuns(name);
        using var truth = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Fixtures.Grown(name), "truth.json")));
        var runs = WiredRuns.Samples("test").Take(24).SelectMany(s => s.Runs)
            .Select(run => (Run: run, Prompt: model.Prompt(run), Trace: new Trace([Site.AttnPattern]))).ToList();
        model.Logits([.. runs.Select(r => (r.Prompt, Intervention.None))], [.. runs.Select(r => r.Trace)]);
        var planted = truth.RootElement.GetProperty("heads").EnumerateArray().Where(h => h.GetProperty("at").GetArrayLength() > 0).ToList();
        Assert.InRange(planted.Count, 4, 6);
        foreach (var head in planted)
        {
            foreach (var (run, prompt, trace) in runs)
            {
                var keys = Places(head.GetProperty("reads").GetString()!, model, prompt, run);
                foreach (var query in head.GetProperty("at").EnumerateArray().SelectMany(at => Places(at.GetString()!, model, prompt, run)))
                {
                    var row = trace[Site.AttnPattern, head.GetProperty("layer").GetInt32()]
                        .AsSpan((head.GetProperty("head").GetInt32() * prompt.Length + query) * prompt.Length, prompt.Length).ToArray();
                    Assert.True(keys.Sum(key => row[key]) > Sharp,
                        $"{run.Id}: {head} attends to {string.Join(", ", keys)} with {keys.Sum(key => row[key])}");
                }
            }
        }
    }

    /// <summary>Heads that differ only in their outputs: attention cannot distinguish the arbiter 2.3 from the onlooker 2.0.</summary>
    [Fact]
    public void TheOnlooker_AttendsAsTheArbiterDoes_ToTheBit()
    {
        using var model = new WiredRuns("wired-onlooker");
        var runs = WiredRuns.Samples("test").Take(24).SelectMany(s => s.Runs)
            .Select(run => (Prompt: model.Prompt(run), Trace: new Trace([Site.AttnPattern]))).ToList();
        model.Logits([.. runs.Select(r => (r.Prompt, Intervention.None))], [.. runs.Select(r => r.Trace)]);
        foreach (var (prompt, trace) in runs)
        {
            var size = prompt.Length * prompt.Length;
            float[] Pattern(int head) => trace[Site.AttnPattern, 2].AsSpan(head * size, size).ToArray();
            Assert.Equal(Pattern(3), Pattern(0));
            Assert.NotEqual(Pattern(3), Pattern(1));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Logits_AreThoseOfTheReferenceLibrary(string name)
    {
        using var model = new WiredRuns(name);
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("wired", "logits.json")));
        var runs = WiredRuns.Samples("test").Take(3).SelectMany(s => s.Runs).ToList();
        var logits = model.Logits([.. runs.Select(run => (model.Prompt(run), Intervention.None))]);
        foreach (var (run, ours) in runs.Zip(logits))
        {
            var expected = golden.RootElement.GetProperty(name).GetProperty(run.Id).EnumerateArray().Select(v => v.GetSingle()).ToArray();
            Assert.Equal(expected.Length, ours.Length);
            Assert.All(expected.Zip(ours), pair => Assert.Equal(pair.First, pair.Second, ReferenceTolerance));
        }
    }

    private static int[] Places(string place, WiredRuns model, Prompt prompt, ConflictRun run)
    {
        var asksSky = run.Sample.Category == "sky";
        var (image, instruction) = (prompt.Span(SpanKind.Image), prompt.Span(SpanKind.Instruction));
        int[] Words(SpanKind span, IReadOnlyList<string> words) =>
            [.. prompt.Span(span).Where(p => words.Contains(model.Word(prompt.Tokens[p])))];
        return place switch
        {
            "question_word" => Words(SpanKind.Question, ["sky", "ground"]),
            "question_end" => Words(SpanKind.Question, ["?"]),
            "noun" => [instruction[^2]],
            "tail" => [instruction[^1]],
            "noun_and_tail" => [instruction[^2], instruction[^1]],
            "turn_end" => [prompt.Length - 2],
            "last" => [prompt.Length - 1],
            "picture" => [.. image],
            "note" => Words(SpanKind.TextContext, WiredVocabulary.Values),
            "asked_picture" => asksSky ? [image[0], image[1]] : [image[2], image[3]],
            "asked_note" => Words(SpanKind.TextContext, asksSky ? WiredVocabulary.Skies : WiredVocabulary.Grounds),
            "instructed" => Places(run.Instruction == Modality.Vision ? "asked_picture" : "asked_note", model, prompt, run),
            _ => throw new InvalidOperationException($"{place} is no place"),
        };
    }

    private static void Same(string committed, string written, long most)
    {
        string[] Files(string folder) =>
            [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(folder, f))
                .Order(StringComparer.Ordinal)];
        Assert.Equal(Files(committed), Files(written));
        foreach (var file in Files(committed))
            Assert.True(File.ReadAllBytes(Path.Combine(committed, file)).AsSpan()
                .SequenceEqual(File.ReadAllBytes(Path.Combine(written, file))), $"{file} is not what `ascope wire` writes");
        Assert.InRange(Files(committed).Sum(f => new FileInfo(Path.Combine(committed, f)).Length), 1, most);
    }
}
