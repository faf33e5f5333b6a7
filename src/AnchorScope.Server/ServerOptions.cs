using AnchorScope.Server.Scheduling;

namespace AnchorScope.Server;

/// <summary>How the server runs.</summary>
internal sealed record ServerOptions
{
    /// <summary>Folder of the checkpoint.</summary>
    public required string Model { get; init; }

    /// <summary>The name of the model in requests; null: the name of the folder.</summary>
    public string? Name { get; init; }

    /// <summary>Folder of what the server keeps: the audit log is in its folder <c>audit</c>.</summary>
    public required string State { get; init; }

    /// <summary>How the log is kept.</summary>
    public Audit.AuditLogOptions Log { get; init; } = new();

    /// <summary>Address to listen at.</summary>
    public string Url { get; init; } = "http://127.0.0.1:8080";

    /// <summary>The policy; null: nothing inside the model may be changed.</summary>
    public string? Policy { get; init; }

    /// <summary>What is normal, as ascope profile wrote it; null: requests are compared with nothing.</summary>
    public string? Profile { get; init; }

    /// <summary>File of the keys; null: none are needed, which is allowed only where nobody else can reach the server.</summary>
    public string? Keys { get; init; }

    /// <summary>Requests for text a minute of keys that have no number of their own; null: as many as they like.</summary>
    public int? Rate { get; init; }

    /// <summary>Hosts that pictures may be fetched from; empty: pictures are <c>data:</c> addresses only.</summary>
    public IReadOnlyList<string> PictureHosts { get; init; } = [];

    /// <summary>The public key with which the policy must be signed; null: it need not be.</summary>
    public string? PolicyKey { get; init; }

    /// <summary>The manifest that the files of the checkpoint are held to; null: none.</summary>
    public Integrity.IntegrityOptions? Integrity { get; init; }

    /// <summary>Limits of the scheduler.</summary>
    public SchedulerOptions Scheduler { get; init; } = new();

    /// <summary>Maximum number of bytes of a request.</summary>
    public long MostBytes { get; init; } = 32L << 20;

    /// <summary>Time in which a request must be answered, waiting included.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Time that answers in progress have to end when the server shuts down.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(30);
}
