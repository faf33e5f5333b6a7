namespace AnchorScope.Server.Scheduling;

/// <summary>Limits of the scheduler. They decide when something runs, never what it gives.</summary>
internal sealed record SchedulerOptions
{
    /// <summary>Maximum number of rows of a pass: one for each answer in progress, the rest for prompts.</summary>
    public int Rows { get; init; } = 256;

    /// <summary>Bytes for the keys and values of answers in progress and of kept prefixes.</summary>
    public long Memory { get; init; } = 2L << 30;

    /// <summary>Maximum number of jobs that wait to be started.</summary>
    public int Queue { get; init; } = 64;

    /// <summary>Whether keys and values of prompts are kept for later jobs.</summary>
    public bool KeepPrefixes { get; init; } = true;

    /// <summary>Number of threads of a pass.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Maximum number of answers in progress. Half of the rows are always left for prompts.</summary>
    public int MostAnswers => Math.Max(1, Rows / 2);

    /// <summary>Checks every value.</summary>
    /// <exception cref="InputException">A value is out of its range.</exception>
    public SchedulerOptions Validated()
    {
        Require("--rows", Rows, 2);
        Require("--memory", Memory, 1);
        Require("--queue", Queue, 1);
        Require("--threads", Threads, 1);
        return this;
    }

    private static void Require(string option, long value, long least)
    {
        if (value < least) throw new InputException($"{option}: expected at least {least}, found {value}");
    }
}
