using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Server.Audit;

namespace AnchorScope.Server.Integrity;

/// <summary>Which manifest a checkpoint is held to.</summary>
internal sealed record IntegrityOptions
{
    /// <summary>The signed manifest.</summary>
    public required string Manifest { get; init; }

    /// <summary>The public key that must have signed it.</summary>
    public required string Key { get; init; }

    /// <summary>Bytes that are read in a second while serving, at most.</summary>
    public long BytesPerSecond { get; init; } = 16L << 20;

    /// <summary>Time from the end of one reading to the next one.</summary>
    public TimeSpan Period { get; init; } = TimeSpan.FromHours(1);
}

/// <summary>
/// Holds the files of a checkpoint to its manifest: at the start, and slowly again while serving. A file that is changed, missing or added
/// gives an alert that names it, and one when it is as it was.
/// </summary>
internal sealed class IntegrityWatch : IDisposable
{
    private const int Piece = 1 << 18;

    private readonly string _folder;
    private readonly Manifest _manifest;
    private readonly IntegrityOptions _options;
    private readonly AuditTrail _trail;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, ManifestDifference> _known = new(StringComparer.Ordinal);
    private Task? _task;

    private IntegrityWatch(string folder, Manifest manifest, IntegrityOptions options, AuditTrail trail) =>
        (_folder, _manifest, _options, _trail) = (folder, manifest, options, trail);

    /// <summary>Checks every file.</summary>
    /// <exception cref="InputException">The manifest is not signed by the key, or a file is not as it says.</exception>
    public static async Task<IntegrityWatch> Open(string folder, IntegrityOptions options, AuditTrail trail)
    {
        using var key = ManifestSignature.Key(options.Key);
        var manifest = ManifestSignature.Verify(options.Manifest, key);
        if (await manifest.FirstDifference(folder) is { } difference) throw difference.Error(folder);
        return new IntegrityWatch(folder, manifest, options, trail);
    }

    /// <summary>Goes on in the background until it is disposed of.</summary>
    public void Follow()
    {
        _trail.Try("integrity", new JsonObject
            { ["manifest_sha256"] = Digest.OfFile(_options.Manifest), ["files"] = _manifest.Files.Count, ["different"] = 0 });
        _task = Task.Run(Loop);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stop.IsCancellationRequested) return;
        _stop.Cancel();
        _task?.GetAwaiter().GetResult();
        _stop.Dispose();
    }

    private async Task Loop()
    {
        try
        {
            while (true)
            {
                await Task.Delay(_options.Period, _stop.Token);
                await Check();
            }
        }
        catch (OperationCanceledException)
        {
            // The server ends.
        }
    }

    private async Task Check()
    {
        var found = new Dictionary<string, ManifestDifference>(StringComparer.Ordinal);
        await foreach (var difference in _manifest.Differences(_folder, Hash)) found.Add(difference.Name, difference);
        foreach (var (name, difference) in found)
        {
            if (_known.GetValueOrDefault(name) != difference) Tell(difference, cleared: false);
        }
        foreach (var (name, difference) in _known)
        {
            if (!found.ContainsKey(name)) Tell(difference, cleared: true);
        }
        _known.Clear();
        foreach (var (name, difference) in found) _known.Add(name, difference);
        _trail.Try("integrity", new JsonObject { ["files"] = _manifest.Files.Count, ["different"] = found.Count });
    }

    private void Tell(ManifestDifference difference, bool cleared) => _trail.Alert("integrity", new JsonObject
    {
        ["file"] = difference.Name, ["what"] = difference.What, ["expected"] = difference.Expected, ["found"] = difference.Found,
        ["cleared"] = cleared,
    });

    /// <summary>SHA-256 of a file, read no faster than allowed. A file that cannot be read has none.</summary>
    private async Task<string> Hash(string path)
    {
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Read,
                FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            var (bytes, read, watch) = (new byte[Piece], 0L, Stopwatch.StartNew());
            while (await file.ReadAsync(bytes, _stop.Token) is > 0 and var count)
            {
                hash.AppendData(bytes, 0, count);
                read += count;
                var early = TimeSpan.FromSeconds(read / (double)_options.BytesPerSecond) - watch.Elapsed;
                if (early > TimeSpan.Zero) await Task.Delay(early, _stop.Token);
            }
            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"unreadable: {FileError.Reason(e)}";
        }
    }
}
