namespace AnchorScope.Tuning;

/// <summary>Which parameters of the named heads are trained.</summary>
internal enum TuningKind
{
    /// <summary>A factor for each head's output.</summary>
    Gain,

    /// <summary>The heads' rows of the query, key and value projections, and their columns of o_proj.</summary>
    Slices,

    /// <summary>A low-rank addition to these.</summary>
    LowRank,

    /// <summary>Everything in the decoder's layers, whatever heads are named: the comparison for tuning heads.</summary>
    Full,
}

/// <summary>Training options. Everything that changes a number is here and is recorded in settings.json and tune.json.</summary>
internal sealed record TuningOptions
{
    /// <summary>Which parameters are trained.</summary>
    public required TuningKind Kind { get; init; }

    /// <summary>Rank of a low-rank addition to a tensor.</summary>
    public int Rank { get; init; } = 4;

    /// <summary>Maximum number of steps.</summary>
    public int Steps { get; init; } = 400;

    /// <summary>Number of runs with a conflict per step. Half as many without one are added.</summary>
    public int Batch { get; init; } = 32;

    /// <summary>Learning rate of AdamW; null: <see cref="DefaultRate"/>.</summary>
    public double? Rate { get; init; }

    /// <summary>Weight of the term that preserves the behaviour without a conflict; 0 for none.</summary>
    public double Keep { get; init; } = 1;

    /// <summary>Number of steps between measurements on the validation set.</summary>
    public int MeasureEvery { get; init; } = 20;

    /// <summary>Number of measurements without improvement after which training ends.</summary>
    public int Patience { get; init; } = 5;

    /// <summary>Seed of batches, initial values, random heads and bootstrap.</summary>
    public ulong Seed { get; init; }

    /// <summary>The learning rate of a kind if none is given.</summary>
    public static double DefaultRate(TuningKind kind) => kind switch
    {
        TuningKind.Gain => 0.05,
        TuningKind.LowRank => 0.003,
        TuningKind.Slices => 0.001,
        _ => 0.0003,
    };

    /// <summary>Named definitions that were a choice.</summary>
    public IReadOnlyDictionary<string, string> Variants => new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["learnt"] = Kind == TuningKind.LowRank ? $"low_rank {Rank}" : EnumName.Of(Kind),
        ["objective"] = "first_token_cross_entropy",
        ["keep"] = "kl_original_to_tuned_last_position",
        ["following"] = "argmax",
    };
}
