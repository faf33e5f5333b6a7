using System.Text.Json.Nodes;
using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Conflicts;

/// <summary>Samples that name their donors: which names are errors, which are left out, and which are used.</summary>
public sealed class NamedDonorTests : IDisposable
{
    private static readonly string[] Lines = [.. File.ReadLines(Path.Combine(Fixtures.Conflicts, "rank.jsonl")).Take(24)];

    private readonly TempFolder _temp = new();

    public NamedDonorTests()
    {
        Directory.CreateDirectory(_temp.File("images"));
        for (var i = 0; i < Lines.Length; i++)
            File.Copy(Path.Combine(Fixtures.Conflicts, "images", $"rank-{i:D4}.png"), _temp.File($"images/rank-{i:D4}.png"));
        File.Copy(Path.Combine(Fixtures.Conflicts, "prompt.json"), _temp.File("prompt.json"));
    }

    [Fact]
    public void Factors_AreThoseOfDonors() =>
        Assert.Equal(Enum.GetValues<DonorFactor>().Select(EnumName.Of).Order(), ConflictSample.DonorFactors.Order());

    [Theory]
    [InlineData(
        """{"colour": "rank-0001"}""", "donors: expected instruction, phrasing, question, picture, note, crossed, found \"colour\"")]
    [InlineData("""{"note": "rank-0000"}""", "donors.note: expected another sample, found \"rank-0000\" itself")]
    [InlineData("""{"note": "rank-9999"}""", "donors.note: expected the id of a sample of this file, found \"rank-9999\"")]
    [InlineData("""{"crossed": ""}""", "donors.crossed: expected the id of a sample of this file, found \"\"")]
    [InlineData("""{"crossed": "a\nb"}""", "donors.crossed: expected the id of a sample of this file, found \"a\\nb\"")]
    public void AMistake_IsOneLineWithFileAndLine(string donors, string message)
    {
        var path = Write((0, donors));
        Assert.Equal($"{path}:1: {message}", Assert.Throws<InputException>(() => ConflictSet.Load(path)).Message);
    }

    [Theory]
    [InlineData("""["rank-0001"]""", "donors: expected an object of ids, found a list")]
    [InlineData("""{"note": 1}""", "donors.note: expected the id of a sample, found 1")]
    public void AFieldOfAnotherKind_LeavesTheLineOut(string donors, string reason)
    {
        var set = ConflictSet.Load(Write((0, donors)));
        Assert.Equal(Lines.Length - 1, set.Samples.Count);
        Assert.Equal((1, reason), (Assert.Single(set.Rejected).Line, set.Rejected[0].Reason));
    }

    [Fact]
    public void Donors_MayLieBehindTheLimit_AndInTheOtherHalf()
    {
        var path = Write((0, """{"note": "rank-0020"}"""), (2, "null"));
        var set = ConflictSet.Load(path, limit: 3);
        Assert.Equal(3, set.Samples.Count);
        Assert.Equal("rank-0020", Assert.Single(set.Donors).Value.Id);
        Assert.Equal("rank-0020", Assert.Single(set.Part("rank", [.. set.Samples.Take(1)]).Donors).Key);
        Assert.Empty(set.With(set.Samples, [new RejectedLine(path, 21, "rank-0020", "it cannot be read")]).Donors);
    }

    /// <summary>The user who names such a donor has made no mistake.</summary>
    [Fact]
    public void ADonorThatIsLeftOut_IsAPairThatIsLeftOut()
    {
        var path = Write((0, """{"crossed": "rank-0001"}"""));
        File.Delete(_temp.File("images/rank-0001.png"));
        var set = ConflictSet.Load(path);
        Assert.Empty(set.Donors);
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var finder = DonorFinder.In(set, model.Tokenizer, 0);
        Assert.Empty(finder.Of(set.Samples[0].Runs.First(), DonorFactor.Crossed, SpanAlignment.Equal));
        const string Reason =
            "donors.crossed: expected a sample that can be used, found rank-0001, which was left out; the pair is left out";
        Assert.Equal(
            [("rank-0000/vision", 1, Reason), ("rank-0000/text", 1, Reason)],
            finder.Unfit(set, SpanAlignment.Equal).Select(r => (r.Id!, r.Line, r.Reason)));
    }

