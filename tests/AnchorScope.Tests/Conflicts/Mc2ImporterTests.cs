using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Conflicts;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Conflicts;

public sealed class Mc2ImporterTests : IDisposable
{
    private const string Constraint = "Answer the question using a single word or phrase.";

    private readonly TempFolder _temp = new();
    private readonly string _images;

    public Mc2ImporterTests()
    {
        _images = Directory.CreateDirectory(_temp.File("coco")).FullName;
        var picture = System.IO.File.ReadAllBytes(Directory.GetFiles(Path.Combine(Fixtures.Conflicts, "images"))[0]);
        foreach (var name in new[] { "COCO_val2014_000000000009.jpg", "COCO_train2014_000000000025.jpg" })
            System.IO.File.WriteAllBytes(Path.Combine(_images, name), picture);
    }

    [Fact]
    public void BothFiles_MakeOneSampleWithBothInstructions()
    {
        var importer = Import(2, File("text.json", Item(9, Mc2Importer.TextInstruction)),
            File("vision.json", Item(9, Mc2Importer.VisionInstruction)));
        Assert.Empty(importer.Rejected);
        var sample = Assert.Single(importer.Samples);
        Assert.Equal("000000000009", sample.Id);
        Assert.Equal("What color is the bus?", sample.Question);
        Assert.Equal($"{Constraint} The answer is", sample.Constraint);
        Assert.Equal(Mc2Importer.VisionInstruction, sample.Instructions[Modality.Vision]);
        Assert.Equal(Mc2Importer.TextInstruction, sample.Instructions[Modality.Text]);
        Assert.Equal(["red", "Red", "红色"], sample.Answers[Modality.Vision]);
        Assert.Equal(["green"], sample.Answers[Modality.Text]);
        Assert.Equal("A green bus.", sample.TextContext);
        Assert.Equal("color", sample.Category);
        Assert.EndsWith("COCO_val2014_000000000009.jpg", sample.Image, StringComparison.Ordinal);
    }

    [Fact]
    public void Prompt_HasThePublishedOrder()
    {
        var sample = Import(3, File("text.json", Item(25, Mc2Importer.TextInstruction))).Samples[0];
        var text = string.Concat(PromptLayout.Mc2.Pieces(new ConflictRun(sample, Modality.Text)).Select(p => p.Text));
        Assert.Equal($"Text context: A green bus.\n{Mc2Importer.TextInstruction}\nWhat color is the bus?\n{Constraint}", text);
    }

    [Fact]
    public void TheOlderForm_HasNoInstructionOfItsOwn()
    {
        var item = new JsonObject
            { ["image_id"] = 9, ["task"] = "color", ["question"] = "What color is the bus?", ["answer_vision"] = "red",
                ["answer_text"] = "green", ["context"] = "A green bus." };
        var sample = Import(1, File("evaluate_final.json", item)).Samples[0];
        Assert.Equal("What color is the bus?", sample.Question);
        Assert.Null(sample.Constraint);
        Assert.Equal(2, sample.Runs.Count());
        Assert.Equal(["red"], sample.Answers[Modality.Vision]);
    }

    [Fact]
    public void WhatCannotBeUsed_IsListedByIndex()
    {
        var broken = new (Action<JsonObject> Break, string Reason)[]
        {
            (i => i["image_id"] = 77, "image: there is no COCO_val2014_000000000077.jpg"),
            (i => i["image_id"] = "../../etc/passwd", "image_id: expected up to 12 digits"),
            (i => i["image_id"] = null, "image_id: expected up to 12 digits"),
            (i => i["answer_img"] = "green", "answers: \"green\" is on both sides"),
            (i => i.Remove("answer_text"), "answer_text: expected a string, found nothing"),
            (i => i["answer_img"] = 3, "answer_img: expected a string, found 3"),
            (i => i["answer_img_candidate_list"] = "Red", "answer_img_candidate_list: expected a list of strings"),
            (i => i.Remove("context"), "text_context: expected a string"),
            (i => i["question1"] = Mc2Importer.TextInstruction, "question: expected a question behind the instruction"),
            (i => i["question1"] = " \n ", "question: expected a question"),
        };
        var items = broken.Select(b =>
        {
            var item = Item(9, Mc2Importer.TextInstruction);
            b.Break(item);
            return item;
        });
        var importer = Import(1, File("set.json", [Item(25, Mc2Importer.TextInstruction), .. items]));
        Assert.Single(importer.Samples);
        Assert.Equal(Enumerable.Range(2, broken.Length), importer.Rejected.Select(r => r.Line));
        Assert.All(broken.Zip(importer.Rejected), p => Assert.Contains(p.First.Reason, p.Second.Reason, StringComparison.Ordinal));
    }

