using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>What is tuned, on what, and what it is compared with.</summary>
internal sealed record TuningPlan
{
    /// <summary>Folder of the checkpoint.</summary>
    public required string Model { get; init; }

    /// <summary>File of the head set.</summary>
    public required string Heads { get; init; }

    /// <summary>Takes heads of another model.</summary>
    public bool AnyModel { get; init; }

    /// <summary>Conflict sets, or folders of some: what is learnt from, what decides when to stop and which plain gain is best, and what is reported; null: drawn in the organism's world.</summary>
    public TuningSets? Sets { get; init; }

    /// <summary>How it is learnt.</summary>
    public required TuningOptions Options { get; init; }

    /// <summary>Factors of the plain gain that it is compared with; none: no such comparison.</summary>
    public IReadOnlyList<float> Factors { get; init; } = [0.5f, 0.75f, 1.1f, 1.25f, 1.5f, 2, 3, 4];

    /// <summary>Random head sets that get the same budget: as many as it takes for a rank with p = 0.05.</summary>
    public int RandomSets { get; init; } = PermutationRank.Needed(MultipleComparisons.Level, family: 1) - 1;

    /// <summary>Whether the whole decoder is tuned for comparison.</summary>
    public bool Full { get; init; } = true;

    /// <summary>At most so many samples of each set are diagnosed before and after; 0: no diagnosis.</summary>
    public int Diagnose { get; init; } = 40;

    /// <summary>Threads; changes no number.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>The settings among what decides a number: a run is continued only with the same.</summary>
    internal RunIdentity Identity => new RunIdentity()
        .With("--what", Options.Variants["learnt"]).With("--steps", Options.Steps).With("--batch", Options.Batch)
        .With("--rate", Options.Rate).With("--keep", Options.Keep).With("--measure-every", Options.MeasureEvery).With("--patience", Options.Patience)
        .With("--seed", Options.Seed).With("--random", RandomSets).With("--no-full", Full ? null : "yes").With("--diagnose", Diagnose)
        .WithList("factors of the plain gain", Factors);
}

/// <summary>Paths of a tuning's conflict sets.</summary>
internal sealed record TuningSets(string Train, string Validate, string Test);

/// <summary>How far a study is.</summary>
/// <param name="Part">What is being done.</param>
/// <param name="Done">Of it.</param>
/// <param name="Of">In all.</param>
/// <param name="Point">Last measurement of a training, or null.</param>
internal readonly record struct TuningProgress(string Part, int Done, int Of, TuningPoint? Point = null);
