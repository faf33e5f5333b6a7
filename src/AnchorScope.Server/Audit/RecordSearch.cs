using Microsoft.Data.Sqlite;

namespace AnchorScope.Server.Audit;

/// <summary>Finds records of a log: by its index where there is one or one can be made, else by reading all of it.</summary>
internal static class RecordSearch
{
    private const int Line = 1 << 12;

    /// <summary>The records that are wanted, in order, as they stand in the log.</summary>
    /// <exception cref="InputException">There is no log, or a line is no record.</exception>
    public static IEnumerable<AuditRecord> Of(string folder, RecordQuery query) =>
        query.IsAll ? AuditReader.Read(folder) : Indexed(folder, query) ?? All(folder, query);

    /// <summary>Null if there is no index, or if it does not lead to records that are wanted: what counts is the log.</summary>
    private static List<AuditRecord>? Indexed(string folder, RecordQuery query)
    {
        try
        {
            using var index = new AuditIndex(folder);
            index.CatchUp();
            var (found, path) = (new List<AuditRecord>(), Path.Combine(folder, AuditLog.FileName));
            foreach (var entry in index.Find(query))
            {
                var line = LogLines.Of(path, entry.Place, Line).Select(line => line.Line).FirstOrDefault();
                if (line is null || AuditReader.Json(line) is not { } json || !query.Matches(json)) return null;
                found.Add(new AuditRecord(entry.Index, line, json));
            }
            return found;
        }
        catch (Exception e) when (e is SqliteException or IOException or UnauthorizedAccessException)
        {
            // A copy of a log that may not be written, for instance.
            return null;
        }
    }

    private static IEnumerable<AuditRecord> All(string folder, RecordQuery query)
    {
        var found = AuditReader.Read(folder).Where(record => query.Matches(record.Json));
        return query.Last is { } last ? found.TakeLast(last) : found;
    }
}
