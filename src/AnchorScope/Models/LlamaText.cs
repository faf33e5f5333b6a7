using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>LlamaForCausalLM: a Llama decoder without a vision tower. Pictures are an error.</summary>
internal sealed class LlamaText : ModelFamily
{
    /// <summary>Reads the family's tensors. A missing tensor, a wrong shape or an unused tensor is an error.</summary>
    public LlamaText(Checkpoint checkpoint)
        : base(checkpoint, ReadDecoder(checkpoint)) => checkpoint.Weights.AssertAllRead();

    /// <inheritdoc/>
    public override string Name => "Llama";

    /// <inheritdoc/>
    public override string VisionSummary => "none: it reads text only";

    /// <inheritdoc/>
    public override int ImageTokens(PictureShape picture) => throw NoPictures(1);

    /// <inheritdoc/>
    public override PixelValues Preprocess(IReadOnlyList<Picture> pictures) => throw NoPictures(pictures.Count);

    /// <inheritdoc/>
    public override PixelValues Accept(PixelInputs inputs) => throw InputException.At(inputs.File, "pixel_values",
        $"none ({Name} reads text only)", $"shape [{string.Join(", ", inputs.Shape)}]");

    /// <inheritdoc/>
    public override Tensor Features(PixelValues pixels, Compute compute, VisionTrace? trace = null) =>
        throw NoPictures(pixels.Pictures.Count);

    /// <inheritdoc/>
    public override void FeaturesBackward(PixelValues pixels, Tensor d, Compute compute, Gradients gradients) =>
        throw NoPictures(pixels.Pictures.Count);

    /// <inheritdoc/>
    public override IEnumerable<PixelBox?> Boxes(PictureShape picture) => throw NoPictures(1);

    private static Decoder ReadDecoder(Checkpoint checkpoint) =>
        Llama.Read(checkpoint.Config, checkpoint.Weights, "model.", "lm_head.weight",
            checkpoint.Config.Flag("tie_word_embeddings", false), DecoderDefaults.Llama);
}
