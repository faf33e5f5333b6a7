using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>
/// What a sweep reads of every variant: the logits of the residual stream after one layer at one position, through the model's own final
/// norm and head.
/// </summary>
/// <param name="Layer">The residual stream after this layer is read; null: after the last layer, which gives the model's output.</param>
/// <param name="Position">Position in the prompt; null: the last one.</param>
public sealed record Readout(int? Layer = null, int? Position = null)
{
    /// <summary>The model's output at the last position.</summary>
    public static Readout Output { get; } = new();

    /// <summary>Tokens whose logits are computed; null for the whole vocabulary.</summary>
    public IReadOnlyList<int>? Tokens { get; init; }

    /// <summary>Whether the final norm is applied before the head, as in the model.</summary>
    public bool FinalNorm { get; init; } = true;

    internal int LayerIn(DecoderShape shape) => Layer ?? shape.Layers - 1;

    internal int PositionIn(Prompt prompt) => Position ?? prompt.Length - 1;

    /// <summary>Checks that layer, position and tokens exist.</summary>
    /// <exception cref="InputException">Layer, position or a token is out of range.</exception>
    internal void Validate(IEngine engine, Prompt prompt)
    {
        Check("layer", LayerIn(engine.Shape), engine.Shape.Layers);
        Check("position", PositionIn(prompt), prompt.Length);
        foreach (var token in Tokens ?? []) Check("token", token, engine.VocabularySize);
    }

    private static void Check(string what, int value, int count)
    {
        if (value < 0 || value >= count) throw new InputException($"readout: {what}: expected 0 to {count - 1}, found {value}");
    }
}
