namespace AnchorScope.Wired;

/// <summary>A model with constructed instead of trained weights, so that the role of each head is known.</summary>
internal sealed record WiredModel
{
    /// <summary>Heads per layer.</summary>
    public const int Heads = 4;

    /// <summary>Folder name.</summary>
    public required string Name { get; init; }

    /// <summary>What it demonstrates, in one sentence.</summary>
    public required string Shows { get; init; }

    /// <summary>Layers of the decoder.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Whether the last position reads picture and note directly.</summary>
    public bool Direct { get; init; }

    /// <summary>The layer whose MLP chooses between picture and note, or null.</summary>
    public int? MlpDecides => Gates.Count == 0 ? null : Gates[0].Layer;

    /// <summary>Whether a single arbiter changes no answer, but all of them together do.</summary>
    public bool ArbitersActTogether { get; init; }

    /// <summary>Whether the tendency to say "unsure" is stronger than any answer.</summary>
    internal bool Unsure { get; init; }

    /// <summary>The heads with constructed weights. All others have random weights.</summary>
    internal IReadOnlyList<WiredHead> Planted { get; init; } = [];

    /// <summary>The neurons with constructed weights.</summary>
    internal IReadOnlyList<Gate> Gates { get; init; } = [];

    /// <summary>All models, in the order of the documentation.</summary>
    public static IReadOnlyList<WiredModel> All => WiredModels.All;
}
