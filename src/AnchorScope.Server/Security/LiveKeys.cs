using Microsoft.Extensions.Logging;

namespace AnchorScope.Server.Security;

/// <summary>
/// The keys of a file that may change while the server runs: a key that is added or removed counts from the next second on. If the file
/// becomes wrong or is lost, the keys that were read last stay, and the log of the process says so.
/// </summary>
internal sealed class LiveKeys
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private static readonly Action<ILogger, string, Exception?> Kept = LoggerMessage.Define<string>(
        LogLevel.Error, new EventId(3, "keys kept"), "{Message}; the keys that were read before stay in force");

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private KeyRing _keys;
    private (DateTime Written, long Length) _stamp;
    private long _looked;

    /// <exception cref="InputException">The file is wrong.</exception>
    public LiveKeys(string path, TimeProvider time)
    {
        (_path, _time, _stamp) = (path, time, Stamp(path));
        (_keys, _looked) = (KeyRing.Load(path), time.GetTimestamp());
    }

    /// <summary>Told what is wrong with a changed file.</summary>
    public ILogger? Logger { get; set; }

    /// <summary>The key that a request has, unless it has expired; null if it has none that is known.</summary>
    /// <param name="authorization">The header of this name.</param>
    public ServerKey? Find(string? authorization)
    {
        var key = Now().Find(authorization);
        return key?.Expires <= _time.GetUtcNow() ? null : key;
    }

    /// <summary>Whether a key is still there, with the same role, and has not expired.</summary>
    public bool Holds(ServerKey key) => Now().Keys.Contains(key) && !(key.Expires <= _time.GetUtcNow());

    private KeyRing Now()
    {
        lock (_lock)
        {
            if (_time.GetElapsedTime(_looked) < Every) return _keys;
            _looked = _time.GetTimestamp();
            var stamp = Stamp(_path);
            if (stamp == _stamp) return _keys;
            _stamp = stamp;
            try
            {
                _keys = KeyRing.Load(_path);
            }
            catch (InputException e)
            {
                if (Logger is { } logger) Kept(logger, e.Message, null);
            }
            return _keys;
        }
    }

    private static (DateTime Written, long Length) Stamp(string path)
    {
        var file = new FileInfo(path);
        return file.Exists ? (file.LastWriteTimeUtc, file.Length) : default;
    }
}
