using AnchorScope.Prompts;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Prompts;

/// <summary>Where texts land in the prompt, and where templates and messages are read from.</summary>
public sealed class ChatTemplateTests
{
    private static readonly Dictionary<string, string> NoTokens = [];

    private static readonly string[] FixtureFolders = ["llava15", "qwen25vl", "qwen2vl", "internvl3", "smolvlm", "llava-onevision"];

    private static readonly ChatTemplate[] Templates =
        [.. FixtureFolders.Select(folder => ChatTemplate.Load(Fixtures.Path(folder), NoTokens)),
            ChatTemplate.Load(Fixtures.Organism, NoTokens)];

    public static class Conversations
    {
        // Texts that look like the template, like each other, or like nothing.
        public static Arbitrary<ChatMessage[]> Any()
        {
            string[] texts = ["", " ", "a", "aa", "USER: ", "<image>", "<image>\n", "ASSISTANT:", "<|im_start|>user\n", "{{ x }}", "🙂",
                "What?", " ASSISTANT: "];
            var part = Gen.OneOf(Gen.Constant((ContentPart)new ImagePart()),
                Gen.Elements(texts).Select(text => (ContentPart)new TextPart(text)));
            var message =
                from role in Gen.Elements("user", "assistant", "system")
                from parts in part.NonEmptyListOf()
                select new ChatMessage(role, [.. parts]);
            return message.ArrayOf().ToArbitrary();
        }
    }

    [Property(Arbitrary = [typeof(Conversations)], MaxTest = 100)]
    public void EveryText_IsFoundOnceAndWhole_HoweverOftenItOccurs(ChatMessage[] messages)
    {
        var expected = messages.SelectMany((message, m) => message.Content.Select((part, p) => (m, p, (part as TextPart)?.Text)))
            .Where(text => text.Text is not null).ToList();
        foreach (var template in Templates)
        {
            var prompt = template.Render(messages);
            Assert.Equal(expected, prompt.Parts.OrderBy(part => (part.Message, part.Part))
                .Select(part => (part.Message, part.Part, (string?)prompt.Text.Substring(part.Start, part.Length))));
            Assert.All(prompt.Parts.Zip(prompt.Parts.Skip(1)),
                pair => Assert.True(pair.First.Start + pair.First.Length <= pair.Second.Start));
        }
    }

    [Theory]
    [InlineData("{% for m in messages %}[{{ m.role + ' ' + m['content'] }}]{% endfor %}")]
    [InlineData("{% for m in messages %}[{{ m['role'] }} {{ m['content'] | trim }}]{% endfor %}")]
    public void ATemplateOfStrings_GetsStrings_AndTextsAreFound(string source)
    {
        var template = new ChatTemplate(source, "t", NoTokens);
        Assert.False(template.TakesParts);
        var prompt = template.Render([new("user", [new ImagePart(), new TextPart("what"), new TextPart(" is it?")]),
            new("user", [new TextPart("what")])], imagePlaceholder: "<IMG>");
        Assert.Equal("[user <IMG>\nwhat is it?][user what]", prompt.Text);
        Assert.Equal(["what", " is it?", "what"], prompt.Parts.Select(part => prompt.Text.Substring(part.Start, part.Length)));
    }

    [Fact]
    public void TemplatesOfTheFamilies_TakeParts() => Assert.All(Templates, template => Assert.True(template.TakesParts));

    [Fact]
    public void ATemplateThatTakesNeither_ShowsTheErrorOfParts()
    {
        var template = new ChatTemplate("{{ raise_exception('no ' + messages[0].role) }}", "t", NoTokens);
        Assert.True(template.TakesParts);
        Assert.Contains("no user", Assert.Throws<InputException>(() => template.Render([new("user", [new TextPart("a")])])).Message,
            StringComparison.Ordinal);
    }

    [Property(Arbitrary = [typeof(Conversations)], MaxTest = 100)]
    public void WhatIsNotFromAText_IsThatOfTheTemplateAlone(ChatMessage[] messages)
    {
        // With every text replaced by an empty one, the rest of the prompt stays as it was.
        ChatMessage[] empty = [.. messages.Select(message =>
            message with { Content = [.. message.Content.Select(part => part is TextPart ? new TextPart("") : part)] })];
        foreach (var template in Templates)
        {
            var prompt = template.Render(messages);
            var rest = prompt.Text;
            foreach (var part in prompt.Parts.Reverse()) rest = rest.Remove(part.Start, part.Length);
            Assert.Equal(template.Render(empty).Text, rest);
        }
    }

