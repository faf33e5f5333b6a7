using AnchorScope.Prompts.Jinja;

namespace AnchorScope.Prompts;

/// <summary>
/// The origin of a range of rendered text: <c>Text[Start..Start+Length]</c> is <c>[SourceStart..SourceStart+Length]</c> of text part
/// <paramref name="Part"/> of message <paramref name="Message"/>. All are in UTF-16 units; both indices count from 0.
/// </summary>
/// <remarks>Length 0 means that the part is empty or entirely dropped, and gives the position where it would be.</remarks>
internal sealed record RenderedPart(int Message, int Part, int Start, int Length, int SourceStart);

/// <summary>A conversation rendered as one string.</summary>
/// <param name="Text">The input of the tokenizer.</param>
/// <param name="Parts">The position of each text part, in the order of the text, recorded during evaluation, so that equal texts are
/// distinguished. A part that the template omits is missing. One that it cuts, repeats or changes has several entries, or none for what was
/// changed.</param>
internal sealed record RenderedPrompt(string Text, IReadOnlyList<RenderedPart> Parts)
{
    /// <summary>Deviations from the messages, one line each: content passed in another form, or text that the template drops.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}

/// <summary>A checkpoint's chat template, in the subset of the Jinja language that such templates use.</summary>
internal sealed class ChatTemplate
{
    private readonly IReadOnlyList<Statement> statements;
    private readonly IReadOnlyDictionary<string, string> specialTokens;
    private readonly Lazy<bool> takesParts;
    private readonly TimeProvider clock;

    /// <param name="source">The template.</param>
    /// <param name="file">Its origin, for error messages.</param>
    /// <param name="specialTokens">Variables for the template, for instance "bos_token".</param>
    /// <param name="clock">The clock of a template that writes the date; the system's if null.</param>
    /// <exception cref="InputException">A construct outside the supported subset; the message has the line and lists what is
    /// supported.</exception>
    public ChatTemplate(string source, string file, IReadOnlyDictionary<string, string> specialTokens, TimeProvider? clock = null)
    {
        this.clock = clock ?? TimeProvider.System;
        Source = source;
        this.specialTokens = specialTokens;
        statements = TemplateParser.Parse(file, source);
        // If neither form renders, the list is used: current templates expect it, and its error is the more useful one.
        takesParts = new(() => Renders(ContentForm.Parts, "") || !Renders(ContentForm.Text, "<image>"));
    }

    /// <summary>The template as in the file.</summary>
    public string Source { get; }

    /// <summary>
    /// The checkpoint's template. If several files contain one, the first in this order is used: chat_template in processor_config.json, in
    /// chat_template.json, chat_template.jinja, chat_templates/default.jinja, chat_template in tokenizer_config.json. Of several named
    /// templates, the one called "default" is used.
    /// </summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="specialTokens">Variables for the template.</param>
    /// <param name="textOnly">Whether the model has no pictures. The order is then that of the reference's tokenizers: the two .jinja
    /// files, tokenizer_config.json, then the other two.</param>
    /// <exception cref="InputException">There is no template, or a file is malformed.</exception>
    public static ChatTemplate Load(string folder, IReadOnlyDictionary<string, string> specialTokens, bool textOnly = false) =>
        Find(folder, specialTokens, textOnly) ?? throw new InputException($"{folder}: no chat template: looked for {TemplateFiles.Looked}");

    /// <summary>Like <see cref="Load"/>, but null if there is no template.</summary>
    public static ChatTemplate? Find(string folder, IReadOnlyDictionary<string, string> specialTokens, bool textOnly = false) =>
        TemplateFiles.Find(folder, textOnly) is var (source, place) ? new(source, place, specialTokens) : null;

    /// <summary>
    /// Whether the template reads a message's content as a list of parts. Templates of text-only language models, which InternVL's original
    /// layout includes, read it as one string. In that case a picture is its placeholder and a line end, as in that code.
    /// </summary>
    public bool TakesParts => takesParts.Value;

