using System.Text;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Messages of a file, and what of them the chat template gets.</summary>
public sealed class ChatMessageTests
{
    private const string Parts =
        "{% for m in messages %}{{ m.role }}:{% for c in m.content | selectattr('type', 'equalto', 'text') %} {{ c.text }}{% endfor "
            + "%};{% endfor %}";
    private const string Strings = "{% for m in messages %}{{ m.role + ': ' + m['content'] }};{% endfor %}";

    [Fact]
    public void Contents_AreStringsOrParts()
    {
        var messages = Read("""
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hi"}]},
             {"role": "assistant", "content": null, "tool_calls": []}, {"role": "tool", "name": "clock"}]
            """);
        Assert.Equal(["system", "user", "assistant", "tool"], messages.Select(message => message.Role));
        Assert.Equal([ContentForm.Text, ContentForm.Parts, ContentForm.None, ContentForm.None], messages.Select(message => message.Form));
        Assert.Equal(["Be brief.", "image", "Hi"],
            messages.SelectMany(message => message.Content).Select(part => part is TextPart text ? text.Text : "image"));
    }

    [Theory]
    [InlineData("{}", "the document: expected an array")]
    [InlineData("[{}]", "[0].content: expected a value")]
    [InlineData("[7]", "[0]: expected an object")]
    [InlineData("""[{"role": "user"}]""", "[0].content: expected a value")]
    [InlineData("""[{"content": "x"}]""", "[0].role: expected a value")]
    [InlineData("""[{"role": 1, "content": "x"}]""", "[0].role: expected a string")]
    [InlineData("""[{"role": "user", "content": 5}]""", "[0].content: expected a string or an array of parts, found 5")]
    [InlineData("""[{"role": "user", "content": {"type": "text"}}]""", "[0].content: expected a string or an array of parts")]
    [InlineData("""[{"role": "user", "content": [{"type": "video"}]}]""",
        "[0].content[0].type: expected one of the supported types image, image_url, text, found \"video\"")]
    [InlineData("""[{"role": "user", "content": ["x"]}]""", "[0].content[0]: expected an object")]
    [InlineData("""[{"role": "user", "content": [{"type": "text"}]}]""", "[0].content[0].text: expected a value")]
    [InlineData("""[{"role": "user", "content": "x", "n": {"a": [1, 12345678901234567890]}}]""",
        "[0].n.a[1]: expected a whole number of 64 bits, found 12345678901234567890")]
    [InlineData("""[{"role": "user", "content": "x", "n": "\ud800"}]""", "line 1: not valid JSON: a string holds half of a surrogate pair")]
    [InlineData("""[{"role": "user", "content": "x", "role": "y"}]""", "not valid JSON: the key 'role' stands twice in one object")]
    public void WrongMessages_NameTheField(string json, string expected)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("m.json", json);
        var message = Assert.Throws<InputException>(() => ChatMessage.LoadAll(path)).Message;
        Assert.StartsWith($"{path}: {expected}", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    // Expected texts were rendered by transformers 5.12.1.
    [InlineData("""[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "  Hello there  "}]""",
        "{%- for m in messages %}{{- '<|' + m['role'] + '|>' }}{{- m['content'] | tojson }}{%- endfor %}",
            "<|system|>\"Be brief.\"<|user|>\"  Hello there  \"")]
    [InlineData(
        """[{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hello there"}]}]""",
        "{{ messages[0]['content'] }}\n{% for c in messages[1]['content'] %}{% if c['type'] == 'image' %}<image>\n{% else %}{{ c['text'] "
            + "}}{% endif %}{% endfor %}",
        "Be brief.\n<image>\nHello there")]
    [InlineData(
        """[{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "clock", "arguments": {"zone": "UTC", "n": 1, "x": 2.0, "ok": true, "no": null}}}]}]""",
        "{% for t in messages[0].tool_calls %}{{ t.function.name }} {{ t.function.arguments | tojson }}{% endfor %}",
        "clock {\"zone\": \"UTC\", \"n\": 1, \"x\": 2.0, \"ok\": true, \"no\": null}")]
    [InlineData("""[{"tool_call_id": "7", "role": "tool", "name": "clock", "content": "12:00"}]""",
        "{{ messages[0].name }} {{ messages[0] | tojson }}",
            "clock {\"tool_call_id\": \"7\", \"role\": \"tool\", \"name\": \"clock\", \"content\": \"12:00\"}")]
    [InlineData("""[{"role": "assistant", "tool_calls": [1]}, {"role": "assistant", "content": null, "tool_calls": [1]}]""",
        "{% for m in messages %}{{ m.content is defined }} {{ m.content is none }};{% endfor %}", "False False;True True;")]
    [InlineData("""[{"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "Hi", "cache": 1}]}]""",
        "{% for c in messages[0].content %}{{ c | tojson }}{% endfor %}",
            "{\"type\": \"image\", \"image\": \"a.png\"}{\"type\": \"text\", \"text\": \"Hi\", \"cache\": 1}")]
    [InlineData(
        """[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png", "detail": "low"}}, {"type": "text", "text": "Hi"}]}]""",
        "{% for c in messages[0].content %}{{ c | tojson }}{% endfor %}",
            "{\"type\": \"image\", \"url\": \"a.png\"}{\"type\": \"text\", \"text\": \"Hi\"}")]
    public void TheTemplateGetsWhatTheFileHolds(string messages, string template, string expected)
    {
        var rendered = Template(template).Render(Read(messages));
        Assert.Equal(expected, rendered.Text);
        Assert.Empty(rendered.Warnings);
    }

    [Fact]
    public void AStringThatTheTemplateDrops_IsGivenAsAPart_AndSaid()
    {
        var rendered = Template(Parts).Render(
            Read("""[{"role": "user", "content": "Hello"}, {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}]"""));
        Assert.Equal("user: Hello;assistant: Hi;", rendered.Text);
        Assert.Equal(["message 0: the chat template drops a content that is a string, so its text is given as a list of one part; "
            + "the reference library would leave it out"], rendered.Warnings);
        Assert.Equal([(0, 0), (1, 0)], rendered.Parts.Select(part => (part.Message, part.Part)));
    }

    [Fact]
    public void PartsForATemplateOfStrings_AreJoined_AndSaid()
    {
        var rendered = Template(Strings).Render(
            Read("""[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hello"}]}]"""));
        Assert.Equal("user: <image>\nHello;", rendered.Text);
        Assert.Equal(["message 0: its parts reach the chat template as one string, because the template takes no list"], rendered.Warnings);
    }

    [Fact]
    public void ATextThatIsLostInEitherForm_IsSaid()
    {
        var template = Template("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}");
        var rendered = template.Render(Read("""[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]"""));
        Assert.Equal(("Hello", "message 0: the chat template drops its text"), (rendered.Text, Assert.Single(rendered.Warnings)));
        Assert.Empty(template.Render(Read("""[{"role": "system", "content": " "}, {"role": "user", "content": "Hello"}]""")).Warnings);
    }

    [Fact]
    public void AMessageMadeInCode_TakesTheFormOfTheTemplate()
    {
        ChatMessage[] messages = [new("system", [new TextPart("Be brief.")]), new("user", [new ImagePart(), new TextPart("Hello")])];
        Assert.Equal("system: Be brief.;user: Hello;", Template(Parts).Render(messages).Text);
        Assert.Equal("system: Be brief.;user: <image>\nHello;", Template(Strings).Render(messages).Text);
        // A template that wants one form for the system message and the other one for the user's.
        Assert.Equal("Be brief.Hello", Template("{{ messages[0].content + '' }}{{ messages[1].content[1].text }}").Render(messages).Text);
        Assert.Equal("Be brief.Hello", Template("{{ messages[0].content }}{{ messages[1].content[1].text }}").Render(messages).Text);
        Assert.Empty(Template(Parts).Render(messages).Warnings);
    }

    private static ChatTemplate Template(string source) => new(source, "t", new Dictionary<string, string>());

    private static IReadOnlyList<ChatMessage> Read(string json) => ChatMessage.Parse(Encoding.UTF8.GetBytes(json), "m.json");
}
