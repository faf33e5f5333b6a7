using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using AnchorScope.Server.Api;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Audit;

/// <summary>A request by the id of its response and the name of the key it came with.</summary>
internal sealed record ExchangeId(string Id, string Caller);

/// <summary>
/// What the server writes into its log: start and stop, requests that were answered, what was refused, changes and alerts.
/// </summary>
internal sealed class AuditTrail : IDisposable
{
    private const int LongestPath = 200;

    private readonly AuditLog _log;
    private readonly AuditIndex _index;
    private readonly AuditLogOptions _options;
    private readonly ContentFolder? _content;
    private readonly int? _days;
    private readonly RefusalTally _unauthorized;
    private readonly ConcurrentDictionary<string, long> _alerts = new(StringComparer.Ordinal);
    private readonly List<ITimer> _timers = [];
    private volatile string? _refusal;

    /// <param name="state">Folder of what the server keeps.</param>
    /// <param name="policy">Says whether requests themselves are kept, in files of their own that can be deleted without breaking the
    /// log, and for how long.</param>
    public AuditTrail(string state, AuditLogOptions options, Policy policy, TimeProvider time)
    {
        (_options, _unauthorized, _days) = (options, new RefusalTally(time), policy.ContentDays);
        _log = new AuditLog(Path.Combine(state, "audit"), time, options);
        _index = new AuditIndex(Path.Combine(state, "audit"));
        _log.Appended = _index.Wake;
        _index.Follow();
        var minute = TimeSpan.FromMinutes(1);
        _timers.Add(time.CreateTimer(_ => WriteUnauthorized(), null, minute, minute));
        if (policy.KeepsContent) _content = new ContentFolder(Path.Combine(state, "content"), time);
        if (_content is not null && _days is not null)
            _timers.Add(time.CreateTimer(_ => Sweep(), null, TimeSpan.FromDays(1), TimeSpan.FromDays(1)));
    }

    /// <summary>Number of records.</summary>
    public long Count => _log.Count;

    /// <summary>Root of the tree, base64.</summary>
    public string Root => _log.Root;

    /// <summary>The key with which anyone can verify the log.</summary>
    public string Verifier => _log.Verifier;

    /// <summary>Number of records that the newest checkpoint covers.</summary>
    public long Sealed => _log.Sealed;

    /// <summary>Checkpoints that the second place did not get.</summary>
    public long AnchorFailures => _log.AnchorFailures;

    /// <summary>Number of alerts since the start, by name.</summary>
    public IReadOnlyDictionary<string, long> Alerts => _alerts;

    /// <summary>Why nothing may be answered, for instance because the log cannot be written, which is tried again first; null if all is
    /// well.</summary>
    public string? Problem => _log.Failure() is { } reason ? $"the audit log cannot be written: {reason}" : _refusal;

    /// <summary>Whether requests are refused for another reason than the log; null: they are not.</summary>
    public void Refuse(string? reason) => _refusal = reason;

    /// <summary>A table of the records, for queries.</summary>
    public AuditIndex Index => _index;

    /// <summary>Records that the server starts.</summary>
    /// <param name="profile">SHA-256 of the profile that requests are compared with; null: there is none.</param>
    /// <exception cref="InputException">It could not be written.</exception>
    public void Started(ServedModel served, string? profile = null)
    {
        try
        {
            _log.Append("start", new JsonObject
            {
                ["version"] = ToolVersion.Text,
                ["numerics"] = served.Model.Engine.Numerics,
                ["model"] = served.Name,
                ["folder"] = Path.GetFullPath(served.Model.Checkpoint.Folder),
                ["weights_sha256"] = served.Model.Checkpoint.Identity.Weights,
                ["files_sha256"] = new JsonObject(
                    [.. served.Model.Checkpoint.Identity.Files.Select(file => KeyValuePair.Create(file.Key, (JsonNode?)file.Value))]),
                ["policy"] = served.Policy.Name,
                ["policy_sha256"] = served.Policy.Sha256,
                ["profile_sha256"] = profile,
                ["recovered_bytes"] = _log.Recovered,
                ["checkpoint_records"] = _options.Every,
                ["checkpoint_seconds"] = _options.Period.TotalSeconds,
            });
        }
        catch (IOException e)
        {
            throw new InputException($"--state: {e.Message}: {e.InnerException?.Message}", e);
        }
        if (_content is not null && _days is not null) Sweep();
    }

    /// <summary>Records that the server ends, and seals the log.</summary>
    /// <returns>Why not all records are under a checkpoint; null if they are.</returns>
    public string? Stopped()
    {
        WriteUnauthorized();
        Try("stop", []);
        return _log.Failure() ?? _log.Checkpoint();
    }

