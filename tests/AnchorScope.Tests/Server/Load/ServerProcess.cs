using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Server.Load;

/// <summary>What a process holds.</summary>
/// <param name="Anonymous">Resident bytes but for mapped files: heaps, arenas, stacks.</param>
/// <param name="Heap">Bytes of the managed heap, garbage included.</param>
/// <param name="Kept">Share of the memory for keys and values that is reserved or kept, 0 to 1.</param>
internal sealed record Held(long Anonymous, long Heap, double Kept, int Threads, int Handles)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Anonymous >> 20} MiB anonymous, {Heap >> 20} MiB managed, {Kept:0.000} of the keys and values, {Threads} threads, ")
        + string.Create(CultureInfo.InvariantCulture, $"{Handles} files");
}

/// <summary><c>ascope serve</c> as a process of its own, so that it can be killed and its memory is its own.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = [];

    private ServerProcess(Process process) => _process = process;

    public Uri Address { get; private set; } = null!;

    public HttpClient Client { get; } = new() { Timeout = TimeSpan.FromSeconds(60) };

    /// <summary>What it has printed, errors included.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    /// <summary>Starts it at a free port and waits until it listens.</summary>
    public static async Task<ServerProcess> Start(TempFolder temp, string state, params string[] more)
    {
        var server = new ServerProcess(Ascope.Start(temp.Path,
            ["serve", "--model", Fixtures.Grown("relay"), "--urls", "http://127.0.0.1:0", "--state", state, .. more]));
        var listening = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        void Take(string? line)
        {
            if (line is null)
            {
                listening.TrySetException(new InvalidOperationException("ended: " + string.Join('\n', server._lines)));
                return;
            }
            server._lines.Enqueue(line);
            if (line.StartsWith("listening on ", StringComparison.Ordinal)) listening.TrySetResult(line["listening on ".Length..]);
        }
        server._process.OutputDataReceived += (_, e) => Take(e.Data);
        server._process.ErrorDataReceived += (_, e) =>
        {
            if (e.Data is not null) server._lines.Enqueue(e.Data);
        };
        server._process.BeginOutputReadLine();
        server._process.BeginErrorReadLine();
        server.Address = new Uri(await listening.Task.WaitAsync(TimeSpan.FromSeconds(60)));
        server.Client.BaseAddress = server.Address;
        return server;
    }

    /// <summary>What it holds now, by its own metrics and by proc(5).</summary>
    public async Task<Held> Held()
    {
        var metrics = (await Client.GetStringAsync("/metrics")).Split('\n');
        double Metric(string name) => double.Parse(metrics.Single(line => line.StartsWith(name + "{", StringComparison.Ordinal)
            || line.StartsWith(name + " ", StringComparison.Ordinal)).Split(' ')[^1], CultureInfo.InvariantCulture);
        var folder = $"/proc/{_process.Id}";
        int Status(string name) => int.Parse(File.ReadLines(folder + "/status").Single(line =>
            line.StartsWith(name + ":", StringComparison.Ordinal)).Split(['\t', ' '], StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture);
        return new Held(Status("RssAnon") * 1024L, (long)Metric("dotnet_total_memory_bytes"), Metric("anchorscope_kv_cache_usage_perc"),
            Status("Threads"), Directory.GetFileSystemEntries(folder + "/fd").Length);
    }

    /// <summary>Ends it at once, wherever it is.</summary>
    public async Task Kill()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Asks it to end, and waits until it has.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> Stop()
    {
        using (var signal = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]))
            await signal.WaitForExitAsync();
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        if (!_process.HasExited) await Kill();
        _process.Dispose();
    }
}
