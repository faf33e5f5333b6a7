using System.Diagnostics;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>
/// How far long work is, on standard error: bars where a person watches, a line a minute in a log (the first after half of one), nothing
/// when quiet. One part of the work is a bar; how long the rest of it takes is said in both.
/// </summary>
internal sealed class WorkProgress
{
    private static readonly TimeSpan BetweenLines = TimeSpan.FromMinutes(1);

    // Early enough to stop what would take too long.
    private static readonly TimeSpan FirstLine = TimeSpan.FromSeconds(30);

    private readonly ProgressContext? _bars;
    private readonly Dictionary<string, ProgressTask> _tasks = new(StringComparer.Ordinal);
    private readonly Lock _turn = new();
    private readonly Dictionary<string, (long Time, double Done)> _begun = new(StringComparer.Ordinal);
    private long _said = Stopwatch.GetTimestamp();
    private bool _first = true;

    private WorkProgress(ProgressContext? bars) => _bars = bars;

    /// <summary>Runs work that tells how far it is.</summary>
    /// <param name="bytes">Whether what is counted are bytes.</param>
    public static T Run<T>(Func<WorkProgress, T> work, bool bytes = false)
    {
        if (Terminal.Quiet || Console.IsErrorRedirected) return work(new WorkProgress(null));
        ProgressColumn[] last = bytes ? [new DownloadedColumn(), new TransferSpeedColumn()] : [new ElapsedTimeColumn()];
        return Terminal.Error.Progress()
            .Columns([new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), .. last, new RemainingTimeColumn()])
            .Start(bars => work(new WorkProgress(bars)));
    }

    /// <summary>Shows a part that has not begun.</summary>
    public void Expect(string part, string shown, double of)
    {
        if (_bars is not null) _tasks[part] = _bars.AddTask(Markup.Escape(shown), autoStart: false, maxValue: of);
    }

    /// <summary>Tells how far a part is.</summary>
    /// <param name="part">Its name, and what is shown unless <paramref name="shown"/> is given.</param>
    /// <param name="shown">What is shown from now on.</param>
    public void Tell(string part, double done, double of, string? shown = null)
    {
        lock (_turn)
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

    /// <summary>How long the rest of a part takes at its rate so far; nothing where none of it was done yet.</summary>
    private static string Left((long Time, double Done) begun, double done, double of) => done > begun.Done && done < of
        ? $", {Amount.Duration(Stopwatch.GetElapsedTime(begun.Time).TotalSeconds * (of - done) / (done - begun.Done))} left"
        : "";
}
