using AnchorScope.Engines;
using AnchorScope.Prompts;

namespace AnchorScope.Models;

/// <summary>
/// Conversations to prompts: renders the chat template, tokenises, puts image features in their places, labels positions.
/// </summary>
internal sealed class PromptBuilder(ModelFamily family, ChatTemplate? template)
{
    /// <summary>Renders messages to text.</summary>
    /// <exception cref="InputException">The checkpoint has no template. Such a model can only be run on token ids.</exception>
    public ChatTemplate Template => template ?? ChatTemplate.Load(family.Checkpoint.Folder, family.Tokenizer.SpecialTokens);

    /// <summary>Renders, tokenises and embeds a conversation.</summary>
    /// <param name="labels">Assigns ranges of characters in text parts to spans; null for none.</param>
    public Prompt Of(IReadOnlyList<ChatMessage> messages, PixelValues? pixels, float[]? features, IReadOnlyList<TextLabel>? labels = null)
    {
        var (rendered, addSpecial) = Rendered(messages);
        return Tokenized(rendered, addSpecial, pixels, features, [.. Kinds(messages), .. labels ?? []]);
    }

    /// <summary>A label over the whole of every text part that has a kind.</summary>
    private static IEnumerable<TextLabel> Kinds(IReadOnlyList<ChatMessage> messages) =>
        from message in messages.Index()
        from part in message.Item.Content.Index()
        let text = part.Item as TextPart
        where text?.Kind is not null && text.Text.Length > 0
        select new TextLabel(message.Index, part.Index, 0, text.Text.Length, text.Kind!.Value);

    /// <summary>
    /// Measures how long a conversation becomes and how much of its text the vocabulary lacks, without running the vision tower.
    /// </summary>
    /// <param name="pixels">The preprocessed pictures, or null.</param>
    public PromptSize Measure(IReadOnlyList<ChatMessage> messages, PixelValues? pixels)
    {
        var (rendered, addSpecial) = Rendered(messages);
        var tokenized = Tokens(rendered, addSpecial, pixels, []);
        return new PromptSize(family.Coordinates(tokenized.Ids, pixels).Max(c => c.Highest) + 1, tokenized.Text,
            tokenized.Unknown, rendered.Warnings);
    }

    private (RenderedPrompt Rendered, bool AddSpecial) Rendered(IReadOnlyList<ChatMessage> messages)
    {
        var parts = messages.Sum(message => message.Content.Count(part => part is ImagePart));
        if (family.ImageToken is null && parts > 0) throw family.NoPictures(parts);
        var rendered = Template.Render(messages, imagePlaceholder: family.Placeholder);
        // The reference's processors tokenise the rendered text like any other, with special tokens around it, unless the template has
        // written the first of them itself. A text model's own apply_chat_template takes those of the template alone.
        var begins = family.Tokenizer.SpecialTokens.TryGetValue("bos_token", out var bos)
            && rendered.Text.StartsWith(bos, StringComparison.Ordinal);
        return (rendered, family.ImageToken is not null && !begins);
    }

    /// <summary>A raw text without a template. All of it is the instruction. The tokenizer adds its special tokens.</summary>
    public Prompt Of(string text) =>
        Tokenized(new RenderedPrompt(text, [new RenderedPart(0, 0, 0, text.Length, 0)]), addSpecial: true, null, null,
            [new TextLabel(0, 0, 0, text.Length, SpanKind.Instruction)]);

    private Prompt Tokenized(RenderedPrompt rendered, bool addSpecial, PixelValues? pixels, float[]? features,
        IReadOnlyList<TextLabel> labels)
    {
        var (tokens, spans, text, unknown) = Tokens(rendered, addSpecial, pixels, labels);
        return Embed(tokens, pixels, features, SpanFinder.Positions(spans), rendered.Text) with
        {
            TextTokens = text,
            UnknownTokens = unknown,
            Warnings = unknown == 0 ? rendered.Warnings : [.. rendered.Warnings, family.Tokenizer.UnknownWarning(unknown, text)],
        };
    }

    /// <summary>
    /// Token ids with image tokens repeated once per feature of each picture; the span of each token; the number of text tokens; and how
    /// many of them are unknown.
    /// </summary>
    private (int[] Ids, List<SpanKind?> Spans, int Text, int Unknown) Tokens(
        RenderedPrompt rendered, bool addSpecial, PixelValues? pixels, IReadOnlyList<TextLabel> labels)
    {
        var kinds = SpanFinder.Characters(rendered, labels);
        IReadOnlyList<PictureShape> pictures = pixels?.Pictures ?? [];
        var tokens = new List<int>();
        var spans = new List<SpanKind?>();
        var (picture, unknown, text) = (0, 0, 0);
        foreach (var token in family.Tokenizer.Encode(rendered.Text, addSpecial))
        {
            if (token.Id != family.ImageToken) text++;
            if (token.Id == family.Tokenizer.UnknownId) unknown++;
            if (token.Id != family.ImageToken)
            {
                tokens.Add(token.Id);
                spans.Add(SpanFinder.OfToken(kinds, token.Start, token.End));
                continue;
            }
            foreach (var id in picture < pictures.Count ? family.Expansion(pictures[picture]) : [])
            {
                tokens.Add(id);
                spans.Add(id == family.ImageToken ? SpanKind.Image : null);
            }
            picture++;
        }
        if (picture != pictures.Count)
            throw new InputException($"the prompt has {Plural.Of(picture, "image placeholder")} ({family.Placeholder}) for "
                + $"{Plural.Of(pictures.Count, "picture")}");
        return ([.. tokens], spans, text, unknown);
    }

    /// <summary>A prompt from token ids in which image tokens are already repeated, as the reference's processors return them.</summary>
    public Prompt Of(int[] tokens, PixelValues? pixels, float[]? features)
    {
        var spans = tokens.Select(t => t == family.ImageToken ? SpanKind.Image : (SpanKind?)null).ToList();
        return Embed(tokens, pixels, features, SpanFinder.Positions(spans), "");
    }

    private Prompt Embed(int[] tokens, PixelValues? pixels, float[]? features, IReadOnlyDictionary<SpanKind, int[]> spans, string rendered)
    {
        if (tokens.Length == 0) throw new InputException("the prompt is empty");
        var width = family.Decoder.Shape.ModelSize;
        var rows = new float[tokens.Length * width];
        family.Decoder.Embed(tokens, rows.AsSpan());
        var (found, given) = (tokens.Count(t => t == family.ImageToken), (features?.Length ?? 0) / width);
        if (found != given) throw new InputException($"the prompt has {found} image tokens, the vision tower gave {given} features");
        for (int i = 0, next = 0; i < tokens.Length; i++)
        {
            if (tokens[i] == family.ImageToken) features.AsSpan(next++ * width, width).CopyTo(rows.AsSpan(i * width));
        }
        return new Prompt(tokens, family.Coordinates(tokens, pixels), rows, spans, rendered)
        {
            Places = pixels is not null && pixels.Pictures.All(p => p.Height > 0 && p.Width > 0)
                ? [.. pixels.Pictures.SelectMany((shape, picture) => family.Boxes(shape).Select(box => new ImagePlace(picture, box)))]
                : [],
        };
    }
}
