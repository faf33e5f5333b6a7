using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Baking;

/// <summary>
/// A checkpoint with gains of heads folded into it. o_proj is linear in the heads' outputs z, and each of its columns meets one component of one head: W (g z) = (W g) z at every
/// position. So a gain becomes a factor of that head's columns, and the model that anybody loads is the steered one.
/// </summary>
internal sealed class BakedCheckpoint
{
    private readonly VisionLanguageModel _model;
    private readonly HeadSetFile _heads;
    private readonly HeadGains _gains;

    /// <summary>Checks that the heads fit the model; nothing is written yet.</summary>
    /// <param name="factor">What each of them is multiplied with; finite.</param>
    /// <param name="anyModel">Takes a head set that was made for another model, if this one has the heads.</param>
    /// <exception cref="InputException">They do not fit.</exception>
    public BakedCheckpoint(VisionLanguageModel model, HeadSetFile heads, float factor, bool anyModel = false)
        : this(model, heads, HeadGains.Of(heads.Set.Heads.Select(h => (h.Layer, h.Head)), factor), anyModel)
    {
    }

    /// <summary>The same with a factor for each head.</summary>
    /// <param name="gains">Of the heads of <paramref name="heads"/>.</param>
    public BakedCheckpoint(VisionLanguageModel model, HeadSetFile heads, HeadGains gains, bool anyModel = false)
    {
        (_model, _heads, _gains) = (model, heads, gains);
        heads.Set.Validate(model.Decoder.Shape, anyModel ? null : model.Checkpoint.Identity, heads.Path);
    }

    /// <summary>What was measured of the change, in Markdown, for the model card; null: the card says that nothing was.</summary>
    public string? Effects { get; init; }

    /// <summary>
    /// Writes the folder: weight files with their headers and all tensors but the changed ones byte for byte, the other files as they are, README.md and baked.json of its own.
    /// It appears under its name when it is complete; what fails or is cancelled on the way leaves nothing behind.
    /// </summary>
    /// <param name="folder">Must not exist, or be empty, and not lie in the original.</param>
    /// <param name="progress">Told the bytes of files written and those in all.</param>
    /// <exception cref="InputException">The folder cannot be written, the disk is too small, or a product is not finite.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public BakedRecord Write(string folder, Action<long, long>? progress = null, CancellationToken cancel = default) =>
        new ChangedCheckpoint(_model, new BakePlan(_model, _gains)).Write(folder, Record, progress, cancel);

    private BakedRecord Record(IReadOnlyList<BakedTensor> tensors) => new()
    {
        Tool = ToolVersion.Text,
        Source = _model.Checkpoint.Name,
        SourceSha256 = _model.Checkpoint.Sha256,
        SourceFiles = _model.Checkpoint.Identity.Files,
        HeadSet = Path.GetFileName(_heads.Path),
        HeadSetSha256 = _heads.Sha256,
        HeadSetRevision = _heads.Set.Revision,
        Gains = _gains,
        Tensors = tensors,
        Effects = Effects,
    };
}
