using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>A checkpoint opened: tokenizer, chat template, preprocessing, vision tower and decoder. One subclass per family.</summary>
public abstract class VisionLanguageModel : IDisposable
{
    private readonly ChatTemplate? _template;
    private CpuEngine? _engine;

    /// <param name="imageToken">Id of the placeholder, or null when only its text is known.</param>
    /// <param name="imageTokenText">Its text, for checkpoints whose configuration has no id.</param>
    private protected VisionLanguageModel(Checkpoint checkpoint, Decoder decoder, int? imageToken, string imageTokenText = "<image>")
        : this(checkpoint, decoder, textOnly: false) =>
        ImageToken = imageToken ?? Tokenizer.IdOf(imageTokenText) ?? throw InputException.At(checkpoint.Folder, "tokenizer", $"the token {imageTokenText}", "none of this name");

    /// <summary>A family that reads text only.</summary>
    private protected VisionLanguageModel(Checkpoint checkpoint, Decoder decoder) : this(checkpoint, decoder, textOnly: true)
    {
    }

    private VisionLanguageModel(Checkpoint checkpoint, Decoder decoder, bool textOnly)
    {
        (Checkpoint, Decoder) = (checkpoint, decoder);
        Tokenizer = Tokenizer.Load(checkpoint.Folder);
        _template = ChatTemplate.Find(checkpoint.Folder, Tokenizer.SpecialTokens, textOnly);
        var generation = Path.Combine(checkpoint.Folder, "generation_config.json");
        var config = checkpoint.Config;
        // Without the file the reference library takes what config.json says of generation, at its root or of its language model.
        var section = File.Exists(generation) ? ConfigSection.Load(generation)
            : (config.SectionOrNull("text_config") ?? config.SectionOrNull("llm_config")) is { } text ? config.Or(text) : config;
        MaxNewTokens = section.Has("max_new_tokens") ? section.PositiveInt("max_new_tokens") : null;
        MaxLength = section.Has("max_length") ? section.PositiveInt("max_length") : null;
        StopTokens = Stop(section);
        Rules = new GenerationRules(section, StopTokens, decoder.VocabularySize);
    }

    private static HashSet<int> Stop(ConfigSection section) => !section.Has("eos_token_id") ? []
        : section.Json.GetProperty("eos_token_id").ValueKind == JsonValueKind.Array ? section.Ints("eos_token_id").ToHashSet()
        : [section.Int("eos_token_id")];

    /// <summary>Families that <see cref="Open"/> knows, by model_type.</summary>
    public static IReadOnlyList<string> Families { get; } = ["llava", "qwen2_vl", "qwen2_5_vl", "internvl", "internvl_chat", "llava_onevision", "smolvlm", "idefics3", "llama"];

    /// <summary>The files.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The language model.</summary>
    internal Decoder Decoder { get; }

    /// <summary>What runs the model on the processor.</summary>
    public CpuEngine Engine => _engine ??= new CpuEngine(this);

    /// <summary>Opens a session: memory and threads, for one user at a time. The caller disposes of it, before the model.</summary>
    public ISession OpenSession(SessionOptions? options = null) => Engine.Open(options);

    /// <summary>Text to token ids.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Messages to text.</summary>
    /// <exception cref="InputException">The checkpoint has none: such a model can be run on token ids only.</exception>
    internal ChatTemplate Template => _template ?? ChatTemplate.Load(Checkpoint.Folder, Tokenizer.SpecialTokens);

    /// <summary>Whether the checkpoint has a chat template.</summary>
    internal bool HasTemplate => _template is not null;

    /// <summary>Id of the placeholder that image features replace; null in a family that reads text only.</summary>
    public int? ImageToken { get; }

    /// <summary>Tokens that end a generated text, from generation_config.json or, without that file, from config.json.</summary>
    public IReadOnlySet<int> StopTokens { get; }

    /// <summary>What the same file says of which token may follow.</summary>
    public GenerationRules Rules { get; }

    /// <summary>What was found odd in the files and does no harm, one line each: the command line prints them.</summary>
    public IReadOnlyList<string> Warnings => Checkpoint.Weights.Warnings;

    /// <summary>max_new_tokens of the same file, where it is there.</summary>
    public int? MaxNewTokens { get; }

    /// <summary>max_length of the same file: positions of prompt and answer together. Of no effect beside max_new_tokens.</summary>
    public int? MaxLength { get; }

    /// <summary>Name of the family, as in docs.</summary>
    public abstract string Family { get; }

    /// <summary>One line on the vision tower.</summary>
    public abstract string VisionSummary { get; }

    /// <summary>Arrays about pictures that <see cref="InputFile"/> takes for this family, under the names of the reference's
    /// processors.</summary>
    protected internal virtual IReadOnlyList<string> PictureInputs => ["pixel_values", "mm_token_type_ids"];

    /// <summary>Number of image tokens of one picture: rows that <see cref="Features"/> gives for it.</summary>
    public abstract int ImageTokens(PictureShape picture);

    /// <summary>What stands in the prompt for one placeholder: image tokens, and in some families tokens around and between them.</summary>
    protected virtual IReadOnlyList<int> Expansion(PictureShape picture) => [.. Enumerable.Repeat(ImageToken!.Value, ImageTokens(picture))];

