using System.Runtime.InteropServices;

namespace AnchorScope.Bench;

/// <summary>A temporary folder, deleted on disposal.</summary>
internal sealed class Scratch : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ascope-bench-").FullName;
    private readonly PosixSignalRegistration[] _signals;

    public Scratch()
    {
        // A signal or an uncaught exception disposes nothing, and the folder may contain gigabytes.
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM }
            .Select(signal => PosixSignalRegistration.Create(signal, _ => Delete()))];
        AppDomain.CurrentDomain.UnhandledException += Delete;
    }

    public string File(string name) => Path.Combine(_folder, name);

    public void Dispose()
    {
        AppDomain.CurrentDomain.UnhandledException -= Delete;
        foreach (var signal in _signals) signal.Dispose();
        Delete();
    }

    private void Delete(object sender, UnhandledExceptionEventArgs e) => Delete();

    private void Delete()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }
}
