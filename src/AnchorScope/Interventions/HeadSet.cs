namespace AnchorScope.Interventions;

/// <summary>A head and the score that put it into a set; NaN where there was none.</summary>
public sealed record ScoredHead(int Layer, int Head, double Score)
{
    /// <summary>What its output is to be multiplied with, where the set says it.</summary>
    public float? Gain { get; init; }

    /// <summary>Whether the score comes from derivatives and was not verified.</summary>
    public bool Estimate { get; init; }
}

/// <summary>The portable result of a search for heads, tied to the model and data it was found on.</summary>
/// <param name="Model">Name of the checkpoint folder.</param>
/// <param name="Revision">SHA-256 of its weights.</param>
/// <param name="TokenizerHash">SHA-256 of tokenizer.json.</param>
/// <param name="DatasetHash">SHA-256 of the ranking set; empty where there was none.</param>
/// <param name="MetricVariant">Name of the score's definition.</param>
/// <param name="Heads">Best first.</param>
public sealed record HeadSet(
    string Model, string Revision, string TokenizerHash, string DatasetHash, string MetricVariant, IReadOnlyList<ScoredHead> Heads)
{
    /// <summary><see cref="MetricVariant"/> of a set that somebody wrote down.</summary>
    public const string ByHand = "named_by_hand";

    /// <summary>SHA-256 of every other file of the model that decides what it computes; empty in files of older versions.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Every named definition of the search.</summary>
    public IReadOnlyDictionary<string, string> Variants { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Version of the file form: 2 where every head has a gain, 1 where none has.</summary>
    public int Version => Heads.Any(h => h.Gain is not null) ? 2 : 1;

    /// <summary>The gains, where the set has them.</summary>
    public HeadGains? Gains => Version == 2 ? new HeadGains(Heads.ToDictionary(h => (h.Layer, h.Head), h => h.Gain!.Value)) : null;

    /// <summary>Refuses a set that was found on another model or has heads that this one lacks.</summary>
    /// <param name="model">The model that it is used on; null: any will do that has the heads.</param>
    /// <param name="file">For messages.</param>
    /// <exception cref="InputException">It does not fit.</exception>
    public void Validate(DecoderShape shape, Checkpoints.ModelIdentity? model, string file = "head set")
    {
        model?.Require(
            new(Revision, Files), file, $"head set of {Checkpoints.Quoted.Line(Model)}", "; another model's heads do something else (--any-model takes them)");
        for (var i = 0; i < Heads.Count; i++) shape.Check(Heads[i].Layer, Heads[i].Head, file, $"heads[{i}].");
    }
}
