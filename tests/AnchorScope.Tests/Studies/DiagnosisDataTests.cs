using AnchorScope.Conflicts;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

public sealed class DiagnosisDataTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void ASingleFile_IsSplitIntoSetsWithNamesOfTheirOwn()
    {
        var samples = new[] { "test", "control" }.SelectMany(
            name => ConflictSet.Load(Path.Combine(Fixtures.Conflicts, name + ".jsonl"), limit: 12).Samples).ToList();
        ConflictSet.Save(_temp.File("mine.jsonl"), samples);
        var data = DiagnosisData.Load(_temp.Path, limit: null, seed: 1);
        Assert.Equal([("rank", 6), ("test", 6), ("control", 12)], data.Sets.Select(s => (s.Name, s.Samples.Count)));
        Assert.Equal(samples.Select(s => s.Id).Order(StringComparer.Ordinal),
            data.Sets.SelectMany(s => s.Samples).Select(s => s.Id).Order(StringComparer.Ordinal));
        // Names are kept when samples are left out.
        using var model = VisionLanguageModel.Open(Fixtures.Organism);
        Assert.Equal(["rank", "test", "control"], data.Filter(model, answerTokens: 1).Sets.Select(s => s.Name));
        // Named itself, the file is split in the same way.
        Assert.Equal(data.Sets.SelectMany(s => s.Samples).Select(s => s.Id),
            DiagnosisData.Load(_temp.File("mine.jsonl"), null, 1).Sets.SelectMany(s => s.Samples).Select(s => s.Id));
    }

    /// <summary>
    /// A prompt that, with the answer after it, is longer than the model's maximum is left out, and both numbers are stated.
    /// </summary>
    [Fact]
    public void PromptsThatAreTooLong_AreLeftOut()
    {
        var folder = _temp.Copy(Fixtures.Organism, "short");
        var config = Path.Combine(folder, "config.json");
        var text = File.ReadAllText(config);
        const string There = "\"max_position_embeddings\": 256";
        Assert.Contains(There, text, StringComparison.Ordinal);
        File.WriteAllText(config, text.Replace(There, "\"max_position_embeddings\": 42", StringComparison.Ordinal));
        using var model = VisionLanguageModel.Open(folder);
        using var whole = VisionLanguageModel.Open(Fixtures.Organism);
        var data = DiagnosisData.Load(Fixtures.Conflicts, limit: 30, seed: 0);
        var (kept, all) = (data.Filter(model, answerTokens: 3), data.Filter(whole, answerTokens: 3));
        Assert.Empty(all.Rejected);
        int Positions(ConflictSample sample) => sample.Runs.Max(run =>
        {
            var pixels = sample.Image is null ? null : whole.Preprocess([Picture.Load(sample.Image)]);
            return whole.Measure(ConflictPrompt.Messages(run, data.Layout, pixels is not null).Messages, pixels).Positions;
        });
        // Two of the three tokens of an answer are fed back.
        var fits = data.Test.Samples.Where(s => Positions(s) + 2 <= 42).Select(s => s.Id).ToList();
        Assert.InRange(fits.Count, 1, 29);
        Assert.Equal(fits, kept.Test.Samples.Select(s => s.Id));
        Assert.All(kept.Test.Rejected,
            r => Assert.Matches("^the prompt has [0-9]+ positions and 2 generated tokens come after it; the model was made for 42 ",
                r.Reason));
    }

    /// <summary>A size is that of the prompt which is built, and words that the vocabulary lacks are counted and said.</summary>
    [Fact]
    public void UnknownWords_AreSaidWithTheirShare()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Organism);
        var samples = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "test.jsonl"), limit: 4).Samples
            .Select(s => s with { TextContext = "Paris lies upon the Seine ." }).ToList();
        ConflictSet.Save(_temp.File("mine.jsonl"), samples);
        var data = DiagnosisData.Load(_temp.Path, null, 1).Filter(model, 1);
        var warning = Assert.Single(data.Warnings);
        var (unknown, text) = (0, 0);
        using var arena = new Arena();
        using var team = new Team(1);
        foreach (var run in samples.SelectMany(s => s.Runs))
        {
            var pixels = model.Preprocess([Picture.Load(run.Sample.Image!)]);
            var prompt = ConflictPrompt.Build(model, run, data.Layout, pixels, model.Engine.On(new Compute(arena, team)).Features(pixels));
            var size = model.Measure(ConflictPrompt.Messages(run, data.Layout, pictured: true).Messages, pixels);
            Assert.Equal((prompt.RotaryLength, prompt.TextTokens, prompt.UnknownTokens),
                (size.Positions, size.TextTokens, size.UnknownTokens));
            (unknown, text) = (unknown + prompt.UnknownTokens, text + prompt.TextTokens);
        }
        Assert.True(unknown > 0);
        Assert.StartsWith($"{unknown} of {text} tokens of the text are", warning, StringComparison.Ordinal);
    }

    /// <summary>A part that is removed by its mean must be in the ranking set: known before anything runs.</summary>
    [Fact]
    public void APartWithoutAMean_IsLeftOutWithTheReason()
    {
        var samples = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "test.jsonl"), limit: 6).Samples.ToList();
        ConflictSet.Save(_temp.File("rank.jsonl"), samples[..3]);
        ConflictSet.Save(_temp.File("test.jsonl"), [samples[3], samples[4] with { Constraint = "one word" }, samples[5]]);
        using var study = new DiagnosisStudy(new DiagnosisOptions { Model = Fixtures.Organism, Data = _temp.Path });
        Assert.Equal([samples[3].Id, samples[5].Id], study.Data.Test.Samples.Select(s => s.Id));
        var left = Assert.Single(study.Data.Test.Rejected);
        Assert.Equal((2, "constraint: expected one in the first 3 conflicts of the ranking set too, whose mean takes its "
            + "place; found none"), (left.Line, left.Reason));
        // Where the ranking set has one, so may the test set.
        ConflictSet.Save(_temp.File("rank.jsonl"), [samples[0] with { Constraint = "one word" }, .. samples[1..3]]);
        using var both = new DiagnosisStudy(new DiagnosisOptions { Model = Fixtures.Organism, Data = _temp.Path });
        Assert.Equal(3, both.Data.Test.Samples.Count);
    }

    [Fact]
    public void SamplesInBothSets_AndFilesThatAreNotRead_AreSaid()
    {
        var samples = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "test.jsonl"), limit: 5).Samples.ToList();
        ConflictSet.Save(_temp.File("rank.jsonl"), samples[..3]);
        ConflictSet.Save(_temp.File("test.jsonl"), [.. samples[1..].Select(s => s with { Id = "again-" + s.Id })]);
        ConflictSet.Save(_temp.File("other.jsonl"), samples);
        using var model = VisionLanguageModel.Open(Fixtures.Organism);
        Assert.Equal(
            ["2 test samples of 4 are in the ranking set, too: heads would be tested on what they were ranked on",
                $"{_temp.Path}: other.jsonl is not read; the sets are rank, test, hard and control"],
            DiagnosisData.Load(_temp.Path, null, 0).Filter(model, 1).Warnings);
    }

    [Fact]
    public void ATemplateThatLosesAPart_IsRefused()
    {
        ConflictSet.Save(_temp.File("mine.jsonl"), ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "test.jsonl"), limit: 4).Samples);
        _temp.Write("prompt.json", """{"template": "{question} {instruction}"}""");
        using var model = VisionLanguageModel.Open(Fixtures.Organism);
        var error = Assert.Throws<InputException>(() => DiagnosisData.Load(_temp.Path, null, 0).Filter(model, 1));
        Assert.Matches(@"prompt\.json: template: expected \{text_context\} among its parts, as \S+ has one, found none: "
            + @"the prompt would lose it", error.Message);
    }

    [Fact]
    public void OneInstructionTwice_IsNoConflict()
    {
        var samples = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "test.jsonl"), limit: 2).Samples;
        ConflictSet.Save(_temp.File("good.jsonl"), samples);
        var lines = File.ReadAllLines(_temp.File("good.jsonl"));
        var same = samples[0].Instructions.Values.First();
        foreach (var text in samples[0].Instructions.Values) lines[0] = lines[0].Replace(text, same, StringComparison.Ordinal);
        _temp.Write("same.jsonl", string.Join('\n', lines));
        var set = ConflictSet.Load(_temp.File("same.jsonl"));
        Assert.Equal((1, "instructions: expected one for each side, found the same one twice"),
            (set.Samples.Count, Assert.Single(set.Rejected).Reason));
    }

    public void Dispose() => _temp.Dispose();
}
