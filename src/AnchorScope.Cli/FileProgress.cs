using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>A bar for work on files: bytes done and in all.</summary>
internal static class FileProgress
{
    public static T Show<T>(string name, Func<Action<long, long>, T> work) => AnsiConsole.Progress()
        .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
        .Start(progress =>
        {
            var task = progress.AddTask(name);
            return work((done, all) => (task.MaxValue, task.Value) = (all, done));
        });
}
