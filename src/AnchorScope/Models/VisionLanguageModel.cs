using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>An opened checkpoint: tokenizer, chat template, preprocessing, vision tower and decoder. One subclass per family.</summary>
public abstract class VisionLanguageModel : IDisposable
{
    private readonly ChatTemplate? _template;
    private CpuEngine? _engine;

    /// <param name="imageToken">Id of the placeholder, or null if only its text is known.</param>
    /// <param name="imageTokenText">Text of the placeholder, for checkpoints whose configuration has no id.</param>
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
        // Without generation_config.json the reference library reads these keys from config.json, at the root or in the language model's
        // section.
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

    /// <summary>The families that <see cref="Open"/> supports, by model_type.</summary>
    public static IReadOnlyList<string> Families { get; } = ["llava", "qwen2_vl", "qwen2_5_vl", "internvl", "internvl_chat", "llava_onevision", "smolvlm", "idefics3", "llama"];

    /// <summary>The files.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The language model.</summary>
    internal Decoder Decoder { get; }

    /// <summary>The engine that runs the model on the CPU.</summary>
    public CpuEngine Engine => _engine ??= new CpuEngine(this);

    /// <summary>
    /// Opens a session: memory and threads, for use by one thread at a time. The caller must dispose of it before it disposes of the model.
    /// </summary>
    /// <param name="options">Threads and cancellation; null for the defaults.</param>
    public ISession OpenSession(SessionOptions? options = null) => Engine.Open(options);

    /// <summary>Converts text to token ids.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Renders messages to text.</summary>
    /// <exception cref="InputException">The checkpoint has no template. Such a model can only be run on token ids.</exception>
    internal ChatTemplate Template => _template ?? ChatTemplate.Load(Checkpoint.Folder, Tokenizer.SpecialTokens);

    /// <summary>Whether the checkpoint has a chat template.</summary>
    internal bool HasTemplate => _template is not null;

    /// <summary>Id of the placeholder token that image features replace; null in a text-only family.</summary>
    public int? ImageToken { get; }

    /// <summary>Tokens that end a generated text, from generation_config.json or, without that file, from config.json.</summary>
    public IReadOnlySet<int> StopTokens { get; }

    /// <summary>Restrictions on the next token, from the same file.</summary>
    public GenerationRules Rules { get; }

    /// <summary>Harmless irregularities found in the files, one line each. The command line prints them.</summary>
    public IReadOnlyList<string> Warnings => Checkpoint.Weights.Warnings;

    /// <summary>max_new_tokens of the same file, or null.</summary>
    public int? MaxNewTokens { get; }

    /// <summary>
    /// max_length of the same file, or null: positions of prompt and answer together. It has no effect if there is a max_new_tokens.
    /// </summary>
    public int? MaxLength { get; }

    /// <summary>Name of the family, as used in the documentation.</summary>
    public abstract string Family { get; }

    /// <summary>A one-line description of the vision tower.</summary>
    public abstract string VisionSummary { get; }

    /// <summary>
    /// Arrays about pictures that <see cref="InputFile"/> accepts for this family, under the names of the reference's processors.
    /// </summary>
    protected internal virtual IReadOnlyList<string> PictureInputs => ["pixel_values", "mm_token_type_ids"];

    /// <summary>Number of image tokens of one picture, which is its number of rows in <see cref="Features"/>.</summary>
    /// <param name="picture">Size and tiling of the preprocessed picture.</param>
    public abstract int ImageTokens(PictureShape picture);

    /// <summary>
    /// The tokens that replace one placeholder in the prompt: image tokens and, in some families, tokens around and between them.
    /// </summary>
    /// <param name="picture">Size and tiling of the preprocessed picture.</param>
    protected virtual IReadOnlyList<int> Expansion(PictureShape picture) => [.. Enumerable.Repeat(ImageToken!.Value, ImageTokens(picture))];

    /// <summary>
    /// The region of the picture that each of its image tokens covers, in the order of the tokens; null for a token without a region.
    /// </summary>
    /// <param name="picture">Size and tiling of the preprocessed picture.</param>
    protected abstract IEnumerable<PixelBox?> Boxes(PictureShape picture);

    /// <summary>Rotary coordinates of a prompt's positions [pos].</summary>
    protected internal virtual Coordinate[] Coordinates(IReadOnlyList<int> tokens, PixelValues? pixels) => [.. Enumerable.Range(0, tokens.Count).Select(Coordinate.At)];

