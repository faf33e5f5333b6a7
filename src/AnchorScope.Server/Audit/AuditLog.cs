using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.Win32.SafeHandles;

namespace AnchorScope.Server.Audit;

/// <summary>Where a record stands, and the root of the tree with it.</summary>
internal sealed record AuditPlace(long Index, string Root);

/// <summary>
/// The append-only record of a server: one line of canonical JSON for each event in <c>log.jsonl</c>, a Merkle tree over the lines, and
/// signed checkpoints of it in <c>checkpoints/</c>. A record is on the disk when <see cref="Append"/> returns.
/// </summary>
internal sealed class AuditLog : IDisposable
{
    public const string FileName = "log.jsonl";
    public const string Checkpoints = "checkpoints";

    private readonly Lock _lock = new();
    private readonly string _folder;
    private readonly AuditLogOptions _options;
    private readonly LogKey _key;
    private readonly FileStream _mine;
    private readonly SafeFileHandle _file;
    private readonly MerkleTree _tree;
    private readonly TimeProvider _time;
    private readonly Anchor _anchor;
    private readonly ITimer _timer;
    private string _previous;
    private long _end;
    private long _sealed;
    private (string Reason, DateTimeOffset Since)? _failure;
    private string? _unsealed;

    /// <summary>Opens the log in a folder, or begins one.</summary>
    /// <exception cref="InputException">
    /// The log is damaged, or does not have what a checkpoint of it says, or the folder of the anchor is missing.
    /// </exception>
    public AuditLog(string folder, TimeProvider time, AuditLogOptions? options = null)
    {
        (_folder, _time, _options) = (folder, time, options ?? new AuditLogOptions());
        if (_options.Anchor is { } second && !Directory.Exists(second))
            throw InputException.At("--anchor", second, "a folder that exists", "nothing");
        Directory.CreateDirectory(Path.Combine(folder, Checkpoints));
        _mine = Lock(folder);
        try
        {
            _key = LogKey.LoadOrCreate(folder);
            _file = File.OpenHandle(Path.Combine(folder, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
            var scan = Scan();
            (_tree, _previous, _end, _sealed) = (scan.Tree, scan.Previous, scan.End, scan.Sealed);
            Recovered = RandomAccess.GetLength(_file) - _end;
            RandomAccess.SetLength(_file, _end);
        }
        catch
        {
            _file?.Dispose();
            _mine.Dispose();
            throw;
        }
        _anchor = new Anchor(_options.Anchor, _options.AnchorCommand, Told);
        if (_sealed > 0) _anchor.Publish(_sealed, File.ReadAllText(Path.Combine(folder, Checkpoints, CheckpointFolder.Name(_sealed))));
        _timer = time.CreateTimer(_ => Turn(), null, _options.Period, _options.Period);
    }

    /// <summary>Reads what is there. What checkpoints cover is compared by hash; only a log that is broken is read again for the place.
    /// </summary>
    private LogScan Scan()
    {
        // A new folder for checkpoints is no fault: it gets the newest one at once.
        var anchor = _options.Anchor is { } second && CheckpointFolder.Last(second) > 0 ? second : null;
        var scan = LogScan.Of(_folder, _key, anchor, CheckpointFolder.Last(Path.Combine(_folder, Checkpoints)));
        return scan.Broken is { } broken ? throw new InputException(LogScan.Of(_folder, _key, anchor).Broken ?? broken) : scan;
    }

    /// <summary>Two servers that write one log would overwrite each other's records.</summary>
    private static FileStream Lock(string folder)
    {
        try
        {
            return new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new InputException(
                $"{folder}: another server keeps its log there; wait until it ends, or name another folder with --state", e);
        }
    }

    /// <summary>Called after a record was added, outside of any answer's critical section: it must return at once.</summary>
    public Action? Appended { get; set; }

    /// <summary>Bytes of an unfinished record that were removed at the start: the server was killed while it wrote them.</summary>
    public long Recovered { get; }

    /// <summary>Number of records.</summary>
    public long Count => _tree.Count;

    /// <summary>Root of the tree, base64.</summary>
    public string Root => Convert.ToBase64String(_tree.Root);

    /// <summary>Number of records that the newest checkpoint covers.</summary>
    public long Sealed => Interlocked.Read(ref _sealed);

    /// <summary>Checkpoints that the second place did not get.</summary>
    public long AnchorFailures => _anchor.Failures;

    /// <summary>The key with which anyone can verify.</summary>
    public string Verifier => _key.Verifier;

    /// <summary>Adds a record and waits until it is on the disk. After a failure, writing is tried again.</summary>
    /// <param name="kind">What happened.</param>
    /// <param name="record">Its members. Index, time and hash of the record before are added.</param>
    /// <exception cref="IOException">It could not be written.</exception>
    public AuditPlace Append(string kind, JsonObject record)
    {
        AuditPlace place;
        lock (_lock)
        {
            Resume();
            place = Write(kind, record);
            if (_tree.Count - _sealed >= _options.Every) Seal();
        }
        Appended?.Invoke();
        return place;
    }

    /// <summary>Why the log cannot be written, for instance because the disk is full; null if it can. Nothing may be answered then. It is
    /// tried again first.</summary>
    public string? Failure()
    {
        lock (_lock)
        {
            try
            {
                Resume();
                return null;
            }
            catch (IOException)
            {
                return _failure?.Reason;
            }
        }
    }

    /// <summary>Makes a checkpoint if there are records since the last one.</summary>
    /// <returns>Why not all records are under a checkpoint; null if they are.</returns>
    public string? Checkpoint()
    {
        lock (_lock)
        {
            if (_tree.Count > _sealed) Seal();
            return _tree.Count > _sealed ? _unsealed : null;
        }
    }

    /// <summary>Makes a last checkpoint and closes the log.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        Checkpoint();
        // It may have something to tell, so the log is closed after it.
        _anchor.Dispose();
        lock (_lock)
        {
            Checkpoint();
            _file.Dispose();
            _mine.Dispose();
        }
    }

    /// <summary>After a failure, the next record says so: it is the first one that can be written again.</summary>
    private void Resume()
    {
        if (_failure is { } failure)
            Write("resumed", new JsonObject { ["since"] = Text(failure.Since), ["reason"] = failure.Reason });
    }

    private AuditPlace Write(string kind, JsonObject record)
    {
        var index = _tree.Count;
        record["kind"] = kind;
        record["index"] = index;
        record["time"] = Text(_time.GetUtcNow());
        record["previous"] = _previous;
        var line = CanonicalJson.Write(record);
        try
        {
            // Of a record that failed, something may be left.
            if (_failure is not null) RandomAccess.SetLength(_file, _end);
            _options.Write(_file, [.. line, (byte)'\n'], _end);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _failure ??= (e.Message, _time.GetUtcNow());
            // What was written of the record is taken back as far as possible: it was never acknowledged.
            try
            {
                RandomAccess.SetLength(_file, _end);
            }
            catch (IOException)
            {
                // The next attempt, or the next start, removes it.
            }
            throw new IOException("the audit log cannot be written", e);
        }
        _failure = null;
        _end += line.Length + 1;
        var leaf = MerkleTree.Leaf(line);
        _tree.Append(leaf);
        _previous = Convert.ToHexStringLower(leaf);
        return new AuditPlace(index, Root);
    }

    /// <summary>A checkpoint that fails does not take back the records under it: it is tried again.</summary>
    private void Seal()
    {
        var note = _key.Sign(new Checkpoint(_key.Name, _tree.Count, _tree.Root).Text);
        try
        {
            CheckpointFolder.Write(Path.Combine(_folder, Checkpoints), _tree.Count, note);
        }
        catch (IOException e)
        {
            _unsealed = e.Message;
            return;
        }
        Interlocked.Exchange(ref _sealed, _tree.Count);
        _anchor.Publish(_tree.Count, note);
    }

    private void Turn()
    {
        lock (_lock)
        {
            if (_file.IsClosed) return;
            _ = Failure();
            Checkpoint();
        }
    }

    private void Told(string? failure)
    {
        try
        {
            Append("alert", new JsonObject { ["alert"] = "anchor", ["cleared"] = failure is null, ["detail"] = failure });
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The disk is full, too: requests are refused for that.
        }
    }

    private static string Text(DateTimeOffset time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}
