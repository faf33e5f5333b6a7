namespace AnchorScope.Studies;

/// <summary>Options of a study of steering directions.</summary>
internal sealed record SteeringOptions
{
    /// <summary>Folder of the diagnosis whose heads are steered.</summary>
    public required string Diagnosis { get; init; }

    /// <summary>A second data folder with unseen phrasings. Its test split is only reported, never fitted on. Null for none.</summary>
    public string? Unseen { get; init; }

    /// <summary>Strengths of a direction, used with both signs. 1 is the mean difference between the instructions.</summary>
    public IReadOnlyList<double> Strengths { get; init; } = [0.5, 1, 1.5, 2, 3, 4];

    /// <summary>Numbers added to the attention scores of the instruction.</summary>
    public IReadOnlyList<double> Boosts { get; init; } = [0.25, 0.5, 1, 1.5, 2, 3];

    /// <summary>Number of random sets of heads whose queries are steered for comparison.</summary>
    public int Draws { get; init; } = 19;
}