    /// <summary>A donor that a search would find last is used first if it is named, and no other is used.</summary>
    [Theory]
    [InlineData(DonorFactor.Instruction)]
    [InlineData(DonorFactor.Phrasing)]
    [InlineData(DonorFactor.Question)]
    [InlineData(DonorFactor.Picture)]
    [InlineData(DonorFactor.Note)]
    [InlineData(DonorFactor.Crossed)]
    public void TheNamedDonor_IsTheOnlyOne(object factorGiven)
    {
        var factor = (DonorFactor)factorGiven;
        var plain = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "rank.jsonl"));
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var search = DonorFinder.In(plain, model.Tokenizer, 0);
        var seen = 0;
        foreach (var receiver in plain.Samples.Take(12).SelectMany(s => s.Runs))
        {
            foreach (var found in search.Of(receiver, factor, SpanAlignment.Equal).TakeLast(1).Where(d => d.From != receiver.Sample.Id))
            {
                var naming = receiver.Sample with { Donors = new Dictionary<string, string> { [EnumName.Of(factor)] = found.From } };
                var run = receiver with { Sample = naming };
                var from = plain.Samples.First(s => s.Id == found.From);
                // A named crossed donor is a separate run with its own question.
                var asks = factor != DonorFactor.Crossed || Count(from.Question) == Count(naming.Question);
                if (factor == DonorFactor.Crossed && Count(from.Instructions[Other(run)]) != Count(
                    naming.Instructions[run.Instruction])) asks = false;
                if (!asks) continue;
                seen++;
                var named = Assert.Single(search.Of(run, factor, SpanAlignment.Equal));
                Assert.Equal(found.From, named.From);
                Assert.Equal(found.Run.Instruction, named.Run.Instruction);
                if (factor == DonorFactor.Crossed) Assert.Equal(from, named.Run.Sample);
                else Assert.Equal(Parts(found.Run), Parts(named.Run));
            }
        }
        Assert.True(seen >= 3, $"{seen}");

        int Count(string text) => model.Tokenizer.Encode(text, addSpecial: false).Count;
        static Modality Other(ConflictRun run) => run.Instruction == Modality.Vision ? Modality.Text : Modality.Vision;
        static string Parts(ConflictRun run) =>
            $"{run.Sample.Image} {run.Sample.TextContext} {run.Sample.Question} {run.Sample.Instructions[run.Instruction]}";
    }

    [Fact]
    public void WhatDoesNotFit_SaysWhatWasExpectedAndFound()
    {
        var set = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "rank.jsonl"));
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var finder = DonorFinder.In(set, model.Tokenizer, 0);
        var own = set.Samples[0];
        (Donor? Donor, string Expected, string Found)? Named(DonorFactor factor, ConflictSample from, Modality told = Modality.Vision,
            SpanAlignment alignment = SpanAlignment.Equal) =>
            finder.Named(new ConflictRun(own with { Donors = new Dictionary<string, string> { [EnumName.Of(factor)] = from.Id } },
                told), factor, alignment);
        // "now believe the picture"
        var longer = set.Samples.First(s => s.Instructions[Modality.Vision].Split(' ').Length == 5);
        Assert.Equal((null, "an instruction of 4 tokens", $"5 in {longer.Id}"), Named(DonorFactor.Phrasing, longer));
        Assert.NotNull(Named(DonorFactor.Phrasing, longer, alignment: SpanAlignment.End)!.Value.Donor);
        var same = set.Samples.Skip(1).First(s => s.Question == own.Question);
        Assert.Equal((null, "another question", $"the same in {same.Id}"), Named(DonorFactor.Question, same));
        var answering = set.Samples.First(s => s.Category == own.Category
            && s.Answers[Modality.Vision][0] == own.Answers[Modality.Text][0]);
        Assert.Equal(
            (null, "an answer that is none of the receiver's two", $"{own.Answers[Modality.Text][0]} in {answering.Id}"),
            Named(DonorFactor.Picture, answering));
        // With another picture only runs that are told to follow it.
        Assert.Null(Named(DonorFactor.Picture, answering, Modality.Text));
        Assert.Null(Named(DonorFactor.Note, answering));
    }

    [Fact]
    public void Diagnose_EndsWithTwo_OnAMistake()
    {
        Write((0, """{"note": "rank-9999"}"""));
        var (exit, _, error) = Ascope.Run(_temp.Path, "diagnose", "--data", _temp.Path, "--model", Fixtures.Organism, "--out",
            _temp.File("out"));
        Assert.Equal(2, exit);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.EndsWith("rank.jsonl:1: donors.note: expected the id of a sample of this file, found \"rank-9999\"", line,
            StringComparison.Ordinal);
        Assert.False(Path.Exists(_temp.File("out")));
    }

    /// <summary>Two samples name a donor: one that fits, and one whose instruction has another length.</summary>
    [Fact]
    public void Diagnose_TakesTheNamed_AndListsAndCountsWhatDoesNotFit()
    {
        var set = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "rank.jsonl"), Lines.Length);
        static int Words(ConflictSample s) => s.Instructions[Modality.Vision].Split(' ').Length;
        var fits = set.Samples.Last(s => s.Category != set.Samples[0].Category
            && s.Question.Split(' ').Length == set.Samples[0].Question.Split(' ').Length);
        var other = set.Samples.First(s => Words(s) != Words(set.Samples[1]));
        Write((0, $$"""{"question": "{{fits.Id}}"}"""), (1, $$"""{"phrasing": "{{other.Id}}"}"""));
        File.Copy(_temp.File("rank.jsonl"), _temp.File("test.jsonl"));
        var (exit, _, error) = Ascope.Run(
            _temp.Path, "diagnose", "--data", _temp.Path, "--model", Fixtures.Organism, "--out", _temp.File("out"), "--draws", "1",
                "--windows", "3", "--limit", "8");
        Assert.Equal(3, exit);
        Assert.Contains("rank.jsonl:2 rank-0001/vision: donors.phrasing: expected an instruction of", error.ReplaceLineEndings(" "),
            StringComparison.Ordinal);
        var found = JsonNode.Parse(File.ReadAllText(_temp.File("out/diagnosis.json")))!;
        Assert.Contains(found["rejected"]!.AsArray(), r => $"{r!["reason"]}".StartsWith("donors.phrasing: expected an instruction of",
            StringComparison.Ordinal));
        var counts = found["interchange"]!["pairs"]!.AsArray().SelectMany(s => s!["factors"]!.AsArray()).ToList();
        Assert.All(counts.Where(c => $"{c!["factor"]}" == "question"), c => Assert.Equal(0, (int)c!["named_unfit"]!));
        Assert.All(counts.Where(c => $"{c!["factor"]}" == "phrasing"), c => Assert.InRange((int)c!["named_unfit"]!, 1, 2));
        Assert.All(counts, c => Assert.Equal(
            (int)c!["runs"]!,
            new[] { "without_donor", "named_unfit", "receiver_fails", "donor_fails", "pairs" }.Sum(field => (int)c[field]!)));
        // The rows identify the sample.
        Assert.Contains(
            File.ReadLines(_temp.File("out/results.jsonl")),
            l => l.Contains("\"set\":\"profile\",\"run\":\"rank-0000/vision\",\"donor\":\"question\"", StringComparison.Ordinal)
                && l.Contains(fits.Id, StringComparison.Ordinal));
    }

    /// <summary>rank.jsonl with donors in some lines.</summary>
    private string Write(params (int Line, string Donors)[] named) => _temp.Write("rank.jsonl", string.Join('\n', Lines.Select((line, i) =>
    {
        var at = Array.FindIndex(named, n => n.Line == i);
        return at < 0 ? line : line[..^1] + $", \"donors\": {named[at].Donors}}}";
    })) + "\n");

    public void Dispose() => _temp.Dispose();
}
