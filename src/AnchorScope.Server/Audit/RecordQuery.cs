using System.Globalization;
using System.Text.Json.Nodes;

namespace AnchorScope.Server.Audit;

/// <summary>Which records are wanted: all that are left by every condition that is given.</summary>
internal sealed record RecordQuery
{
    /// <summary>First time.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>First time that is left out.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>What happened.</summary>
    public string? Kind { get; init; }

    /// <summary>Name of the key.</summary>
    public string? Caller { get; init; }

    /// <summary>Id of a response.</summary>
    public string? Id { get; init; }

    /// <summary>First index that is left out.</summary>
    public long? Before { get; init; }

    /// <summary>Of all these, the last ones.</summary>
    public int? Last { get; init; }

    /// <summary>Whether it wants all records.</summary>
    public bool IsAll => this == new RecordQuery();

    /// <summary>A time as the log writes it: texts of this form are in the order of time.</summary>
    public static string Text(DateTimeOffset time) =>
        time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>Whether a record is one of them, but for <see cref="Last"/>.</summary>
    public bool Matches(JsonObject json)
    {
        var time = json["time"]?.ToString() ?? "";
        return (From is null || string.CompareOrdinal(time, Text(From.Value)) >= 0)
            && (To is null || string.CompareOrdinal(time, Text(To.Value)) < 0)
            && (Kind is null || json["kind"]?.ToString() == Kind) && (Caller is null || json["caller"]?.ToString() == Caller)
            && (Id is null || json["id"]?.ToString() == Id)
            && (Before is null || (json["index"] as JsonValue)?.TryGetValue<long>(out var index) == true && index < Before);
    }
}
