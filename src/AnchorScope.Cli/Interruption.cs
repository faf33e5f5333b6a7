using System.Runtime.InteropServices;

namespace AnchorScope.Cli;

/// <summary>The first Ctrl-C or SIGTERM cancels the token so that work ends in order; the second one ends the process at once.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _signals;

    public Interruption() =>
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM }
            .Select(signal => PosixSignalRegistration.Create(signal, OnSignal))];

    public CancellationToken Token => _source.Token;

    /// <summary>The message for stopped work that can be resumed: how far it got, and the command that resumes it.</summary>
    /// <param name="where">"after 20 samples", or "; " and a sentence.</param>
    /// <param name="flag">The flag that resumes the work; null if none is needed.</param>
    /// <param name="option">An option and its value, added unless the command already contains the option.</param>
    public static OperationCanceledException Stopped(string where, OperationCanceledException e, string? flag = null,
        (string Name, string Value)? option = null)
    {
        IEnumerable<string> again = CommandLine.Arguments;
        if (option is { } named && !again.Any(a => a == named.Name || a.StartsWith(named.Name + "=", StringComparison.Ordinal)))
            again = [.. again, named.Name, named.Value];
        if (flag is not null && !again.Contains(flag)) again = [.. again, flag];
        return new OperationCanceledException($"stopped{(where.StartsWith(';') ? "" : " ")}{where}; to resume: {CommandLine.Shell(again)}",
            e);
    }

    public void Dispose()
    {
        foreach (var signal in _signals) signal.Dispose();
        _source.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = !_source.IsCancellationRequested;
        _source.Cancel();
    }
}
