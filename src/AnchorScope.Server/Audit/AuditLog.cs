using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

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
    private readonly string? _anchor;
    private readonly int _every;
    private readonly LogKey _key;
    private readonly FileStream _mine;
    private readonly FileStream _file;
    private readonly MerkleTree _tree = new();
    private readonly TimeProvider _time;
    private string _previous = "";
    private long _sealed;
    private Exception? _failure;

    /// <summary>Opens the log in a folder, or begins one.</summary>
    /// <param name="anchor">A second place for checkpoints; null for none.</param>
    /// <param name="every">A checkpoint is made after this number of records.</param>
    /// <exception cref="InputException">The log is damaged, or does not have what a checkpoint of it says.</exception>
    public AuditLog(string folder, TimeProvider time, string? anchor = null, int every = 64)
    {
        (_folder, _time, _anchor, _every) = (folder, time, anchor, every);
        Directory.CreateDirectory(Path.Combine(folder, Checkpoints));
        if (anchor is not null) Directory.CreateDirectory(anchor);
        _mine = Lock(folder);
        _key = LogKey.LoadOrCreate(folder);
        _file = new FileStream(Path.Combine(folder, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            Recovered = Recover();
            if (AuditReader.Broken(folder, _key, anchor) is { } broken) throw new InputException(broken);
        }
        catch
        {
            _file.Dispose();
            _mine.Dispose();
            throw;
        }
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

    /// <summary>Bytes of an unfinished record that were removed at the start: the server was killed while it wrote them.</summary>
    public long Recovered { get; }

    /// <summary>Number of records.</summary>
    public long Count => _tree.Count;

    /// <summary>Root of the tree, base64.</summary>
    public string Root => Convert.ToBase64String(_tree.Root);

    /// <summary>The key with which anyone can verify.</summary>
    public string Verifier => _key.Verifier;

    /// <summary>Whether the last write failed, for instance because the disk is full. Nothing may be answered then.</summary>
    public bool HasFailed => _failure is not null;

    /// <summary>Adds a record and waits until it is on the disk.</summary>
    /// <param name="kind">What happened.</param>
    /// <param name="record">Its members. Index, time and hash of the record before are added.</param>
    /// <exception cref="IOException">It could not be written. Later records are refused, too.</exception>
    public AuditPlace Append(string kind, JsonObject record)
    {
        lock (_lock)
        {
            if (_failure is not null) throw new IOException("the audit log cannot be written", _failure);
            var index = _tree.Count;
            record["kind"] = kind;
            record["index"] = index;
            record["time"] = _time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            record["previous"] = _previous;
            var line = CanonicalJson.Write(record);
            var start = _file.Position;
            try
            {
                _file.Write([.. line, (byte)'\n']);
                _file.Flush(flushToDisk: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                _failure = e;
                // What was written of the record is taken back as far as possible: it was never acknowledged.
                try
                {
                    _file.SetLength(start);
                }
                catch (IOException)
                {
                    // The next start removes it.
                }
                throw new IOException("the audit log cannot be written", e);
            }
            Add(line);
            var place = new AuditPlace(index, Root);
            if (_tree.Count - _sealed >= _every) Seal();
            return place;
        }
    }

    /// <summary>Makes a checkpoint if there are records since the last one.</summary>
    public void Checkpoint()
    {
        lock (_lock)
        {
            if (_tree.Count > _sealed) Seal();
        }
    }

    /// <summary>Makes a last checkpoint and closes the log.</summary>
    public void Dispose()
    {
        if (_failure is null) Checkpoint();
        _file.Dispose();
        _mine.Dispose();
    }

    private void Seal()
    {
        var note = _key.Sign(new Checkpoint(_key.Name, _tree.Count, _tree.Root).Text);
        var name = _tree.Count.ToString("D12", CultureInfo.InvariantCulture);
        foreach (var folder in new[] { Path.Combine(_folder, Checkpoints), _anchor })
        {
            if (folder is null) continue;
            var path = Path.Combine(folder, name);
            using (var file = new FileStream(path + ".tmp", FileMode.Create, FileAccess.Write))
            {
                file.Write(Encoding.UTF8.GetBytes(note));
                file.Flush(flushToDisk: true);
            }
            File.Move(path + ".tmp", path, overwrite: true);
        }
        _sealed = _tree.Count;
    }

    private void Add(ReadOnlySpan<byte> line)
    {
        var leaf = MerkleTree.Leaf(line);
        _tree.Append(leaf);
        _previous = Convert.ToHexStringLower(leaf);
    }

    /// <summary>Reads the lines that are there, and removes a last one without an end.</summary>
    private long Recover()
    {
        var bytes = new byte[_file.Length];
        _file.ReadExactly(bytes);
        var end = Array.LastIndexOf(bytes, (byte)'\n') + 1;
        for (var start = 0; start < end;)
        {
            var next = Array.IndexOf(bytes, (byte)'\n', start);
            Add(bytes.AsSpan(start, next - start));
            start = next + 1;
        }
        _file.SetLength(end);
        _file.Position = end;
        _sealed = AuditReader.LastSealed(_folder);
        return bytes.Length - end;
    }
}
