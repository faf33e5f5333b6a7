using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;

namespace AnchorScope.Models;

/// <summary>An opened checkpoint: tokenizer, chat template, preprocessing, vision tower and decoder.</summary>
public sealed class VisionLanguageModel : IDisposable
{
    private readonly ChatTemplate? _template;
    private readonly PromptBuilder _prompts;
    private readonly GenerationSettings _generation;

    private VisionLanguageModel(ModelFamily family)
    {
        var checkpoint = family.Checkpoint;
        ModelFamily = family;
        _template = ChatTemplate.Find(checkpoint.Folder, family.Tokenizer.SpecialTokens, textOnly: family.ImageToken is null);
        _prompts = new PromptBuilder(family, _template);
        _generation = GenerationSettings.Of(checkpoint, family.Decoder.VocabularySize);
        Engine = new CpuEngine(this);
        Lifetime = new Lifetime(typeof(VisionLanguageModel), checkpoint.Dispose);
    }

    /// <summary>The families that <see cref="Open"/> supports, by model_type.</summary>
    public static IReadOnlyList<string> Families { get; } = ["llava", "qwen2_vl", "qwen2_5_vl", "internvl", "internvl_chat",
        "llava_onevision", "smolvlm", "idefics3", "llama"];

    /// <summary>The files.</summary>
    public Checkpoint Checkpoint => ModelFamily.Checkpoint;

    /// <summary>The language model.</summary>
    internal Decoder Decoder => ModelFamily.Decoder;

    /// <summary>The engine that runs the model on the CPU.</summary>
    public CpuEngine Engine { get; }

    /// <summary>
    /// Opens a session: memory and threads, for use by one thread at a time. Its calls fail once the model is disposed of.
    /// </summary>
    /// <param name="options">Threads and cancellation; null for the defaults.</param>
    public ISession OpenSession(SessionOptions? options = null) => Engine.Open(options);

    /// <summary>Converts text to token ids.</summary>
    public Tokenizer Tokenizer => ModelFamily.Tokenizer;

    /// <summary>Renders messages to text.</summary>
    /// <exception cref="InputException">The checkpoint has no template. Such a model can only be run on token ids.</exception>
    internal ChatTemplate Template => _prompts.Template;

    /// <summary>Whether the checkpoint has a chat template.</summary>
    internal bool HasTemplate => _template is not null;

    /// <summary>Id of the placeholder token that image features replace; null in a text-only family.</summary>
    public int? ImageToken => ModelFamily.ImageToken;

    /// <summary>Tokens that end a generated text, from generation_config.json or, without that file, from config.json.</summary>
    public IReadOnlySet<int> StopTokens => _generation.StopTokens;

    /// <summary>Restrictions on the next token, from the same file.</summary>
    public GenerationRules Rules => _generation.Rules;

    /// <summary>Harmless irregularities found in the files, one line each. The command line prints them.</summary>
    public IReadOnlyList<string> Warnings => Checkpoint.Weights.Warnings;

    /// <summary>max_new_tokens of the same file, or null.</summary>
    public int? MaxNewTokens => _generation.MaxNewTokens;

    /// <summary>
    /// max_length of the same file, or null: positions of prompt and answer together. It has no effect if there is a max_new_tokens.
    /// </summary>
    public int? MaxLength => _generation.MaxLength;

    /// <summary>How the same file samples tokens.</summary>
    public SamplingDefaults SamplingDefaults => _generation.Sampling;

    /// <summary>Name of the family, as used in the documentation.</summary>
    public string Family => ModelFamily.Name;

    /// <summary>A one-line description of the vision tower.</summary>
    public string VisionSummary => ModelFamily.VisionSummary;

    /// <summary>Number of axes of a rotary coordinate.</summary>
    internal int RotaryAxes => Decoder.Rope.Axes;

    /// <summary>What differs between families.</summary>
    internal ModelFamily ModelFamily { get; }

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
    internal static VisionLanguageModel Of(Checkpoint checkpoint) => new(FamilyOf(checkpoint));

    private static ModelFamily FamilyOf(Checkpoint checkpoint)
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
    public Prompt Prompt(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Picture> pictures, ISession session,
        IReadOnlyList<TextLabel>? labels = null)
    {
        var pixels = pictures.Count == 0 ? null : Preprocess(pictures);
        var features = pixels is null ? null : session.Features(pixels);
        return Reading(() => _prompts.Of(messages, pixels, features, labels));
    }

    /// <summary>Like the other overload, with precomputed image features.</summary>
    /// <param name="pixels">The preprocessed pictures, or null.</param>
    /// <param name="features">Image features [image token, d_model], row-major, or null.</param>
    /// <param name="labels">Assigns ranges of characters in text parts to spans; null for none.</param>
    public Prompt Prompt(
        IReadOnlyList<ChatMessage> messages, PixelValues? pixels, float[]? features, IReadOnlyList<TextLabel>? labels = null) =>
        Reading(() => _prompts.Of(messages, pixels, features, labels));

