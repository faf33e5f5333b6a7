using System.Diagnostics;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>
/// How far long work is, on standard error: bars where a person watches, a line a minute in a log, nothing when quiet. One part of the work is a bar.
/// </summary>
internal sealed class WorkProgress
{
    private static readonly TimeSpan BetweenLines = TimeSpan.FromMinutes(1);

    private readonly ProgressContext? _bars;
    private readonly Dictionary<string, ProgressTask> _tasks = new(StringComparer.Ordinal);
    private readonly Lock _turn = new();
    private long _said = Stopwatch.GetTimestamp();

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
                if (Terminal.Quiet || Stopwatch.GetElapsedTime(_said) < BetweenLines) return;
                _said = Stopwatch.GetTimestamp();
                Console.Error.WriteLine(FormattableString.Invariant($"{shown ?? part}: {done:0} of {of:0}"));
                return;
            }
            if (!_tasks.TryGetValue(part, out var task)) _tasks[part] = task = _bars.AddTask(Markup.Escape(shown ?? part), maxValue: of);
            if (!task.IsStarted) task.StartTask();
            if (shown is not null) task.Description = Markup.Escape(shown);
            (task.MaxValue, task.Value) = (of, done);
        }
    }
}
