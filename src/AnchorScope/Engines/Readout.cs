using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>What a sweep reads of every variant: logits, through the model's own final norm and head, of the residual stream at one place.</summary>
/// <param name="Layer">Layer that the residual stream leaves; null: the last one, so that the logits are the model's output.</param>
/// <param name="Position">Position of the prompt; null: the last one.</param>
public sealed record Readout(int? Layer = null, int? Position = null)
{
    /// <summary>The model's output at the last position.</summary>
    public static Readout Output { get; } = new();

    /// <summary>Tokens whose logits are wanted; null: the whole vocabulary.</summary>
    public IReadOnlyList<int>? Tokens { get; init; }

    /// <summary>Whether the final norm comes before the head, as in the model.</summary>
    public bool FinalNorm { get; init; } = true;

    internal int LayerIn(DecoderShape shape) => Layer ?? shape.Layers - 1;

    internal int PositionIn(Prompt prompt) => Position ?? prompt.Length - 1;

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