    /// <summary>Records an answered request.</summary>
    /// <exception cref="ApiException">It could not be written: the answer must not leave.</exception>
    public AuditPlace Answered(
        ExchangeId exchange, ReadOnlyMemory<byte> body, PreparedRequest prepared, IReadOnlyList<JobToken> tokens, JobResult result)
    {
        try
        {
            _content?.Write(exchange.Id, body.Span);
            var record = RequestRecord.Of(exchange.Id, body.Span, prepared, tokens, result);
            record["caller"] = exchange.Caller;
            return _log.Append("request", record);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _content?.Delete(exchange.Id);
            throw Failed();
        }
    }

    /// <summary>Records a request for text that was not answered.</summary>
    public void Refused(ExchangeId exchange, ReadOnlySpan<byte> body, ApiException error)
    {
        var record = RequestRecord.Refused(exchange.Id, body, error);
        record["caller"] = exchange.Caller;
        // Without the record the client is told its own error; the next request is refused because of the log.
        Try("refused", record);
        error.IsRecorded = true;
    }

    /// <summary>Records another request that was refused.</summary>
    public void Refused(HttpContext context, ApiException error)
    {
        var path = context.Request.Path.Value ?? "";
        Try("refused", new JsonObject
        {
            ["method"] = context.Request.Method,
            ["path"] = path.Length <= LongestPath ? path : path[..LongestPath],
            ["status"] = error.Status,
            ["code"] = error.Code,
            ["member"] = error.Parameter,
            // It has numbers and bounds, and nothing that a client wrote but the name of the knob.
            ["detail"] = error.Code == "policy_violation" ? error.Message : null,
            ["caller"] = Access.KeyOf(context)?.Name ?? "",
        });
        error.IsRecorded = true;
    }

    /// <summary>Counts a request without a valid key. Once a minute there is a record for each address.</summary>
    public void Unauthorized(string address) => _unauthorized.Add(address);

    /// <summary>Records that a knob is turned, before it is.</summary>
    /// <exception cref="ApiException">It could not be written: the knob stays where it is.</exception>
    public void Knob(Knob knob, KnobSetting before, KnobSetting after, string by)
    {
        try
        {
            _log.Append("knob", new JsonObject
            {
                ["knob"] = knob.Name,
                ["caller"] = by,
                ["old"] = before.Value,
                ["new"] = after.Value,
                ["until"] = after.Until?.ToString("O", CultureInfo.InvariantCulture),
                ["reason"] = after.Reason,
            });
        }
        catch (IOException)
        {
            throw Failed();
        }
    }

    /// <summary>Records an alert, before anything is done about it.</summary>
    /// <exception cref="ApiException">It could not be written: nothing may be done.</exception>
    public void Alert(JsonObject record)
    {
        try
        {
            _log.Append("alert", record);
        }
        catch (IOException)
        {
            throw Failed();
        }
    }

    /// <summary>Records that a knob has fallen back to its default.</summary>
    public void Expired(Knob knob, KnobSetting ended) =>
        Knob(knob, ended, new KnobSetting(knob.Default, null, "", "its time has ended"), "");

    /// <summary>Records and counts something that somebody must look at.</summary>
    /// <param name="name">One of few words: it is a label of a metric.</param>
    public void Alert(string name, JsonObject detail)
    {
        _alerts.AddOrUpdate(name, 1, (_, count) => count + 1);
        detail["alert"] = name;
        Try("alert", detail);
    }

    /// <summary>Records an event that is no reason to stop if it cannot be written.</summary>
    public void Try(string kind, JsonObject record)
    {
        try
        {
            _log.Append(kind, record);
        }
        catch (IOException)
        {
            // Requests are refused for the same reason, and readiness says so.
        }
    }

    /// <exception cref="ApiException">The log cannot be written, or canaries differ, so that nothing may be answered.</exception>
    public void ThrowIfFailed()
    {
        if (_log.Failure() is not null) throw Failed();
        if (_refusal is { } reason) throw new ApiException(503, reason, code: "canary_failed");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var timer in _timers) timer.Dispose();
        WriteUnauthorized();
        _log.Dispose();
        _index.Dispose();
    }

    private void WriteUnauthorized()
    {
        foreach (var record in _unauthorized.Take()) Try("unauthorized", record);
    }

    private void Sweep()
    {
        var (deleted, left) = _content!.Sweep(_days!.Value);
        Try("content_sweep", new JsonObject { ["days"] = _days, ["deleted"] = deleted, ["left"] = left });
    }

    private static ApiException Failed() =>
        new(503, "the audit log cannot be written, so nothing is answered", code: "audit_unavailable");
}
