namespace AnchorScope.Studies;

/// <summary>An amount of computation.</summary>
/// <param name="Runs">Number of runs: those without intervention, donors, one for each intervention, and one for each point of a backward
/// pass.</param>
/// <param name="Operations">Floating-point operations of the decoder with the planner.</param>
/// <param name="Pictures">Number of pictures encoded by the vision tower.</param>
internal readonly record struct Work(double Runs, double Operations, double Pictures = 0)
{
    /// <summary>The sum.</summary>
    public static Work operator +(Work a, Work b) => new(a.Runs + b.Runs, a.Operations + b.Operations, a.Pictures + b.Pictures);

    /// <summary>A multiple of an amount.</summary>
    public static Work operator *(double times, Work work) => new(times * work.Runs, times * work.Operations, times * work.Pictures);
}

/// <summary>The estimate for one phase of a study. Amounts that depend on results are a range.</summary>
/// <param name="Phase">Name in results.jsonl.</param>
/// <param name="Samples">Maximum number of samples.</param>
/// <param name="Least">Amount if no run fails and no search finds a head.</param>
/// <param name="Most">Amount if every run fails and every search continues to its last head.</param>
internal sealed record PhaseEstimate(string Phase, int Samples, Work Least, Work Most);

/// <summary>The cost of a study, computed before it runs from its settings and the first samples of every set.</summary>
/// <param name="Phases">Its phases in order.</param>
/// <param name="Workers">Number of concurrent passes.</param>
/// <param name="WeightBytes">Weights as stored and, for a small model, again as packed panels.</param>
/// <param name="WorkBytes">Maximum size of recorded runs and activations of all workers.</param>
internal sealed record StudyEstimate(IReadOnlyList<PhaseEstimate> Phases, int Workers, long WeightBytes, long WorkBytes)
{
    /// <summary>Total amount, lower bound.</summary>
    public Work Least => Phases.Aggregate(default(Work), (sum, phase) => sum + phase.Least);

    /// <summary>Total amount, upper bound.</summary>
    public Work Most => Phases.Aggregate(default(Work), (sum, phase) => sum + phase.Most);

    /// <summary>Seconds per operation of one worker, measured on a plain run of the first sample.</summary>
    public required double SecondsPerOperation { get; init; }

    /// <summary>
    /// Seconds of one worker for the vision tower and the embedding of a picture, measured on the first sample with a picture.
    /// </summary>
    public required double SecondsPerPicture { get; init; }

    /// <summary>Seconds at the measured rate, lower bound.</summary>
    public double LeastSeconds => Seconds(Least);

    /// <summary>Seconds at the measured rate, upper bound.</summary>
    public double MostSeconds => Seconds(Most);

    private double Seconds(Work work) => (work.Operations * SecondsPerOperation + work.Pictures * SecondsPerPicture) / Workers;
}