    [Fact]
    public void FilesThatDisagree_AreNotMixed()
    {
        var other = Item(9, Mc2Importer.VisionInstruction);
        other["answer_img"] = "blue";
        var importer = Import(1, File("text.json", Item(9, Mc2Importer.TextInstruction)), File("vision.json", other));
        Assert.Contains("expected \"red\"", Assert.Single(importer.Rejected).Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"a\": 1}", "expected a list of items, found an object")]
    [InlineData("[", "not valid JSON")]
    [InlineData("[]", "an empty list")]
    public void WrongFiles_AreErrors(string text, string message) =>
        Assert.Contains(message, Assert.Throws<InputException>(() => Import(1, _temp.Write("wrong.json", text))).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Command_WritesASetThatLoads()
    {
        var file = File("text.json", Item(9, Mc2Importer.TextInstruction), Item(77, Mc2Importer.TextInstruction),
            Item(25, Mc2Importer.TextInstruction));
        var (exit, output, error) = Ascope.Run(_temp.Path, "import", "mc2", file, "--images", _images, "--out", "set", "--copy-images");
        Assert.Equal("", error);
        Assert.Equal(3, exit);
        Assert.Contains("item 2 000000000077: image: there is no COCO_val2014_000000000077.jpg", output, StringComparison.Ordinal);
        Directory.Delete(_images, recursive: true);
        var set = ConflictSet.Load(Path.Combine(_temp.Path, "set", "conflicts.jsonl"));
        Assert.Equal(["000000000009", "000000000025"], set.Samples.Select(s => s.Id));
        Assert.Empty(set.Rejected);
        Assert.Same(PromptLayout.Mc2, PromptLayout.Beside(Path.Combine(_temp.Path, "set")));
        var again = Ascope.Run(_temp.Path, "import", "mc2", file, "--images", _temp.Path, "--out", "set");
        Assert.Equal(2, again.ExitCode);
        Assert.Contains("expected a new or empty folder, found one with files in it", again.Error, StringComparison.Ordinal);
    }

    private Mc2Importer Import(int form, params string[] files)
    {
        var importer = new Mc2Importer(_images, form);
        foreach (var file in files) importer.Read(file);
        return importer;
    }

    private static JsonObject Item(int image, string instruction) => new()
    {
        ["image_id"] = $"{image:000000000000}",
        ["task"] = "color",
        ["question1"] = $"{instruction}\nWhat color is the bus?\nThe answer is ",
        ["question2"] = $"{instruction}\nWhat color is the bus?\n{Constraint} The answer is ",
        ["question3"] = $"{instruction}\nWhat color is the bus?\n{Constraint}",
        ["answer_img"] = "red",
        ["answer_text"] = "green",
        ["answer_img_candidate_list"] = new JsonArray("Red", "红色"),
        ["answer_text_candidate_list"] = new JsonArray(),
        ["context"] = "A green bus.",
    };

    private string File(string name, params JsonObject[] items) =>
        _temp.Write(name, Encoding.UTF8.GetBytes(new JsonArray([.. items]).ToJsonString(new JsonSerializerOptions())));

    public void Dispose() => _temp.Dispose();
}
