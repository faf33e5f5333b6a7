using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>What is tuned, on which data, and with which comparisons.</summary>
internal sealed record TuningPlan
{
    /// <summary>Folder of the checkpoint.</summary>
    public required string Model { get; init; }

    /// <summary>File of the head set.</summary>
    public required string Heads { get; init; }

    /// <summary>Whether heads of another model are accepted.</summary>
    public bool AnyModel { get; init; }

    /// <summary>
    /// Conflict sets, or folders of them, for training, for validation (early stopping and the best plain gain) and for testing; null:
    /// drawn in the world of the organism.
    /// </summary>
    public TuningSets? Sets { get; init; }

    /// <summary>Training options.</summary>
    public required TuningOptions Options { get; init; }

    /// <summary>Factors of the plain gain for comparison; empty for no such comparison.</summary>
    public IReadOnlyList<float> Factors { get; init; } = [0.5f, 0.75f, 1.1f, 1.25f, 1.5f, 2, 3, 4];

    /// <summary>Number of random head sets with the same budget: enough for a rank with p = 0.05.</summary>
    public int RandomSets { get; init; } = PermutationRank.Needed(MultipleComparisons.Level, family: 1) - 1;

    /// <summary>Whether the whole decoder is tuned for comparison.</summary>
    public bool Full { get; init; } = true;

    /// <summary>Maximum number of samples of each set that are diagnosed before and after; 0 for no diagnosis.</summary>
    public int Diagnose { get; init; } = 40;

    /// <summary>Number of threads; does not change any number.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>The settings that affect numbers. A run is resumed only with the same settings.</summary>
    internal RunIdentity Identity => new RunIdentity()
        .With("--what", Options.Variants["learnt"]).With("--steps", Options.Steps).With("--batch", Options.Batch)
        .With("--rate", Options.Rate).With("--keep", Options.Keep).With("--measure-every",
            Options.MeasureEvery).With("--patience", Options.Patience)
        .With("--seed", Options.Seed).With("--random", RandomSets).With("--no-full", Full ? null : "yes").With("--diagnose", Diagnose)
        .WithList("factors of the plain gain", Factors);
}

/// <summary>Paths of the conflict sets of a tuning.</summary>
internal sealed record TuningSets(string Train, string Validate, string Test);

/// <summary>Progress of a tuning.</summary>
/// <param name="Part">The current part.</param>
/// <param name="Done">Amount of it that is done.</param>
/// <param name="Of">Total amount.</param>
/// <param name="Point">The last measurement of a training, or null.</param>
internal readonly record struct TuningProgress(string Part, int Done, int Of, TuningPoint? Point = null);