    /// <summary>What each image token of a picture covers of it, in the order of the tokens; null where it stands for no place.</summary>
    protected abstract IEnumerable<PixelBox?> Boxes(PictureShape picture);

    /// <summary>Rotary coordinates of a prompt's positions.</summary>
    protected internal virtual Coordinate[] Coordinates(IReadOnlyList<int> tokens, PixelValues? pixels) => [.. Enumerable.Range(0, tokens.Count).Select(Coordinate.At)];

    /// <summary>Pictures to pixel values, as the reference's processor does it.</summary>
    public abstract PixelValues Preprocess(IReadOnlyList<Picture> pictures);

    /// <summary>Checks pixel values that came from outside.</summary>
    internal abstract PixelValues Accept(PixelInputs inputs);

    /// <summary>Image features [image tokens of all pictures, d_model].</summary>
    internal abstract Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null);

    /// <summary>Adds the derivatives by the weights of vision tower and projector, from those by <see cref="Features"/> [image token, d_model].</summary>
    internal abstract void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients);

    /// <summary>Opens the checkpoint in <paramref name="folder"/>; an unknown family is an error that lists the known ones.</summary>
    public static VisionLanguageModel Open(string folder)
    {
        var checkpoint = Checkpoint.Open(folder);
        try
        {
            return Of(checkpoint);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>The model that the checkpoint's model_type names; it owns the checkpoint.</summary>
    internal static VisionLanguageModel Of(Checkpoint checkpoint)
    {
        var type = checkpoint.Config.Text("model_type");
        return type switch
        {
            "llava" => new Llava(checkpoint),
            "qwen2_vl" or "qwen2_5_vl" => new QwenVl(checkpoint),
            "internvl" or "internvl_chat" => new InternVl(checkpoint),
            "llava_onevision" => new LlavaOneVision(checkpoint),
            "smolvlm" or "idefics3" => new SmolVlm(checkpoint),
            "llama" => new LlamaText(checkpoint),
            _ => throw checkpoint.Config.Unsupported("model_type", type, Families),
        };
    }

    /// <summary>Renders, tokenises and embeds a conversation.</summary>
    /// <param name="labels">Spans of the text parts: the kind of a stretch of characters of a message's text part.</param>
    /// <param name="session">Runs the vision tower.</param>
    public Prompt Prompt(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Picture> pictures, ISession session, IReadOnlyList<TextLabel>? labels = null)
    {
        var pixels = pictures.Count == 0 ? null : Preprocess(pictures);
        return Prompt(messages, pixels, pixels is null ? null : session.Features(pixels), labels);
    }

    /// <summary>As the other overload, with the features of the pictures at hand.</summary>
    public Prompt Prompt(IReadOnlyList<ChatMessage> messages, PixelValues? pixels, float[]? features, IReadOnlyList<TextLabel>? labels = null)
    {
        var (rendered, addSpecial) = Rendered(messages);
        return Tokenized(rendered, addSpecial, pixels, features, labels ?? []);
    }

    /// <summary>How long a conversation becomes and what of its text the vocabulary lacks, without running the vision tower.</summary>
    /// <param name="pixels">The pictures, preprocessed, or null.</param>
    public PromptSize Measure(IReadOnlyList<ChatMessage> messages, PixelValues? pixels)
    {
        var (rendered, addSpecial) = Rendered(messages);
        var tokenized = Tokens(rendered, addSpecial, pixels, []);
        return new PromptSize(Coordinates(tokenized.Ids, pixels).Max(c => c.Highest) + 1, tokenized.Text, tokenized.Unknown, rendered.Warnings);
    }

    private (RenderedPrompt Rendered, bool AddSpecial) Rendered(IReadOnlyList<ChatMessage> messages)
    {
        var parts = messages.Sum(message => message.Content.Count(part => part is ImagePart));
        if (ImageToken is null && parts > 0) throw NoPictures(parts);
        var rendered = Template.Render(messages, imagePlaceholder: Placeholder);
        // The reference's processors tokenise the rendered text like any other, with special tokens around it, unless the template has
        // written the first of them itself. A text model's own apply_chat_template takes those of the template alone.
        var begins = Tokenizer.SpecialTokens.TryGetValue("bos_token", out var bos)
            && rendered.Text.StartsWith(bos, StringComparison.Ordinal);
        return (rendered, ImageToken is not null && !begins);
    }

    /// <summary>A text as it stands, without a template, all of it the instruction; the tokenizer puts its special tokens around it.</summary>
    public Prompt Prompt(string text) =>
        Tokenized(new RenderedPrompt(text, [new RenderedPart(0, 0, 0, text.Length, 0)]), addSpecial: true, null, null, [new TextLabel(0, 0, 0, text.Length, SpanKind.Instruction)]);

    private Prompt Tokenized(RenderedPrompt rendered, bool addSpecial, PixelValues? pixels, float[]? features, IReadOnlyList<TextLabel> labels)
    {
        var (tokens, spans, text, unknown) = Tokens(rendered, addSpecial, pixels, labels);
        return Embed(tokens, pixels, features, SpanFinder.Positions(spans), rendered.Text) with
        {
            TextTokens = text,
            UnknownTokens = unknown,
            Warnings = unknown == 0 ? rendered.Warnings : [.. rendered.Warnings, Tokenizer.UnknownWarning(unknown, text)],
        };
    }

    /// <summary>Ids with image tokens repeated as often as each picture has features, the span of each, and the tokens of text among them, known and unknown.</summary>
    private (int[] Ids, List<SpanKind?> Spans, int Text, int Unknown) Tokens(
        RenderedPrompt rendered, bool addSpecial, PixelValues? pixels, IReadOnlyList<TextLabel> labels)
    {
        var kinds = SpanFinder.Characters(rendered, labels);
        IReadOnlyList<PictureShape> pictures = pixels?.Pictures ?? [];
        var tokens = new List<int>();
        var spans = new List<SpanKind?>();
        var (picture, unknown, text) = (0, 0, 0);
        foreach (var token in Tokenizer.Encode(rendered.Text, addSpecial))
        {
            if (token.Id != ImageToken) text++;
            if (token.Id == Tokenizer.UnknownId) unknown++;
            if (token.Id != ImageToken)
            {
                tokens.Add(token.Id);
                spans.Add(SpanFinder.OfToken(kinds, token.Start, token.End));
                continue;
            }
            foreach (var id in picture < pictures.Count ? Expansion(pictures[picture]) : [])
            {
                tokens.Add(id);
                spans.Add(id == ImageToken ? SpanKind.Image : null);
            }
            picture++;
        }
        if (picture != pictures.Count)
            throw new InputException($"the prompt has {Plural.Of(picture, "image placeholder")} ({Placeholder}) for {Plural.Of(pictures.Count, "picture")}");
        return ([.. tokens], spans, text, unknown);
    }

    /// <summary>A prompt from token ids in which image tokens are already repeated, as the reference's processors give them.</summary>
    public Prompt Prompt(int[] tokens, PixelValues? pixels, float[]? features)
    {
        var spans = tokens.Select(t => t == ImageToken ? SpanKind.Image : (SpanKind?)null).ToList();
        return Embed(tokens, pixels, features, SpanFinder.Positions(spans), "");
    }

    private Prompt Embed(int[] tokens, PixelValues? pixels, float[]? features, IReadOnlyDictionary<SpanKind, int[]> spans, string rendered)
    {
        if (tokens.Length == 0) throw new InputException("the prompt is empty");
        var width = Decoder.Shape.ModelSize;
        var rows = new float[tokens.Length * width];
        Decoder.Embed(tokens, rows.AsSpan());
        var (found, given) = (tokens.Count(t => t == ImageToken), (features?.Length ?? 0) / width);
        if (found != given) throw new InputException($"the prompt has {found} image tokens, the vision tower gave {given} features");
        for (int i = 0, next = 0; i < tokens.Length; i++)
        {
            if (tokens[i] == ImageToken) features.AsSpan(next++ * width, width).CopyTo(rows.AsSpan(i * width));
        }
        return new Prompt(tokens, Coordinates(tokens, pixels), rows, spans, rendered)
        {
            Places = pixels is not null && pixels.Pictures.All(p => p.Height > 0 && p.Width > 0)
                ? [.. pixels.Pictures.SelectMany((shape, picture) => Boxes(shape).Select(box => new ImagePlace(picture, box)))]
                : [],
        };
    }

    /// <summary>What a picture is in a text: empty where there is none.</summary>
    private protected string Placeholder => ImageToken is { } token ? Tokenizer.TokenText(token) : "";

    /// <summary>For a family that reads text only.</summary>
    private protected InputException NoPictures(int found) => InputException.At(Checkpoint.Folder, "pictures", $"none ({Family} reads text only)", $"{found}");

    /// <summary>
    /// The spelling under which <paramref name="probe"/> is stored: the library wrote prefixes with and without "model." in front. The
    /// first is the hub's, and stands in the error when none is there.
    /// </summary>
    private protected static string Prefix(Weights weights, string probe, params string[] spellings) =>
        spellings.Concat(spellings.Select(s => "model." + s)).FirstOrDefault(s => weights.Has(s + probe), spellings[0]);

    /// <summary>
    /// Whether the embeddings serve as the head where none is stored: said at the root or in the text configuration, as library versions
    /// differ in where they write it.
    /// </summary>
    /// <param name="otherwise">What a silent root stands for.</param>
    private protected static bool Tied(ConfigSection root, ConfigSection text, bool otherwise = false) =>
        root.Flag("tie_word_embeddings", otherwise) || text.Flag("tie_word_embeddings", false);

    /// <summary>Refuses a preprocessor that makes tiles of another size than the tower takes.</summary>
    private protected void SameSize(int preprocessor, int tower)
    {
        if (preprocessor != tower)
            throw InputException.At(PreprocessorSettings.FileIn(Checkpoint.Folder), "size", $"{tower}, the tower's image_size",
                $"{preprocessor}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Checkpoint.Dispose();
        GC.SuppressFinalize(this);
    }
}
