using System.Text.Json.Nodes;
using AnchorScope.Server.Api;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Server.Audit;

/// <summary>A request by the id of its response and the name of the key it came with.</summary>
internal sealed record ExchangeId(string Id, string Caller);

/// <summary>What the server writes into its log: start and stop, requests that were answered, requests that were not.</summary>
internal sealed class AuditTrail : IDisposable
{
    private readonly AuditLog _log;
    private readonly string? _content;

    /// <param name="state">Folder of what the server keeps.</param>
    /// <param name="keepContent">Whether requests themselves are kept, in files of their own that can be deleted without breaking the
    /// log.</param>
    public AuditTrail(string state, string? anchor, bool keepContent, TimeProvider time)
    {
        _log = new AuditLog(Path.Combine(state, "audit"), time, anchor);
        if (!keepContent) return;
        _content = Path.Combine(state, "content");
        Directory.CreateDirectory(_content);
    }

    /// <summary>Number of records.</summary>
    public long Count => _log.Count;

    /// <summary>Root of the tree, base64.</summary>
    public string Root => _log.Root;

    /// <summary>The key with which anyone can verify the log.</summary>
    public string Verifier => _log.Verifier;

    /// <summary>Whether the log could not be written. Nothing is answered then.</summary>
    public bool HasFailed => _log.HasFailed;

    /// <summary>Records that the server starts.</summary>
    /// <param name="profile">SHA-256 of the profile that requests are compared with; null: there is none.</param>
    public void Started(ServedModel served, string? profile = null) => _log.Append("start", new JsonObject
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
    });

    /// <summary>Records that the server ends, and seals the log.</summary>
    public void Stopped()
    {
        if (_log.HasFailed) return;
        _log.Append("stop", []);
        _log.Checkpoint();
    }

    /// <summary>Records an answered request.</summary>
    /// <exception cref="ApiException">It could not be written: the answer must not leave.</exception>
    public AuditPlace Answered(
        ExchangeId exchange, ReadOnlyMemory<byte> body, PreparedRequest prepared, IReadOnlyList<JobToken> tokens, JobResult result)
    {
        try
        {
            if (_content is not null) File.WriteAllBytes(Path.Combine(_content, exchange.Id + ".json"), body.Span);
            var record = RequestRecord.Of(exchange.Id, body.Span, prepared, tokens, result);
            record["caller"] = exchange.Caller;
            return _log.Append("request", record);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed();
        }
    }

    /// <summary>Records a request that was not answered.</summary>
    public void Refused(ExchangeId exchange, ReadOnlySpan<byte> body, ApiException error)
    {
        try
        {
            var record = RequestRecord.Refused(exchange.Id, body, error);
            record["caller"] = exchange.Caller;
            _log.Append("refused", record);
        }
        catch (IOException)
        {
            // The client is told its own error; the next request is refused because of the log.
        }
    }

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
                ["until"] = after.Until?.ToString("O", System.Globalization.CultureInfo.InvariantCulture),
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

    /// <exception cref="ApiException">The log cannot be written, so that nothing may be answered.</exception>
    public void ThrowIfFailed()
    {
        if (_log.HasFailed) throw Failed();
    }

    /// <inheritdoc/>
    public void Dispose() => _log.Dispose();

    private static ApiException Failed() =>
        new(503, "the audit log cannot be written, so nothing is answered", code: "audit_unavailable");
}
