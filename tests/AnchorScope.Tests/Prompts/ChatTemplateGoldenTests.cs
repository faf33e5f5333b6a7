using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Prompts of the reference library (processor.apply_chat_template), row by row.</summary>
public sealed class ChatTemplateGoldenTests
{
    public static TheoryData<string> Folders =>
        [.. Directory.EnumerateFiles(Fixtures.Path(), "golden_chat.json", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Fixtures.Path(), Path.GetDirectoryName(file)!)).Order(StringComparer.Ordinal)];

    [Fact]
    public void EveryFamilyHasAGolden() => Assert.True(Folders.Count >= 7, $"{Folders.Count} folders with golden_chat.json");

    [Theory]
    [MemberData(nameof(Folders))]
    public void EveryRow_IsEqual_AndEveryTextIsFound(string folder)
    {
        var template = ChatTemplate.Load(Fixtures.Path(folder), Tokenizer.Load(Fixtures.Path(folder)).SpecialTokens);
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path(folder, "golden_chat.json")));
        var rows = golden.RootElement.GetProperty("rows");
        Assert.NotEqual(0, rows.GetArrayLength());
        foreach (var row in rows.EnumerateArray())
        {
            using var temporary = new TemporaryFolder();
            var messages = ChatMessage.LoadAll(temporary.Write("messages.json", row.GetProperty("messages").GetRawText()));
            var prompt = template.Render(messages, row.GetProperty("add_generation_prompt").GetBoolean());
            Assert.Equal(row.GetProperty("text").GetString(), prompt.Text);
            Assert.Equal(
                messages.SelectMany((message, m) => message.Content.Select((part, p) => (m, p, (part as TextPart)?.Text)))
                    .Where(t => t.Text is not null),
                prompt.Parts.Select(part => (part.Message, part.Part, (string?)prompt.Text.Substring(part.Start, part.Length))));
            Assert.All(prompt.Parts, part => Assert.Equal(0, part.SourceStart));
        }
    }

    [Fact]
    public void Organism_RendersAsItsTemplateSays()
    {
        var template = ChatTemplate.Load(Fixtures.Organism, Tokenizer.Load(Fixtures.Organism).SpecialTokens);
        var prompt = template.Render([new("user", [new ImagePart(), new TextPart("what colour ?")])]);
        Assert.Equal("<user> <image> what colour ? <end> <assistant>", prompt.Text);
        Assert.Equal([new RenderedPart(0, 1, 15, 13, 0)], prompt.Parts);
    }
}
