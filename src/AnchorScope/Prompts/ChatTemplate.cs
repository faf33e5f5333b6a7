using System.Text;
using AnchorScope.Prompts.Jinja;

namespace AnchorScope.Prompts;

/// <summary>
/// <c>Text[Start..Start+Length]</c> of the rendered prompt is <c>[SourceStart..SourceStart+Length]</c> of text part
/// <paramref name="Part"/> of message <paramref name="Message"/>; all in UTF-16 units, both indices from 0.
/// </summary>
/// <remarks>Length 0 says that the part is empty, or that nothing of it is left, and where it would stand.</remarks>
public sealed record RenderedPart(int Message, int Part, int Start, int Length, int SourceStart);

/// <summary>A conversation as one string.</summary>
/// <param name="Text">What the tokenizer gets.</param>
/// <param name="Parts">
/// Where the text parts landed, in the order of the text. Recorded while the template was evaluated, so that equal texts are told
/// apart. A part that the template leaves out is missing; one that it cuts, repeats or changes has several entries, or lacks what changed.
/// </param>
public sealed record RenderedPrompt(string Text, IReadOnlyList<RenderedPart> Parts);

/// <summary>A checkpoint's chat template, in the subset of the Jinja language that such templates use.</summary>
public sealed class ChatTemplate
{
    private readonly IReadOnlyList<Statement> statements;
    private readonly IReadOnlyDictionary<string, string> specialTokens;
    private readonly Lazy<bool> takesParts;

    /// <param name="source">The template.</param>
    /// <param name="file">Where it is from, for error messages.</param>
    /// <param name="specialTokens">Variables for the template, for instance "bos_token".</param>
    /// <exception cref="InputException">A construct outside the supported subset; names the line and what is supported.</exception>
    public ChatTemplate(string source, string file, IReadOnlyDictionary<string, string> specialTokens)
    {
        Source = source;
        this.specialTokens = specialTokens;
        statements = TemplateParser.Parse(file, source);
        // Where neither form comes through, the list is what today's templates take, and its error the one to show.
        takesParts = new(() => Renders(null) || !Renders("<image>"));
    }

    /// <summary>The template as the file holds it.</summary>
    public string Source { get; }

    /// <summary>
    /// Looks for chat_template.jinja, then <c>chat_template</c> in chat_template.json, then in tokenizer_config.json. Of several
    /// named templates it takes the one called "default".
    /// </summary>
    /// <exception cref="InputException">There is none, or a file is malformed.</exception>
    public static ChatTemplate Load(string folder, IReadOnlyDictionary<string, string> specialTokens) =>
        Find(folder, specialTokens) ?? throw new InputException($"{folder}: no chat template: looked for chat_template.jinja and for the field " +
            "chat_template in chat_template.json and tokenizer_config.json");

    /// <summary>As <see cref="Load"/>, null where there is none.</summary>
    public static ChatTemplate? Find(string folder, IReadOnlyDictionary<string, string> specialTokens)
    {
        var plain = Path.Combine(folder, "chat_template.jinja");
        if (File.Exists(plain)) return new(ReadText(plain), plain, specialTokens);
        foreach (var name in (string[])["chat_template.json", "tokenizer_config.json"])
        {
            var file = Path.Combine(folder, name);
            if (File.Exists(file) && JsonField.Read(file).Find("chat_template") is { } field)
                return new(field.IsText ? field.Text() : Default(field), $"{file}: chat_template", specialTokens);
        }
        return null;
    }

    /// <summary>
    /// Whether the template reads a message's content as a list of parts. Templates of text-only language models, which InternVL's original
    /// layout carries, read it as one string: there a picture is its placeholder and a line end, as that code writes it.
    /// </summary>
    public bool TakesParts => takesParts.Value;

    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Ends with what stands before an answer.</param>
    /// <param name="imagePlaceholder">What a picture is in a template that does not take parts.</param>
    /// <exception cref="InputException">The template refuses the messages, or cannot be evaluated.</exception>
    public RenderedPrompt Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt = true, string imagePlaceholder = "<image>") =>
        Render([.. messages.Select((message, m) => (object?)ToValue(message, m, TakesParts ? null : imagePlaceholder))], addGenerationPrompt);

    private RenderedPrompt Render(List<object?> messages, bool addGenerationPrompt)
    {
        var variables = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var (name, token) in specialTokens) variables[name] = new SourcedText(token);
        variables["messages"] = messages;
        variables["add_generation_prompt"] = addGenerationPrompt;
        variables["tools"] = null;
        variables["documents"] = null;
        var text = Interpreter.Run(statements, variables);
        return new(text.Text, [.. text.Spans.Select(span =>
            new RenderedPart(span.Message, span.Part, span.Start, span.Length, span.SourceStart))]);
    }

    /// <summary>Tried out: a text comes out as it went in, or it does not.</summary>
    private bool Renders(string? imagePlaceholder)
    {
        try
        {
            return Render([ToValue(new ChatMessage("user", [new TextPart("x")]), 0, imagePlaceholder)], addGenerationPrompt: true).Parts.Any(part => part.Length > 0);
        }
        catch (InputException)
        {
            return false;
        }
    }

    /// <param name="imagePlaceholder">What a picture is in one string; null for a list of parts.</param>
    private static Mapping ToValue(ChatMessage message, int index, string? imagePlaceholder) => new()
    {
        ["role"] = new SourcedText(message.Role),
        ["content"] = imagePlaceholder is null
            ? message.Content.Select((part, p) => (object?)ToValue(part, index, p)).ToList()
            : SourcedText.Concat(message.Content.Select((part, p) => part is TextPart text ? SourcedText.OfPart(text.Text, index, p) : new SourcedText(imagePlaceholder + "\n"))),
    };

    private static Mapping ToValue(ContentPart part, int message, int index) => part switch
    {
        TextPart text => new() { ["type"] = new SourcedText("text"), ["text"] = SourcedText.OfPart(text.Text, message, index) },
        ImagePart => new() { ["type"] = new SourcedText("image") },
        _ => throw new ArgumentException($"message {message}, part {index}: neither text nor picture", nameof(part)),
    };

    private static string ReadText(string file)
    {
        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(JsonField.ReadBytes(file));
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{file}: expected UTF-8 text: {e.Message}", e);
        }
    }

    private static string Default(JsonField list)
    {
        var templates = list.Items().Select(item => (Name: item.Get("name").Text(), Template: item.Get("template"))).ToList();
        var index = templates.Count == 1 ? 0 : templates.FindIndex(item => item.Name == "default");
        return index >= 0 ? templates[index].Template.Text() : throw list.Expected("one template, or one named \"default\"");
    }
}
