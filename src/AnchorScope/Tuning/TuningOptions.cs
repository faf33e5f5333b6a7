namespace AnchorScope.Tuning;

/// <summary>What of the named heads learns.</summary>
internal enum TuningKind
{
    /// <summary>A factor of each head's output.</summary>
    Gain,

    /// <summary>Its rows of the projections to queries, keys and values, and its columns of o_proj.</summary>
    Slices,

    /// <summary>A low-rank addition to these.</summary>
    LowRank,

    /// <summary>Everything in the decoder's layers, whatever heads are named: what tuning heads is compared with.</summary>
    Full,
}

/// <summary>How it is learnt. Everything that changes a number is here, and goes into settings.json and tune.json.</summary>
internal sealed record TuningOptions
{
    /// <summary>What learns.</summary>
    public required TuningKind Kind { get; init; }

    /// <summary>Rank of a low-rank addition to a tensor.</summary>
    public int Rank { get; init; } = 4;

    /// <summary>Most steps.</summary>
    public int Steps { get; init; } = 400;

    /// <summary>Runs with a conflict in a step; half as many without one join them.</summary>
    public int Batch { get; init; } = 32;

    /// <summary>Learning rate of AdamW; null: <see cref="DefaultRate"/>.</summary>
    public double? Rate { get; init; }

    /// <summary>Weight of what keeps the behaviour without a conflict; 0 for none.</summary>
    public double Keep { get; init; } = 1;

    /// <summary>Steps from one measurement on the validation set to the next.</summary>
    public int MeasureEvery { get; init; } = 20;

    /// <summary>Measurements without a better one that end the training.</summary>
    public int Patience { get; init; } = 5;

    /// <summary>Of batches, initial values, random heads and bootstrap.</summary>
    public ulong Seed { get; init; }

    /// <summary>The rate that a kind has unless another is asked for.</summary>
    public static double DefaultRate(TuningKind kind) => kind switch
    {
        TuningKind.Gain => 0.05,
        TuningKind.LowRank => 0.003,
        TuningKind.Slices => 0.001,
        _ => 0.0003,
    };

    /// <summary>Definitions that are a choice, by name.</summary>
    public IReadOnlyDictionary<string, string> Variants => new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["learnt"] = Kind == TuningKind.LowRank ? $"low_rank {Rank}" : EnumName.Of(Kind),
        ["objective"] = "first_token_cross_entropy",
        ["keep"] = "kl_original_to_tuned_last_position",
        ["following"] = "argmax",
    };
}
