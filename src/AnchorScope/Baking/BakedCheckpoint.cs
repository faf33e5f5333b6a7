using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Baking;

/// <summary>
/// A checkpoint with head gains baked into it. o_proj is linear in the head outputs z, and each of its columns multiplies one component of
/// one head: W (g z) = (W g) z at every position. So a gain becomes a factor of that head's columns, and the resulting checkpoint is the
/// steered model.
/// </summary>
internal sealed class BakedCheckpoint
{
    private readonly VisionLanguageModel _model;
    private readonly HeadSetFile _heads;
    private readonly HeadGains _gains;

    /// <summary>Checks that the heads fit the model; nothing is written yet.</summary>
    /// <param name="factor">Factor of each head; finite.</param>
    /// <param name="anyModel">Whether a head set of another model is accepted, if this model has the heads.</param>
    /// <exception cref="InputException">The heads do not fit the model.</exception>
    public BakedCheckpoint(VisionLanguageModel model, HeadSetFile heads, float factor, bool anyModel = false)
        : this(model, heads, HeadGains.Of(heads.Set.Heads.Select(h => (h.Layer, h.Head)), factor), anyModel)
    {
    }

    /// <summary>The same with a separate factor for each head.</summary>
    /// <param name="gains">Gains of the heads of <paramref name="heads"/>.</param>
    public BakedCheckpoint(VisionLanguageModel model, HeadSetFile heads, HeadGains gains, bool anyModel = false)
    {
        (_model, _heads, _gains) = (model, heads, gains);
        heads.Set.Validate(model.Decoder.Shape, anyModel ? null : model.Checkpoint.Identity, heads.Path);
    }

    /// <summary>Measured effects of the change, in Markdown, for the model card; null: the card states that nothing was measured.</summary>
    public string? Effects { get; init; }

    /// <summary>
    /// Writes the folder: weight files with unchanged headers and, except for the changed tensors, unchanged bytes; all other files
    /// unchanged; and new README.md and baked.json. The folder gets its name only when it is complete. After a failure or cancellation
    /// nothing remains.
    /// </summary>
    /// <param name="folder">Must not exist, or be empty, and must not be inside the original.</param>
    /// <param name="progress">Called with the bytes written and the total.</param>
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
