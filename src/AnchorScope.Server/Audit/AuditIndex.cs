using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace AnchorScope.Server.Audit;

/// <summary>What the index has of a record.</summary>
/// <param name="Place">Where its line begins in the log.</param>
/// <param name="Time">As in the log.</param>
/// <param name="Id">Id of the response; empty for none.</param>
/// <param name="Caller">Name of the key; empty for none.</param>
/// <param name="Answer">Nothing but nulls for what is no request.</param>
internal sealed record IndexedRecord(long Index, long Place, string Time, string Kind, string Id, string Caller, IndexedAnswer Answer);

/// <summary>What the index has of the answer to a request.</summary>
/// <param name="Decision">Which answer was followed; null if it was not asked for.</param>
/// <param name="Status">Status of a refusal; null if it was answered.</param>
/// <param name="Tokens">Generated tokens of all answers.</param>
/// <param name="Steered">Whether something inside the model was changed.</param>
internal sealed record IndexedAnswer(string? Decision, int? Status, long? PromptTokens, long? Tokens, bool Steered);

/// <summary>
/// A table of the records in SQLite beside the log, for queries. It follows the log in the background and is made again from it when it is
/// lost, behind or damaged. Nothing is ever verified with it.
/// </summary>
internal sealed class AuditIndex : IDisposable
{
    public const string FileName = "index.db";

    private const int Version = 1;
    private const int Batch = 10_000;

    private readonly Lock _lock = new();
    private readonly string _path;
    private readonly string _log;
    private readonly AutoResetEvent _wake = new(false);
    private SqliteConnection? _connection;
    private Thread? _thread;
    private volatile bool _stopping;

    /// <param name="folder">The folder of the log.</param>
    public AuditIndex(string folder) =>
        (_path, _log) = (Path.Combine(folder, FileName), Path.Combine(folder, AuditLog.FileName));

    /// <summary>Follows the log on a thread of its own until it is disposed of.</summary>
    public void Follow()
    {
        _thread = new Thread(() =>
        {
            while (!_stopping)
            {
                try
                {
                    CatchUp();
                }
                catch (Exception e) when (e is SqliteException or IOException or UnauthorizedAccessException)
                {
                    // For instance a full disk: the next record tries again.
                }
                _wake.WaitOne();
            }
        }) { IsBackground = true, Name = "index", Priority = ThreadPriority.BelowNormal };
        _thread.Start();
    }

    /// <summary>Says that there are new records; returns at once.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Takes in the records that it lacks.</summary>
    /// <exception cref="SqliteException">It cannot be written.</exception>
    public void CatchUp()
    {
        lock (_lock)
        {
            try
            {
                while (!_stopping && TakeIn())
                {
                }
            }
            catch (SqliteException e) when (IsDamage(e))
            {
                Remove();
                while (!_stopping && TakeIn())
                {
                }
            }
        }
    }

    /// <summary>The latest records, newest first.</summary>
    /// <param name="kind">Of one kind only; null: of all.</param>
    public IReadOnlyList<IndexedRecord> Latest(int count, string? kind) =>
        [.. Find(new RecordQuery { Kind = kind, Last = count }).Reverse()];

