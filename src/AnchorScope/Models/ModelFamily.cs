using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// What differs between model families: how pictures become features, and where these stand in a prompt. One subclass per family.
/// </summary>
internal abstract class ModelFamily
{
    /// <param name="imageToken">Id of the placeholder, or null when only its text is known.</param>
    /// <param name="imageTokenText">Its text, for checkpoints whose configuration has no id.</param>
    protected ModelFamily(Checkpoint checkpoint, Decoder decoder, int? imageToken, string imageTokenText = "<image>")
        : this(checkpoint, decoder) =>
        ImageToken = imageToken ?? Tokenizer.IdOf(imageTokenText)
            ?? throw InputException.At(checkpoint.Folder, "tokenizer", $"the token {imageTokenText}", "none of this name");

    /// <summary>A family that reads text only.</summary>
    protected ModelFamily(Checkpoint checkpoint, Decoder decoder) =>
        (Checkpoint, Decoder, Tokenizer) = (checkpoint, decoder, Tokenizer.Load(checkpoint.Folder));

    /// <summary>The files.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The language model.</summary>
    public Decoder Decoder { get; }

    /// <summary>Converts text to token ids.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Id of the placeholder token that image features replace; null in a text-only family.</summary>
    public int? ImageToken { get; }

    /// <summary>Name of the family, as used in the documentation.</summary>
    public abstract string Name { get; }

    /// <summary>A one-line description of the vision tower.</summary>
    public abstract string VisionSummary { get; }

    /// <summary>
    /// Arrays about pictures that <see cref="InputFile"/> accepts for this family, under the names of the reference's processors.
    /// </summary>
    public virtual IReadOnlyList<string> PictureInputs => ["pixel_values", "mm_token_type_ids"];

    /// <summary>Number of image tokens of one picture, which is its number of rows in <see cref="Features"/>.</summary>
    /// <param name="picture">Size and tiling of the preprocessed picture.</param>
    public abstract int ImageTokens(PictureShape picture);

    /// <summary>
    /// The tokens that replace one placeholder in the prompt: image tokens and, in some families, tokens around and between them.
    /// </summary>
    /// <param name="picture">Size and tiling of the preprocessed picture.</param>
    public virtual IReadOnlyList<int> Expansion(PictureShape picture) => [.. Enumerable.Repeat(ImageToken!.Value, ImageTokens(picture))];

    /// <summary>
    /// The region of the picture that each of its image tokens covers, in the order of the tokens; null for a token without a region.
    /// </summary>
    /// <param name="picture">Size and tiling of the preprocessed picture.</param>
    public abstract IEnumerable<PixelBox?> Boxes(PictureShape picture);

    /// <summary>Rotary coordinates of a prompt's positions [pos].</summary>
    public virtual Coordinate[] Coordinates(IReadOnlyList<int> tokens, PixelValues? pixels) =>
        [.. Enumerable.Range(0, tokens.Count).Select(Coordinate.At)];

    /// <summary>Converts pictures to pixel values, as the reference's processor does.</summary>
    public abstract PixelValues Preprocess(IReadOnlyList<Picture> pictures);

    /// <summary>Validates pixel values that were read from a file.</summary>
    public abstract PixelValues Accept(PixelInputs inputs);

    /// <summary>Image features [image tokens of all pictures, d_model].</summary>
    public abstract Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null);

    /// <summary>
    /// Adds the gradients with respect to the weights of vision tower and projector, from the gradient with respect to
    /// <see cref="Features"/> [image token, d_model].
    /// </summary>
    public abstract void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients);

    /// <summary>Text of the image placeholder; empty in a text-only family.</summary>
    public string Placeholder => ImageToken is { } token ? Tokenizer.TokenText(token) : "";

    /// <summary>The error of a text-only family that is given pictures.</summary>
    public InputException NoPictures(int found) =>
        InputException.At(Checkpoint.Folder, "pictures", $"none ({Name} reads text only)", $"{found}");

    /// <summary>
    /// The prefix under which <paramref name="probe"/> is stored. Versions of the library wrote prefixes with and without a leading
    /// "model.". The first spelling is that of the published files; it appears in the error if none is found.
    /// </summary>
    protected static string Prefix(Weights weights, string probe, params string[] spellings) =>
        spellings.Concat(spellings.Select(s => "model." + s)).FirstOrDefault(s => weights.Has(s + probe), spellings[0]);

    /// <summary>
    /// Whether the embeddings are used as the head if no head is stored. The flag is at the root or in the text configuration, depending on
    /// the library version.
    /// </summary>
    /// <param name="otherwise">Value if the root has no flag.</param>
    protected static bool Tied(ConfigSection root, ConfigSection text, bool otherwise = false) =>
        root.Flag("tie_word_embeddings", otherwise) || text.Flag("tie_word_embeddings", false);

    /// <summary>Throws if the preprocessor makes tiles of another size than the tower's input.</summary>
    protected void SameSize(int preprocessor, int tower)
    {
        if (preprocessor != tower)
            throw InputException.At(PreprocessorSettings.FileIn(Checkpoint.Folder), "size", $"{tower}, the tower's image_size",
                $"{preprocessor}");
    }
}
