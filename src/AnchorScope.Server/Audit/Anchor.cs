using System.Diagnostics;
using System.Threading.Channels;

namespace AnchorScope.Server.Audit;

/// <summary>
/// The second place of checkpoints: a folder, a command, or both. It is written beside the log on a task of its own, because it may be on
/// another machine: a failure is told and serving goes on.
/// </summary>
internal sealed class Anchor : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Channel<(long Count, string Note)> _queue =
        Channel.CreateBounded<(long Count, string Note)>(new BoundedChannelOptions(256) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly Task _task;
    private long _failures;

    /// <param name="folder">Gets each checkpoint as a file; null: none does.</param>
    /// <param name="command">Gets each checkpoint on standard input; null: none does.</param>
    /// <param name="told">Called with the reason when it begins to fail, and with null when it works again.</param>
    public Anchor(string? folder, string? command, Action<string?> told) => _task = Task.Run(async () =>
    {
        var failing = false;
        await foreach (var (count, note) in _queue.Reader.ReadAllAsync())
        {
            string? failure = null;
            if (folder is not null) failure = Write(folder, count, note);
            if (command is not null) failure = await Run(command, count, note) ?? failure;
            if (failure is not null) Interlocked.Increment(ref _failures);
            if (failure is not null != failing) told(failure);
            failing = failure is not null;
        }
    });

    /// <summary>Checkpoints that it did not get.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Hands it a checkpoint; returns at once.</summary>
    public void Publish(long count, string note) => _queue.Writer.TryWrite((count, note));

    /// <summary>Waits for the checkpoints that were handed over.</summary>
    public void Dispose()
    {
        _queue.Writer.TryComplete();
        _task.Wait(2 * Patience);
    }

    private static string? Write(string folder, long count, string note)
    {
        try
        {
            // A folder that is gone, for instance with its mount, is not made again.
            CheckpointFolder.Write(folder, count, note);
            return null;
        }
        catch (IOException e)
        {
            return e.Message;
        }
    }

    private static async Task<string?> Run(string command, long count, string note)
    {
        var start = OperatingSystem.IsWindows()
            ? new ProcessStartInfo("cmd", ["/c", command]) : new ProcessStartInfo("sh", ["-c", command]);
        start.RedirectStandardInput = start.RedirectStandardError = start.RedirectStandardOutput = true;
        start.Environment["ANCHORSCOPE_CHECKPOINT"] = CheckpointFolder.Name(count);
        try
        {
            using var process = Process.Start(start)!;
            using var late = new CancellationTokenSource(Patience);
            try
            {
                var (error, output) = (process.StandardError.ReadToEndAsync(late.Token), process.StandardOutput.ReadToEndAsync(late.Token));
                // A command that reads nothing has closed its end: its exit code tells.
                try
                {
                    await process.StandardInput.WriteAsync(note.AsMemory(), late.Token);
                    process.StandardInput.Close();
                }
                catch (IOException)
                {
                }
                await process.WaitForExitAsync(late.Token);
                await output;
                var line = (await error).Split('\n')[0].Trim();
                return process.ExitCode == 0
                    ? null : $"--anchor-command: exit code {process.ExitCode}{(line.Length > 0 ? $": {line}" : "")}";
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                return $"--anchor-command: no end after {Patience.TotalSeconds:0} seconds";
            }
        }
        catch (Exception e) when (e is IOException or System.ComponentModel.Win32Exception)
        {
            return $"--anchor-command: {e.Message}";
        }
    }
}