    [Fact]
    public void RepeatedTexts_AreToldApart() => Assert.Equal(
        [new(0, 0, 1, 1, 0), new(0, 1, 2, 1, 0), new(1, 0, 4, 1, 0)],
        Render("{% for m in messages %}a{% for c in m.content %}{{ c.text }}{% endfor %}{% endfor %}", ["a", "a"], ["a"]).Parts);

    [Fact]
    public void ATextThatLooksLikeAPlaceholder_IsOfThePart()
    {
        var prompt = Templates[0].Render([new("user", [new ImagePart(), new TextPart("<image>")])]);
        Assert.Equal("USER: <image>\n<image> ASSISTANT:", prompt.Text);
        Assert.Equal([new RenderedPart(0, 1, 14, 7, 0)], prompt.Parts);
    }

    [Theory]
    [InlineData("{{ messages[0].content[0].text | trim }}", "  ab c ", "0+4@2")]
    [InlineData("{{ messages[0].content[0].text.rstrip() + '!' }}", "  ab c ", "0+6@0")]
    [InlineData("[{{ messages[0].content[0].text | trim }}]", "   ", "1+0@3")]
    [InlineData("[{{ messages[0].content[0].text }}]", "", "1+0@0")]
    [InlineData("{{ 'x' ~ messages[0].content[0].text[2:4] ~ 'y' }}", "abcdef", "1+2@2")]
    [InlineData("{{ messages[0].content[0].text[:2] ~ messages[0].content[0].text[2:] }}", "abcdef", "0+6@0")]
    [InlineData("{{ messages[0].content[0].text[1] }}", "🙂éx", "0+1@2")]
    [InlineData("{{ messages[0].content[0].text | upper }}", "abc", "0+3@0")]
    [InlineData("{{ messages[0].content[0].text.split('-') | join('+') }}", "ab-c-", "0+2@0 3+1@3 5+0@5")]
    [InlineData("{{ messages[0].content[0].text.replace('<image>', '') }}", "a<image>b", "0+1@0 1+1@8")]
    [InlineData("{{ messages[0].content[0].text.replace('b', messages[0].role) }}", "abc", "0+1@0 5+1@2")]
    [InlineData("{{ [messages[0].content[0].text, 'z'] | join(' ') }}", "abc", "0+3@0")]
    [InlineData("{% set x %}<{{ messages[0].content[0].text }}>{% endset %}{{ x }}{{ x | trim }}", "abc", "1+3@0 6+3@0")]
    [InlineData("{% macro f(t) %}<{{ t }}>{% endmacro %}{{ f(messages[0].content[0].text) }}", "abc", "1+3@0")]
    [InlineData("{% set ns = namespace(t='') %}{% for i in [1, 2] %}{% set ns.t = ns.t + messages[0].content[0].text %}{% endfor "
        + "%}{{ ns.t }}", "abc", "0+3@0 3+3@0")]
    [InlineData("{{ messages[0].content[0].text | default('z') | string | safe }}", "abc", "0+3@0")]
    [InlineData("{{ messages[0].content | map(attribute='text') | first }}", "abc", "0+3@0")]
    [InlineData("{{ messages[0].content[0].text | tojson }}", "abc", "")]
    [InlineData("{{ 'abc' if messages[0].content[0].text == 'abc' }}", "abc", "")]
    public void Operations_KeepTheSourceOrDropIt(string template, string text, string expected) => Assert.Equal(
        expected, string.Join(' ', Render(template, [text]).Parts.Select(part => $"{part.Start}+{part.Length}@{part.SourceStart}")));

    [Fact]
    public void SpecialTokens_AreVariables() => Assert.Equal(
        "<s>hi", new ChatTemplate("{{ bos_token }}hi", "t", new Dictionary<string, string> { ["bos_token"] = "<s>" }).Render([]).Text);

    private static RenderedPrompt Render(string template, params string[][] texts) =>
        new ChatTemplate(template, "t", NoTokens).Render(
            [.. texts.Select(parts => new ChatMessage("user", [.. parts.Select(text => new TextPart(text))]))]);
}
