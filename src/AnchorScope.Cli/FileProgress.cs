namespace AnchorScope.Cli;

/// <summary>A progress bar for work on files, in bytes.</summary>
internal static class FileProgress
{
    public static T Show<T>(string name, Func<Action<long, long>, T> work) =>
        WorkProgress.Run(progress => work((done, all) => progress.Tell(name, done, all)), bytes: true);
}
