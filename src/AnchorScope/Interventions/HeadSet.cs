namespace AnchorScope.Interventions;

/// <summary>A head and the score by which it was selected; NaN if there is no score.</summary>
public sealed record ScoredHead(int Layer, int Head, double Score)
{
    /// <summary>Factor for the head's output, or null if the set has none.</summary>
    public float? Gain { get; init; }

    /// <summary>Whether the score is a gradient-based estimate that was not verified by an exact measurement.</summary>
    public bool Estimate { get; init; }
}

/// <summary>The portable result of a search for heads, with the model and data it was found on.</summary>
/// <param name="Model">Name of the checkpoint folder.</param>
/// <param name="Revision">SHA-256 of the model's weights.</param>
/// <param name="TokenizerHash">SHA-256 of tokenizer.json.</param>
/// <param name="DatasetHash">SHA-256 of the ranking set; empty if there was none.</param>
/// <param name="MetricVariant">Name of the score's definition.</param>
/// <param name="Heads">The heads, best first.</param>
public sealed record HeadSet(
    string Model, string Revision, string TokenizerHash, string DatasetHash, string MetricVariant, IReadOnlyList<ScoredHead> Heads)
{
    /// <summary><see cref="MetricVariant"/> of a set that was written by hand.</summary>
    public const string ByHand = "named_by_hand";

    /// <summary>SHA-256 of every other file of the model that affects its computation; empty in files of older versions.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Every named definition that the search used.</summary>
    public IReadOnlyDictionary<string, string> Variants { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Version of the file format: 2 if every head has a gain, 1 if none has.</summary>
    public int Version => Heads.Any(h => h.Gain is not null) ? 2 : 1;

    /// <summary>The gains, or null if the set has none.</summary>
    public HeadGains? Gains => Version == 2 ? new HeadGains(Heads.ToDictionary(h => (h.Layer, h.Head), h => h.Gain!.Value)) : null;

    /// <summary>Throws if the set was found on another model or has heads that this model lacks.</summary>
    /// <param name="shape">Sizes of the model.</param>
    /// <param name="model">The model it is used on; null: any model that has the heads is accepted.</param>
    /// <param name="file">Path, for messages.</param>
    /// <exception cref="InputException">The set does not fit the model.</exception>
    public void Validate(DecoderShape shape, Checkpoints.ModelIdentity? model, string file = "head set")
    {
        model?.Require(
            new(Revision, Files), file, $"head set of {Checkpoints.Quoted.Line(Model)}",
            "; another model's heads do something else (--any-model takes them)");
        for (var i = 0; i < Heads.Count; i++) shape.Check(Heads[i].Layer, Heads[i].Head, file, $"heads[{i}].");
    }
}
