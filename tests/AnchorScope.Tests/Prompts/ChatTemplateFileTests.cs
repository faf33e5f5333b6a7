using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Which of a checkpoint's files holds its chat template; the order is that of transformers 5.12.1.</summary>
public sealed class ChatTemplateFileTests : IDisposable
{
    private static readonly Dictionary<string, string> NoTokens = [];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void NoTemplate_NamesAllPlaces()
    {
        var message = Assert.Throws<InputException>(() => ChatTemplate.Load(_folder.Name, NoTokens)).Message;
        foreach (var name in new[] { "chat_template.jinja", "chat_templates/default.jinja", "chat_template.json", "processor_config.json",
            "tokenizer_config.json" })
            Assert.Contains(name, message, StringComparison.Ordinal);
        Assert.Null(ChatTemplate.Find(_folder.Name, NoTokens));
    }

    [Fact]
    public void OfAModelWithPictures_TheProcessorsFilesComeFirst()
    {
        _folder.Write("tokenizer_config.json", """{"chat_template": "config"}""");
        Assert.Equal("config", ChatTemplate.Load(_folder.Name, NoTokens).Source);
        Directory.CreateDirectory(Path.Combine(_folder.Name, "chat_templates"));
        _folder.Write(Path.Combine("chat_templates", "default.jinja"), "folder");
        Assert.Equal("folder", ChatTemplate.Load(_folder.Name, NoTokens).Source);
        _folder.Write("chat_template.jinja", "jinja");
        Assert.Equal("jinja", ChatTemplate.Load(_folder.Name, NoTokens).Source);
        _folder.Write("chat_template.json", """{"chat_template": "json"}""");
        Assert.Equal("json", ChatTemplate.Load(_folder.Name, NoTokens).Source);
        _folder.Write("processor_config.json", """{"chat_template": null}""");
        Assert.Equal("json", ChatTemplate.Load(_folder.Name, NoTokens).Source);
        _folder.Write("processor_config.json", """{"chat_template": "processor"}""");
        Assert.Equal("processor", ChatTemplate.Load(_folder.Name, NoTokens).Source);
    }

    [Fact]
    public void OfATextModel_TheTokenizersFilesComeFirst()
    {
        _folder.Write("chat_template.json", """{"chat_template": "json"}""");
        Assert.Equal("json", ChatTemplate.Load(_folder.Name, NoTokens, textOnly: true).Source);
        _folder.Write("tokenizer_config.json", """{"chat_template": "config"}""");
        Assert.Equal("config", ChatTemplate.Load(_folder.Name, NoTokens, textOnly: true).Source);
        _folder.Write("chat_template.jinja", "jinja");
        Assert.Equal("jinja", ChatTemplate.Load(_folder.Name, NoTokens, textOnly: true).Source);
    }

    [Theory]
    [InlineData("""{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}""")]
    [InlineData("""{"chat_template": {"tool_use": "t", "default": "d"}}""")]
    [InlineData("""{"chat_template": {"only": "d"}}""")]
    public void OfNamedTemplates_TheDefaultIsTaken(string config)
    {
        _folder.Write("tokenizer_config.json", config);
        Assert.Equal("d", ChatTemplate.Load(_folder.Name, NoTokens).Source);
    }

    [Theory]
    [InlineData("""{"chat_template": [{"name": "a", "template": "t"}, {"name": "b", "template": "d"}]}""",
        "chat_template: expected one template, or one named \"default\"")]
    [InlineData("""{"chat_template": 3}""", "chat_template: expected an array")]
    [InlineData("""{"chat_template": {"default": 3}}""", "chat_template.default: expected a string")]
    [InlineData("""{"chat_template": [{"name": "a"}]}""", "chat_template[0].template: expected a value")]
    public void WrongTemplates_NameTheField(string config, string expected)
    {
        var path = _folder.Write("tokenizer_config.json", config);
        Assert.StartsWith($"{path}: {expected}", Assert.Throws<InputException>(() => ChatTemplate.Load(_folder.Name, NoTokens)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void AFileThatIsNoUtf8_IsRefused()
    {
        File.WriteAllBytes(Path.Combine(_folder.Name, "chat_template.jinja"), [0x61, 0xFF]);
        Assert.Contains("chat_template.jinja: expected UTF-8 text",
            Assert.Throws<InputException>(() => ChatTemplate.Load(_folder.Name, NoTokens)).Message, StringComparison.Ordinal);
    }
}
