namespace AnchorScope.Studies;

/// <summary>An amount of computing.</summary>
/// <param name="Runs">Runs that are asked for: plain ones, donors, one for each intervention, one for each point of a backward pass.</param>
/// <param name="Operations">Floating-point operations of the decoder that the planner makes of them.</param>
/// <param name="Pictures">Pictures that the vision tower reads.</param>
internal readonly record struct Work(double Runs, double Operations, double Pictures = 0)
{
    /// <summary>The sum.</summary>
    public static Work operator +(Work a, Work b) => new(a.Runs + b.Runs, a.Operations + b.Operations, a.Pictures + b.Pictures);

    /// <summary>So many times as much.</summary>
    public static Work operator *(double times, Work work) => new(times * work.Runs, times * work.Operations, times * work.Pictures);
}

/// <summary>A part of a study. What depends on results is a range.</summary>
/// <param name="Phase">As in results.jsonl.</param>
/// <param name="Samples">Samples, at most.</param>
/// <param name="Least">Where no run fails and no search finds a head.</param>
/// <param name="Most">Where every run fails and every search goes on to its last head.</param>
internal sealed record PhaseEstimate(string Phase, int Samples, Work Least, Work Most);

/// <summary>What a study will compute, counted from its settings and the first sample of every set before it runs.</summary>
/// <param name="Phases">Its parts in order.</param>
/// <param name="Workers">Passes that run at the same time.</param>
/// <param name="WeightBytes">Weights, as stored and, of a small model, once more as the kernels read them.</param>
/// <param name="WorkBytes">Recorded runs and activations of all workers at their largest.</param>
internal sealed record StudyEstimate(IReadOnlyList<PhaseEstimate> Phases, int Workers, long WeightBytes, long WorkBytes)
{
    /// <summary>Everything together, at least.</summary>
    public Work Least => Phases.Aggregate(default(Work), (sum, phase) => sum + phase.Least);

    /// <summary>Everything together, at most.</summary>
    public Work Most => Phases.Aggregate(default(Work), (sum, phase) => sum + phase.Most);

    /// <summary>Seconds of one worker for an operation, measured on a plain run of the first sample.</summary>
    public required double SecondsPerOperation { get; init; }

    /// <summary>Seconds of one worker for the vision tower and the embedding of a picture, measured on the first sample that has one.</summary>
    public required double SecondsPerPicture { get; init; }

    /// <summary>Seconds at the measured rate, at least.</summary>
    public double LeastSeconds => Seconds(Least);

    /// <summary>Seconds at the measured rate, at most.</summary>
    public double MostSeconds => Seconds(Most);

    private double Seconds(Work work) => (work.Operations * SecondsPerOperation + work.Pictures * SecondsPerPicture) / Workers;
}