    /// <summary>
    /// Renders the conversation to one string. The content is passed to the template in the form in which it is given, a string or a list
    /// of parts. If that form loses the text and the other does not, the other is used, with a warning. Text that is lost in both forms is
    /// a warning.
    /// </summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Whether the text ends with the beginning of an answer.</param>
    /// <param name="imagePlaceholder">The text of a picture in a template that does not accept parts.</param>
    /// <exception cref="InputException">The template rejects the messages, or cannot be evaluated.</exception>
    public RenderedPrompt Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt = true, string imagePlaceholder = "<image>")
    {
        var forms = messages.Select(FormOf).ToArray();
        var warnings = new List<string>();
        for (var m = 0; m < forms.Length; m++)
        {
            if (messages[m].Form != ContentForm.Parts || TakesParts || messages[m].Content.Count == 0) continue;
            forms[m] = ContentForm.Text;
            warnings.Add($"message {m}: its parts reach the chat template as one string, because the template takes no list");
        }
        RenderedPrompt? first = TryWhole(forms);
        if ((first is null || Unplaced(first)) && AsTexts() is { } texts && TryWhole(texts) is { } whole && !Unplaced(whole))
            (forms, first) = (texts, whole);
        var rendered = first ?? Whole(forms);
        for (var m = 0; m < forms.Length; m++)
        {
            if (messages[m].Form == ContentForm.None || !IsLost(m, forms, rendered)) continue;
            ContentForm[] other = [.. forms];
            other[m] = ContentForm.Parts;
            if (forms[m] == ContentForm.Text && TryWhole(other) is { } kept && !IsLost(m, other, kept))
            {
                (forms, rendered) = (other, kept);
                warnings.Add($"message {m}: the chat template drops a content that is a string, " +
                    "so its text is given as a list of one part; " +
                    "the reference library would leave it out");
            }
            else
                warnings.Add($"message {m}: the chat template drops its text");
        }
        return rendered with { Warnings = warnings };

        // If no form was specified: some templates take the text of a system message as a string and other contents as lists.
        ContentForm[]? AsTexts() => messages.Any(message => message.Form == ContentForm.Either)
            ? [.. forms.Select((form, m) => messages[m].Form == ContentForm.Either && messages[m].Content is [TextPart] ? ContentForm.Text
                : form)]
            : null;

        bool Unplaced(RenderedPrompt found) => messages.Where((message, m) => message.Form == ContentForm.Either
            && message.Content is [TextPart { Text.Length: > 0 }] && !found.Parts.Any(part => part.Message == m && part.Length > 0)).Any();

        RenderedPrompt Whole(ContentForm[] with, ChatMessage? instead = null, int at = -1) => Evaluate(
            messages.Select((message, m) => (object?)TemplateMessage.Of(m == at ? instead! : message, m, with[m], imagePlaceholder)),
                addGenerationPrompt);

        RenderedPrompt? TryWhole(ContentForm[] with, ChatMessage? instead = null, int at = -1)
        {
            try
            {
                return Whole(with, instead, at);
            }
            catch (InputException)
            {
                return null;
            }
        }

        // A filter such as tojson loses the origin of text. Text is lost if replacing it by another text changes nothing.
        bool IsLost(int m, ContentForm[] with, RenderedPrompt rendering)
        {
            if (rendering.Parts.Any(part => part.Message == m && part.Length > 0)) return false;
            if (!messages[m].Content.OfType<TextPart>().Any(part => !string.IsNullOrWhiteSpace(part.Text))) return false;
            return new Func<string, string>[] { text => text + "q", text => "q" + text }.All(change =>
                TryWhole(with, TemplateMessage.WithTexts(messages[m], change), m) is { } changed && changed.Text == rendering.Text);
        }
    }

    /// <summary>The form in which a message is passed first.</summary>
    private ContentForm FormOf(ChatMessage message) =>
        message.Form != ContentForm.Either ? message.Form : TakesParts ? ContentForm.Parts : ContentForm.Text;

    private RenderedPrompt Evaluate(IEnumerable<object?> messages, bool addGenerationPrompt)
    {
        var variables = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var (name, token) in specialTokens) variables[name] = new SourcedText(token);
        variables["messages"] = messages.ToList();
        variables["add_generation_prompt"] = addGenerationPrompt;
        variables["tools"] = null;
        variables["documents"] = null;
        var text = Interpreter.Run(statements, variables, clock);
        return new(text.Text, [.. text.Spans.Select(span =>
            new RenderedPart(span.Message, span.Part, span.Start, span.Length, span.SourceStart))]);
    }

    /// <summary>Tests whether a text is rendered unchanged in this form.</summary>
    private bool Renders(ContentForm form, string imagePlaceholder)
    {
        try
        {
            var message = new ChatMessage("user", [new TextPart("x")]);
            return Evaluate([TemplateMessage.Of(message, 0, form, imagePlaceholder)], addGenerationPrompt: true).Parts.Any(part =>
                part.Length > 0);
        }
        catch (InputException)
        {
            return false;
        }
    }
}
