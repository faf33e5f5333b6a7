using System.Diagnostics;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>
/// Progress of long work on standard error: bars on a terminal, a line per minute in a log (the first after 30 s), nothing with --quiet.
/// Each part of the work has its own bar or line, with its estimated remaining time.
/// </summary>
internal sealed class WorkProgress
{
    private static readonly TimeSpan BetweenLines = TimeSpan.FromMinutes(1);

    // Early enough to stop a run that would take too long.
    private static readonly TimeSpan FirstLine = TimeSpan.FromSeconds(30);

    private readonly ProgressContext? _bars;
    private readonly Dictionary<string, ProgressTask> _tasks = new(StringComparer.Ordinal);
    private readonly Lock _writing = new();
    private readonly Dictionary<string, (long Time, double Done)> _begun = new(StringComparer.Ordinal);
    private long _said = Stopwatch.GetTimestamp();
    private bool _first = true;

    private WorkProgress(ProgressContext? bars) => _bars = bars;

    /// <summary>Runs work that reports its progress.</summary>
    /// <param name="bytes">Whether progress is counted in bytes.</param>
    public static T Run<T>(Func<WorkProgress, T> work, bool bytes = false)
    {
        if (Terminal.Quiet || Console.IsErrorRedirected) return work(new WorkProgress(null));
        ProgressColumn[] last = bytes ? [new DownloadedColumn(), new TransferSpeedColumn()] : [new ElapsedTimeColumn()];
        return Terminal.Error.Progress()
            .Columns([new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), .. last,
                new RemainingTimeColumn()])
            .Start(bars => work(new WorkProgress(bars)));
    }

    /// <summary>Shows a part that has not started.</summary>
    public void Expect(string part, string shown, double of)
    {
        if (_bars is not null) _tasks[part] = _bars.AddTask(Markup.Escape(shown), autoStart: false, maxValue: of);
    }

    /// <summary>Reports the progress of a part.</summary>
    /// <param name="part">Its name, shown unless <paramref name="shown"/> is given.</param>
    /// <param name="shown">The text to show from now on.</param>
    public void Tell(string part, double done, double of, string? shown = null)
    {
        lock (_writing)
        {
            if (_bars is null)
            {
                _begun.TryAdd(part, (Stopwatch.GetTimestamp(), done));
                if (Terminal.Quiet || Stopwatch.GetElapsedTime(_said) < (_first ? FirstLine : BetweenLines)) return;
                (_said, _first) = (Stopwatch.GetTimestamp(), false);
                Console.Error.WriteLine(FormattableString.Invariant($"{shown ?? part}: {done:0} of {of:0}{Left(_begun[part], done, of)}"));
                return;
            }
            if (!_tasks.TryGetValue(part, out var task)) _tasks[part] = task = _bars.AddTask(Markup.Escape(shown ?? part), maxValue: of);
            if (!task.IsStarted) task.StartTask();
            if (shown is not null) task.Description = Markup.Escape(shown);
            (task.MaxValue, task.Value) = (of, done);
        }
    }

    /// <summary>Estimated remaining time of a part at its rate so far; empty if none of it is done yet.</summary>
    private static string Left((long Time, double Done) begun, double done, double of) => done > begun.Done && done < of
        ? $", {Amount.Duration(Stopwatch.GetElapsedTime(begun.Time).TotalSeconds * (of - done) / (done - begun.Done))} left"
        : "";
}
