namespace AnchorScope.Interventions;

/// <summary>A head and the score that put it into a set.</summary>
public sealed record ScoredHead(int Layer, int Head, double Score);

/// <summary>The portable result of a search for heads, tied to the model and data it was found on.</summary>
/// <param name="Model">Name of the checkpoint folder.</param>
/// <param name="Revision">SHA-256 of its weights.</param>
/// <param name="TokenizerHash">SHA-256 of tokenizer.json.</param>
/// <param name="DatasetHash">SHA-256 of the ranking set.</param>
/// <param name="MetricVariant">Name of the score's definition.</param>
/// <param name="Heads">Best first.</param>
public sealed record HeadSet(
    string Model, string Revision, string TokenizerHash, string DatasetHash, string MetricVariant, IReadOnlyList<ScoredHead> Heads)
{
    /// <summary>Every named definition of the search.</summary>
    public IReadOnlyDictionary<string, string> Variants { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Version of the file form.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Refuses a set that was found on another model or has heads that this one lacks.</summary>
    public void Validate(DecoderShape shape, string revision)
    {
        if (Revision != revision)
            throw new InputException($"head set: made for model {Model} with weights {Revision}, this model has {revision}");
        foreach (var head in Heads)
        {
            if (head.Layer < 0 || head.Layer >= shape.Layers) throw InputException.At("head set", "layer", $"0 to {shape.Layers - 1}", $"{head.Layer}");
            if (head.Head < 0 || head.Head >= shape.Heads) throw InputException.At("head set", "head", $"0 to {shape.Heads - 1}", $"{head.Head}");
        }
    }
}
