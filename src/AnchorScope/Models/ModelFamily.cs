using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>What differs between model families: how pictures become features, and where these stand in a prompt. One subclass per family.</summary>
internal abstract class ModelFamily
{
    /// <param name="imageToken">Id of the placeholder, or null when only its text is known.</param>
    /// <param name="imageTokenText">Its text, for checkpoints whose configuration has no id.</param>
    protected ModelFamily(Checkpoint checkpoint, Decoder decoder, int? imageToken, string imageTokenText = "<image>")
        : this(checkpoint, decoder) =>
        ImageToken = imageToken ?? Tokenizer.IdOf(imageTokenText) ?? throw InputException.At(checkpoint.Folder, "tokenizer", $"the token {imageTokenText}", "none of this name");

    /// <summary>A family that reads text only.</summary>
    protected ModelFamily(Checkpoint checkpoint, Decoder decoder) =>
        (Checkpoint, Decoder, Tokenizer) = (checkpoint, decoder, Tokenizer.Load(checkpoint.Folder));

    /// <summary>The files.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The language model.</summary>
    public Decoder Decoder { get; }

    /// <summary>Text to token ids.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Id of the placeholder that image features replace; null in a family that reads text only.</summary>
    public int? ImageToken { get; }

    /// <summary>Name of the family, as in docs.</summary>
    public abstract string Name { get; }

    /// <summary>One line on the vision tower.</summary>
    public abstract string VisionSummary { get; }

    /// <summary>Arrays about pictures that <see cref="InputFile"/> takes for this family, under the names of the reference's
    /// processors.</summary>
    public virtual IReadOnlyList<string> PictureInputs => ["pixel_values", "mm_token_type_ids"];

    /// <summary>Number of image tokens of one picture: rows that <see cref="Features"/> gives for it.</summary>
    public abstract int ImageTokens(PictureShape picture);

    /// <summary>What stands in the prompt for one placeholder: image tokens, and in some families tokens around and between them.</summary>
    public virtual IReadOnlyList<int> Expansion(PictureShape picture) => [.. Enumerable.Repeat(ImageToken!.Value, ImageTokens(picture))];

    /// <summary>What each image token of a picture covers of it, in the order of the tokens; null where it stands for no place.</summary>
    public abstract IEnumerable<PixelBox?> Boxes(PictureShape picture);

    /// <summary>Rotary coordinates of a prompt's positions.</summary>
    public virtual Coordinate[] Coordinates(IReadOnlyList<int> tokens, PixelValues? pixels) => [.. Enumerable.Range(0, tokens.Count).Select(Coordinate.At)];

    /// <summary>Pictures to pixel values, as the reference's processor does it.</summary>
    public abstract PixelValues Preprocess(IReadOnlyList<Picture> pictures);

    /// <summary>Checks pixel values that came from outside.</summary>
    public abstract PixelValues Accept(PixelInputs inputs);

    /// <summary>Image features [image tokens of all pictures, d_model].</summary>
    public abstract Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null);

    /// <summary>Adds the derivatives by the weights of vision tower and projector, from those by <see cref="Features"/> [image token, d_model].</summary>
    public abstract void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients);

    /// <summary>What a picture is in a text: empty where there is none.</summary>
    public string Placeholder => ImageToken is { } token ? Tokenizer.TokenText(token) : "";

    /// <summary>For a family that reads text only.</summary>
    public InputException NoPictures(int found) => InputException.At(Checkpoint.Folder, "pictures", $"none ({Name} reads text only)", $"{found}");

    /// <summary>
    /// The spelling under which <paramref name="probe"/> is stored: the library wrote prefixes with and without "model." in front. The
    /// first is the hub's, and stands in the error when none is there.
    /// </summary>
    protected static string Prefix(Weights weights, string probe, params string[] spellings) =>
        spellings.Concat(spellings.Select(s => "model." + s)).FirstOrDefault(s => weights.Has(s + probe), spellings[0]);

    /// <summary>
    /// Whether the embeddings serve as the head where none is stored: said at the root or in the text configuration, as library versions
    /// differ in where they write it.
    /// </summary>
    /// <param name="otherwise">What a silent root stands for.</param>
    protected static bool Tied(ConfigSection root, ConfigSection text, bool otherwise = false) =>
        root.Flag("tie_word_embeddings", otherwise) || text.Flag("tie_word_embeddings", false);

    /// <summary>Refuses a preprocessor that makes tiles of another size than the tower takes.</summary>
    protected void SameSize(int preprocessor, int tower)
    {
        if (preprocessor != tower)
            throw InputException.At(PreprocessorSettings.FileIn(Checkpoint.Folder), "size", $"{tower}, the tower's image_size",
                $"{preprocessor}");
    }
}