    /// <summary>The records that are wanted, in order.</summary>
    public IReadOnlyList<IndexedRecord> Find(RecordQuery query)
    {
        lock (_lock)
        {
            try
            {
                return Read(query);
            }
            catch (SqliteException e) when (IsDamage(e))
            {
                Remove();
                CatchUp();
                return Read(query);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        _wake.Set();
        _thread?.Join();
        _connection?.Dispose();
        _wake.Dispose();
    }

    private List<IndexedRecord> Read(RecordQuery query)
    {
        using var command = Command($"""
            SELECT position, place, time, kind, id, caller, decision, status, prompt_tokens, tokens, steered FROM records
            WHERE ($from IS NULL OR time >= $from) AND ($to IS NULL OR time < $to) AND ($kind IS NULL OR kind = $kind)
              AND ($caller IS NULL OR caller = $caller) AND ($id IS NULL OR id = $id) AND ($before IS NULL OR position < $before)
            ORDER BY position DESC LIMIT $last
            """,
            ("$from", query.From is { } from ? RecordQuery.Text(from) : null), ("$to", query.To is { } to ? RecordQuery.Text(to) : null),
            ("$kind", query.Kind), ("$caller", query.Caller), ("$id", query.Id), ("$before", query.Before), ("$last", query.Last ?? -1));
        using var reader = command.ExecuteReader();
        var found = new List<IndexedRecord>();
        long? Number(int column) => reader.IsDBNull(column) ? null : reader.GetInt64(column);
        while (reader.Read())
        {
            found.Add(new IndexedRecord(reader.GetInt64(0), reader.GetInt64(1), reader.GetString(2),
                reader.GetString(3), reader.GetString(4),
                reader.GetString(5), new IndexedAnswer(reader.IsDBNull(6) ? null : reader.GetString(6),
                    (int?)Number(7), Number(8), Number(9),
                    reader.GetInt64(10) != 0)));
        }
        found.Reverse();
        return found;
    }

    /// <summary>Takes in some records, as one transaction.</summary>
    /// <returns>Whether there may be more.</returns>
    private bool TakeIn()
    {
        // Another process may do the same: the place is read under the lock of the transaction.
        using var transaction = Open().BeginTransaction(deferred: false);
        var (count, place, last) = State();
        if (count > 0 && (LogLines.Of(_log, last, 1 << 12).FirstOrDefault() is not { Line: { } line } || last + line.Length + 1 != place
            || Convert.ToHexString(MerkleTree.Leaf(line)) != Scalar("SELECT leaf FROM state") as string))
        {
            // It is that of another log, or of records that were taken back.
            using var clear = Command("DELETE FROM records; DELETE FROM state");
            clear.ExecuteNonQuery();
            (count, place, last) = (0, 0, 0);
        }
        var before = count;
        byte[] leaf = [];
        using (var insert = Insert())
        {
            foreach (var (at, bytes) in LogLines.Of(_log, place).Take(Batch))
            {
                Fill(insert, count, at, bytes);
                insert.ExecuteNonQuery();
                (count, place, last, leaf) = (count + 1, at + bytes.Length + 1, at, MerkleTree.Leaf(bytes));
            }
        }
        if (count > before)
        {
            using var keep = Command("INSERT OR REPLACE INTO state VALUES (1, $count, $place, $last, $leaf)", ("$count", count),
                ("$place", place), ("$last", last), ("$leaf", Convert.ToHexString(leaf)));
            keep.ExecuteNonQuery();
        }
        transaction.Commit();
        return count == before + Batch;
    }

    private SqliteCommand Insert() => Command("""
        INSERT OR REPLACE INTO records VALUES ($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """, [.. Enumerable.Range(0, 11).Select(i => (FormattableString.Invariant($"${i}"), (object?)0))]);

    private static void Fill(SqliteCommand insert, long index, long place, byte[] line)
    {
        var json = JsonElement.Parse(line);
        string? Text(string name) =>
            json.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString() : null;
        long? Number(string name) =>
            json.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.Number ? member.GetInt64() : null;
        long? tokens = json.TryGetProperty("answers", out var answers) && answers.ValueKind == JsonValueKind.Array
            ? answers.EnumerateArray().Sum(answer => answer.GetProperty("tokens").GetInt64()) : null;
        object?[] values =
        [
            index, place, Text("time") ?? "", Text("kind") ?? "", Text("id") ?? "", Text("caller") ?? "", Text("decision"),
            Number("status"), Number("prompt_tokens"), tokens, Text("intervention_sha256") is { Length: > 0 },
        ];
        for (var i = 0; i < values.Length; i++) insert.Parameters[i].Value = values[i] ?? DBNull.Value;
    }

    private (long Count, long Place, long Last) State()
    {
        using var command = Command("SELECT count, place, last FROM state");
        using var reader = command.ExecuteReader();
        return reader.Read() ? (reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2)) : (0, 0, 0);
    }

    private SqliteConnection Open()
    {
        if (_connection is not null) return _connection;
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = _path, Pooling = false }.ToString());
        try
        {
            _connection.Open();
            using var settings = Command("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 10000");
            settings.ExecuteNonQuery();
            if (Scalar("PRAGMA quick_check") as string != "ok")
                throw new SqliteException("the index is damaged", SQLitePCL.raw.SQLITE_CORRUPT);
            if (Scalar("PRAGMA user_version") is not (long)Version) Create();
            return _connection;
        }
        catch
        {
            _connection.Dispose();
            _connection = null;
            throw;
        }
    }

    private void Create()
    {
        using var command = Command($"""
            DROP TABLE IF EXISTS records; DROP TABLE IF EXISTS state;
            CREATE TABLE records (position INTEGER PRIMARY KEY, place INTEGER NOT NULL, time TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
              caller TEXT NOT NULL, decision TEXT, status INTEGER, prompt_tokens INTEGER, tokens INTEGER, steered INTEGER NOT NULL);
            CREATE INDEX records_time ON records (time);
            CREATE INDEX records_kind ON records (kind, position);
            CREATE INDEX records_caller ON records (caller, position);
            CREATE INDEX records_id ON records (id) WHERE id <> '';
            CREATE TABLE state (one INTEGER PRIMARY KEY, count INTEGER NOT NULL, place INTEGER NOT NULL, last INTEGER NOT NULL, leaf TEXT NOT NULL);
            PRAGMA user_version = {Version};
            """);
        command.ExecuteNonQuery();
    }

    private SqliteCommand Command(string text, params (string Name, object? Value)[] values)
    {
        var command = (_connection ?? Open()).CreateCommand();
#pragma warning disable CA2100 // every text is written here; values are parameters
        command.CommandText = text;
#pragma warning restore CA2100
        foreach (var (name, value) in values) command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        return command;
    }

    private object? Scalar(string text)
    {
        using var command = Command(text);
        return command.ExecuteScalar();
    }

    private void Remove()
    {
        _connection?.Dispose();
        _connection = null;
        foreach (var end in new[] { "", "-wal", "-shm" }) File.Delete(_path + end);
    }

    /// <summary>Damaged, no database, or a database with other tables.</summary>
    private static bool IsDamage(SqliteException e) =>
        e.SqliteErrorCode is SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB or SQLitePCL.raw.SQLITE_ERROR;
}