    /// <summary>A raw text without a template. All of it is the instruction. The tokenizer adds its special tokens.</summary>
    public Prompt Prompt(string text) => Reading(() => _prompts.Of(text));

    /// <summary>A prompt from token ids in which image tokens are already repeated, as the reference's processors return them.</summary>
    /// <param name="tokens">Token ids [pos].</param>
    /// <param name="pixels">The preprocessed pictures, or null.</param>
    /// <param name="features">Image features [image token, d_model], row-major, or null.</param>
    public Prompt Prompt(int[] tokens, PixelValues? pixels, float[]? features) =>
        Reading(() => _prompts.Of(tokens, pixels, features));

    /// <summary>
    /// Measures how long a conversation becomes and how much of its text the vocabulary lacks, without running the vision tower.
    /// </summary>
    /// <param name="pixels">The preprocessed pictures, or null.</param>
    public PromptSize Measure(IReadOnlyList<ChatMessage> messages, PixelValues? pixels) => _prompts.Measure(messages, pixels);

    /// <summary>Number of image tokens of one picture, which is its number of rows in <see cref="Features"/>.</summary>
    /// <param name="picture">Size and tiling of the preprocessed picture.</param>
    public int ImageTokens(PictureShape picture) => ModelFamily.ImageTokens(picture);

    /// <summary>How long an answer to a prompt may be, and how long it becomes at most if nobody says so.</summary>
    public AnswerLength AnswerLength(Prompt prompt)
    {
        // The last token is never fed back.
        var most = Engine.MaximumPositions is { } positions ? positions - prompt.RotaryLength + 1 : int.MaxValue;
        var usual = MaxNewTokens ?? (MaxLength is { } all && all > prompt.Length ? all - prompt.Length : (int?)null);
        return new AnswerLength(most, Math.Min(usual ?? Models.AnswerLength.Default, most),
            usual is null ? null : "generation_config.json");
    }

    /// <summary>Converts pictures to pixel values, as the reference's processor does.</summary>
    public PixelValues Preprocess(IReadOnlyList<Picture> pictures) => ModelFamily.Preprocess(pictures);

    /// <inheritdoc cref="ModelFamily.Accept"/>
    internal PixelValues Accept(PixelInputs inputs) => ModelFamily.Accept(inputs);

    /// <inheritdoc cref="ModelFamily.Features"/>
    internal Tensors.Tensor Features(PixelValues pixels, Tensors.Compute compute, VisionTrace? trace = null) =>
        ModelFamily.Features(pixels, compute, trace);

    /// <inheritdoc cref="Decoder.TooLong(Engines.Prompt, int)"/>
    internal string? TooLong(Prompt prompt, int generated = 0) => Decoder.TooLong(prompt, generated);

    /// <inheritdoc cref="Decoder.TooLong(int, int)"/>
    internal string? TooLong(int positions, int generated = 0) => Decoder.TooLong(positions, generated);

    /// <inheritdoc cref="Decoder.Pack"/>
    internal void Pack() => Decoder.Pack();

    /// <summary>Cosines, then sines, of the pairs of a head at one coordinate [d_head].</summary>
    internal float[] RotaryAngles(int coordinate) => Decoder.Rope.At(coordinate).ToArray();

    /// <inheritdoc cref="Decoder.MarginDirection"/>
    internal float[] MarginDirection(ReadOnlySpan<float> resid, int tokenA, int tokenB)
    {
        Lifetime.Enter();
        try
        {
            return Decoder.MarginDirection(resid, tokenA, tokenB);
        }
        finally
        {
            Lifetime.Leave();
        }
    }

    /// <inheritdoc cref="Decoder.ThroughOutput"/>
    internal double[] ThroughOutput(int layer, ReadOnlySpan<float> direction)
    {
        Lifetime.Enter();
        try
        {
            return Decoder.ThroughOutput(layer, direction);
        }
        finally
        {
            Lifetime.Leave();
        }
    }

    /// <summary>Calls something that reads the weights, which stay mapped until it returns.</summary>
    private T Reading<T>(Func<T> read)
    {
        Lifetime.Enter();
        try
        {
            return read();
        }
        finally
        {
            Lifetime.Leave();
        }
    }

    /// <summary>How long the weights stay mapped.</summary>
    internal Lifetime Lifetime { get; }

    /// <summary>Unmaps the weights. If sessions are in calls on other threads, the last of these calls does it when it ends.</summary>
    public void Dispose() => Lifetime.Close();
}