    /// <summary>Converts pictures to pixel values, as the reference's processor does.</summary>
    public abstract PixelValues Preprocess(IReadOnlyList<Picture> pictures);

    /// <summary>Validates pixel values that were read from a file.</summary>
    internal abstract PixelValues Accept(PixelInputs inputs);

    /// <summary>Image features [image tokens of all pictures, d_model].</summary>
    internal abstract Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null);

    /// <summary>
    /// Adds the gradients with respect to the weights of vision tower and projector, from the gradient with respect to
    /// <see cref="Features"/> [image token, d_model].
    /// </summary>
    internal abstract void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients);

    /// <summary>Opens the checkpoint in <paramref name="folder"/>.</summary>
    /// <exception cref="InputException">A file is missing or invalid, or the family is unknown; the message then lists
    /// <see cref="Families"/>.</exception>
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

    /// <summary>The model for the checkpoint's model_type. It owns the checkpoint.</summary>
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
    /// <param name="labels">Assigns ranges of characters in text parts to spans; null for none.</param>
    /// <param name="session">Runs the vision tower.</param>
    public Prompt Prompt(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Picture> pictures, ISession session, IReadOnlyList<TextLabel>? labels = null)
    {
        var pixels = pictures.Count == 0 ? null : Preprocess(pictures);
        return Prompt(messages, pixels, pixels is null ? null : session.Features(pixels), labels);
    }

    /// <summary>Like the other overload, with precomputed image features.</summary>
    /// <param name="pixels">The preprocessed pictures, or null.</param>
    /// <param name="features">Image features [image token, d_model], row-major, or null.</param>
    /// <param name="labels">Assigns ranges of characters in text parts to spans; null for none.</param>
    public Prompt Prompt(IReadOnlyList<ChatMessage> messages, PixelValues? pixels, float[]? features, IReadOnlyList<TextLabel>? labels = null)
    {
        var (rendered, addSpecial) = Rendered(messages);
        return Tokenized(rendered, addSpecial, pixels, features, labels ?? []);
    }

    /// <summary>
    /// Measures how long a conversation becomes and how much of its text the vocabulary lacks, without running the vision tower.
    /// </summary>
    /// <param name="pixels">The preprocessed pictures, or null.</param>
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
        // The reference's processors tokenise the rendered text like any other text, with special tokens around it, unless the template has
        // already written the first of them. A text model's own apply_chat_template uses only those of the template.
        var begins = Tokenizer.SpecialTokens.TryGetValue("bos_token", out var bos)
            && rendered.Text.StartsWith(bos, StringComparison.Ordinal);
        return (rendered, ImageToken is not null && !begins);
    }

    /// <summary>A raw text without a template. All of it is the instruction. The tokenizer adds its special tokens.</summary>
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

    /// <summary>A prompt from token ids in which image tokens are already repeated, as the reference's processors return them.</summary>
    /// <param name="tokens">Token ids [pos].</param>
    /// <param name="pixels">The preprocessed pictures, or null.</param>
    /// <param name="features">Image features [image token, d_model], row-major, or null.</param>
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

    /// <summary>Text of the image placeholder; empty in a text-only family.</summary>
    private protected string Placeholder => ImageToken is { } token ? Tokenizer.TokenText(token) : "";

    /// <summary>The error of a text-only family that is given pictures.</summary>
    private protected InputException NoPictures(int found) => InputException.At(Checkpoint.Folder, "pictures", $"none ({Family} reads text only)", $"{found}");

    /// <summary>
    /// The prefix under which <paramref name="probe"/> is stored. Versions of the library wrote prefixes with and without a leading
    /// "model.". The first spelling is that of the published files; it appears in the error if none is found.
    /// </summary>
    private protected static string Prefix(Weights weights, string probe, params string[] spellings) =>
        spellings.Concat(spellings.Select(s => "model." + s)).FirstOrDefault(s => weights.Has(s + probe), spellings[0]);

    /// <summary>
    /// Whether the embeddings are used as the head if no head is stored. The flag is at the root or in the text configuration, depending on
    /// the library version.
    /// </summary>
    /// <param name="otherwise">Value if the root has no flag.</param>
    private protected static bool Tied(ConfigSection root, ConfigSection text, bool otherwise = false) =>
        root.Flag("tie_word_embeddings", otherwise) || text.Flag("tie_word_embeddings", false);

    /// <summary>Throws if the preprocessor makes tiles of another size than the tower's input.</summary>
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
