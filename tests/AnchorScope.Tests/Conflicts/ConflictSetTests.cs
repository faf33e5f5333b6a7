using AnchorScope.Conflicts;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Conflicts;

public sealed class ConflictSetTests : IDisposable
{
    private const string Good =
        """{"id": "ID", "image": "a.png", "question": "which colour ?", "text_context": "it is red .", "instructions": {"vision": "trust the picture", "text": "trust the text"}, "answers": {"vision": ["blue"], "text": ["red"]}}""";

    private readonly TempFolder _temp = new();

    public ConflictSetTests() => _temp.Write("a.png", [1]);

    [Theory]
    [InlineData("rank", 200)]
    [InlineData("test", 400)]
    [InlineData("hard", 200)]
    [InlineData("control", 100)]
    public void BundledSets_AreWhole(string name, int samples)
    {
        var set = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, name + ".jsonl"));
        Assert.Equal(samples, set.Samples.Count);
        Assert.Empty(set.Rejected);
        Assert.Equal(Enumerable.Range(1, samples), set.Samples.Select(s => s.Line));
    }

    [Fact]
    public void SavedSet_ReadsBackEqual()
    {
        var samples = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "control.jsonl")).Samples
            .Concat(ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "test.jsonl"), limit: 20).Samples)
            .Select(s => s with { Constraint = "One word. \"Ω\"", System = "é\n", Tags = ["a", "b"] }).ToList();
        samples[1] = samples[1] with
        {
            Donors = new Dictionary<string, string> { ["note"] = samples[0].Id, ["crossed"] = samples[^1].Id },
        };
        var path = _temp.File("saved.jsonl");
        ConflictSet.Save(path, samples);
        var read = ConflictSet.Load(path).Samples;
        Assert.Equal(samples.Select(Text), read.Select(Text));
        Assert.Equal(["a.png", "saved.jsonl"], Directory.GetFiles(_temp.Path).Select(Path.GetFileName).Order());

        static string Text(ConflictSample s) => string.Join('|',
            s.Id, s.Question, s.Image, s.TextContext, s.Constraint, s.System, s.Category, s.Kind, string.Join(',', s.Tags),
                string.Join(',', s.Donors),
            string.Join(',', s.Instructions.OrderBy(i => i.Key)),
            string.Join(',', s.Answers.OrderBy(a => a.Key).Select(a => a.Key + string.Join('/', a.Value))));
    }

    [Fact]
    public void WhatCannotBeUsed_IsListedByLine_AndTheRestGoesOn()
    {
        (string Line, string? Reason)[] lines =
        [
            (Good.Replace("ID", "one", StringComparison.Ordinal), null),
            ("", null),
            ("{\"id\": ", "not valid JSON"),
            ("[1]", "expected an object, found a list"),
            (Good.Replace("ID", "one", StringComparison.Ordinal), "id one is there twice"),
            (Good.Replace("a.png", "b.png", StringComparison.Ordinal), "image: there is no file b.png"),
            (Good.Replace("[\"blue\"]", "[\"RED \"]", StringComparison.Ordinal), "answers: \"red\" is on both sides"),
            (Good.Replace("[\"blue\"]", "[]", StringComparison.Ordinal), "answers: expected at least one"),
            (Good.Replace("\"text\": [\"red\"]", "\"audio\": [\"red\"]", StringComparison.Ordinal),
                "answers: expected vision and text, found audio"),
            (Good.Replace("which colour ?", "", StringComparison.Ordinal), "question: expected a string"),
            (Good.Replace("\"which colour ?\"", "7", StringComparison.Ordinal), "question: expected a string, found 7"),
            (Good.Replace("which colour ?", "\\uD800", StringComparison.Ordinal), "surrogate"),
            (Good.Replace("\"id\"", "\"kind\": \"joke\", \"id\"", StringComparison.Ordinal), "kind: expected conflict"),
            (Good.Replace("{\"vision\": \"trust the picture\", \"text\": \"trust the text\"}", "{}", StringComparison.Ordinal),
                "instructions: expected one"),
            (new string('[', 5000), "not valid JSON"),
            (Good.Replace("\"question\"", "\"qestion\"", StringComparison.Ordinal),
                "qestion: expected only id, image, question, text_context, instructions, answers, constraint, system, category, tags, "
                    + "kind, donors, extra, found this field; did you mean question?"),
            (Good.Replace("\"id\"", "\"id\": \"first\", \"id\"", StringComparison.Ordinal),
                "not valid JSON: the key 'id' stands twice in one object"),
            (Good.Replace("\"id\"", "\"tags\": [7], \"id\"", StringComparison.Ordinal), "tags[0]: expected a string, found 7"),
            (Good.Replace(", \"text\": \"trust the text\"", "", StringComparison.Ordinal),
                "instructions.text: a conflict needs an instruction for each side"),
            (Good.Replace("\"vision\": \"trust", "\"vison\": \"trust", StringComparison.Ordinal),
                "instructions: expected vision and text, found vison; did you mean vision?"),
            (Good.Replace("ID", "two", StringComparison.Ordinal).Replace("\"id\"", "\"extra\": {\"mine\": [1]}, \"id\"",
                StringComparison.Ordinal), null),
        ];
        var path = _temp.Write("set.jsonl", string.Join('\n', lines.Select(l => l.Line)));
        var set = ConflictSet.Load(path);
        Assert.Equal(["one", "two"], set.Samples.Select(s => s.Id));
        Assert.Equal([1, lines.Length], set.Samples.Select(s => s.Line));
        var expected = lines.Select((l, i) => (l.Reason, Line: i + 1)).Where(l => l.Reason is not null).ToList();
        Assert.Equal(expected.Select(e => e.Line), set.Rejected.Select(r => r.Line));
        Assert.All(expected.Zip(set.Rejected), p => Assert.Contains(p.First.Reason!, p.Second.Reason, StringComparison.Ordinal));
    }

    [Fact]
    public void BytesThatAreNotUtf8_AreOneBrokenLine()
    {
        byte[] good = System.Text.Encoding.UTF8.GetBytes(Good + "\n");
        var path = _temp.Write("set.jsonl", [.. good, .. "{\"id\": \""u8, 0xFF, 0xFE, .. "\"}\n"u8]);
        var set = ConflictSet.Load(path);
        Assert.Single(set.Samples);
        Assert.Equal(2, Assert.Single(set.Rejected).Line);
        Assert.Equal("expected UTF-8, found other bytes; save the file as UTF-8", set.Rejected[0].Reason);
    }

    [Theory]
    [InlineData("[{}]", "form: expected one sample a line, each a JSON object, found a JSON list")]
    [InlineData("{\n \"id\": \"a\"\n}", "form: expected one sample a line, each a JSON object, found an object over several lines")]
    public void AFileOfAnotherForm_IsNamed(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(() => ConflictSet.Load(_temp.Write("set.jsonl", text))).Message,
            StringComparison.Ordinal);

    [Fact]
    public void AFolderAndUtf16AreNamed()
    {
        Assert.Contains("path: expected a file of JSON lines, found a folder",
            Assert.Throws<InputException>(() => ConflictSet.Load(_temp.Path)).Message, StringComparison.Ordinal);
        var utf16 = _temp.Write("set.jsonl", [0xFF, 0xFE, .. System.Text.Encoding.Unicode.GetBytes(Good)]);
        Assert.Contains("encoding: expected UTF-8, found UTF-16", Assert.Throws<InputException>(() => ConflictSet.Load(utf16)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void NothingUsable_IsAnError()
    {
        Assert.Contains("the file is empty", Assert.Throws<InputException>(() => ConflictSet.Load(_temp.Write("empty.jsonl", ""))).Message,
            StringComparison.Ordinal);
        Assert.Contains("cannot be read", Assert.Throws<InputException>(() => ConflictSet.Load(_temp.File("none.jsonl"))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void AnswersThatBeginAlike_AreLeftOutByLine()
    {
        var path = _temp.Write("set.jsonl",
            Good.Replace("ID", "fine", StringComparison.Ordinal) + "\n"
                + Good.Replace("\"blue\"", "\"red star\"", StringComparison.Ordinal));
        var filtered = AnswerEntities.Filter(ConflictSet.Load(path), Tokenizer.Load(Fixtures.Organism));
        Assert.Equal("fine", Assert.Single(filtered.Samples).Id);
        var left = Assert.Single(filtered.Rejected);
        Assert.Equal((2, "ID"), (left.Line, left.Id));
        Assert.Contains("\"red star\" and \"red\" begin with the same token red", left.Reason, StringComparison.Ordinal);
    }

    /// <summary>
    /// An answer may begin the reply, or follow a space or a line break: in a vocabulary with a token for each case, all three are forms.
    /// </summary>
    [Fact]
    public void TokenForms_AreThoseBehindALineBreakAsWell()
    {
        // In SentencePiece a word at the start or after a space has the word mark; after a line break it has none.
        var tokenizer = Tokenizer.Load(Fixtures.Path("llava15"));
        var sample = new ConflictSample
        {
            Id = "s", Question = "q", Instructions = new Dictionary<Modality, string> { [Modality.Vision] = "v" },
            Answers = new Dictionary<Modality, IReadOnlyList<string>> { [Modality.Vision] = ["a"], [Modality.Text] = ["Q"] },
        };
        int First(string text) => tokenizer.Encode(text, addSpecial: false).First(t => t.End == text.Length).Id;
        Assert.DoesNotContain(First("\na"), new[] { First("a"), First(" a") });
        int[] expected = [.. new[] { First("a"), First(" a"), First("\na") }.Distinct()];
        Assert.Equal(expected, AnswerEntities.Of(sample.Runs.Single(), tokenizer, out _)!.FollowingForms);
    }

    [Fact]
    public void TokenForms_AreThoseWithAndWithoutSpace()
    {
        var tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", "qwen2"));
        var sample = new ConflictSample
        {
            Id = "s", Question = "q", Instructions = new Dictionary<Modality, string> { [Modality.Vision] = "v" },
            Answers = new Dictionary<Modality, IReadOnlyList<string>>
                { [Modality.Vision] = ["The", "Red"], [Modality.Text] = ["blue", "Ring"] },
        };
        var entities = AnswerEntities.Of(sample.Runs.Single(), tokenizer, out _)!;
        Assert.Equal(entities.Following, entities.FollowingForms[0]);
        // "R" begins an alias of both sides and so favours neither.
        Assert.Equal(["The", " The"], entities.FollowingForms.Select(t => tokenizer.Decode([t])));
        Assert.Empty(entities.FollowingForms.Intersect(entities.CompetingForms));
    }

    public void Dispose() => _temp.Dispose();
}
