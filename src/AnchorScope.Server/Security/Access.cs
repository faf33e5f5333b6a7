using System.Net;
using System.Threading.RateLimiting;
using AnchorScope.Server.Api;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Security;

/// <summary>Decides who a request comes from, what it may do, and how often.</summary>
/// <param name="keys">The keys; null: everybody may do everything, which is allowed on this machine only.</param>
/// <param name="rate">Requests for text a minute of keys that have no number of their own; null: as many as they like.</param>
internal sealed class Access(LiveKeys? keys, int? rate) : IDisposable
{
    private const string Item = "anchorscope-key";

    /// <summary>Whoever uses a server without keys.</summary>
    public static ServerKey Local { get; } = new("local", Role.Admin, "");

    private readonly PartitionedRateLimiter<ServerKey> _limits = PartitionedRateLimiter.Create<ServerKey, (string, int)>(key =>
        (key.RequestsPerMinute ?? rate) is not { } most
            ? RateLimitPartition.GetNoLimiter((key.Name, 0))
            : RateLimitPartition.GetTokenBucketLimiter((key.Name, most), _ => new TokenBucketRateLimiterOptions
            {
                TokenLimit = most, TokensPerPeriod = 1, ReplenishmentPeriod = TimeSpan.FromMinutes(1) / most, QueueLimit = 0,
                AutoReplenishment = true,
            }));

    /// <summary>Refuses an address that others can reach if there are no keys.</summary>
    /// <exception cref="InputException">Others could use the server without a key.</exception>
    public void CheckAddress(string url)
    {
        if (keys is not null) return;
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address))
            throw InputException.At("--urls", "url", "an address such as http://127.0.0.1:8080", url);
        if (!IsThisMachine(address.Host))
            throw InputException.At("--urls", url, "an address of this machine alone, or --keys with an address that others reach",
                "no keys");
    }

    /// <summary>
    /// Refuses a request that came by another name of this machine, if there are no keys: a page of somebody else's that has made its own
    /// name resolve to this machine would otherwise be let in by the browser that shows it.
    /// </summary>
    /// <exception cref="ApiException">The host is not this machine.</exception>
    public void CheckHost(HttpContext context)
    {
        if (keys is null && !IsThisMachine(context.Request.Host.Host))
            throw new ApiException(403, "host: expected localhost or an address of this machine, as this server has no keys, found "
                + Checkpoints.Quoted.Line(context.Request.Host.Host), code: "host_not_allowed");
    }

    /// <summary>Finds the key of a request.</summary>
    /// <exception cref="ApiException">It needs one and has none that is known.</exception>
    public void Enter(HttpContext context)
    {
        // A probe of an orchestrator has no key and learns nothing.
        if (context.Request.Path == "/health/live") return;
        context.Items[Item] = keys is null ? Local : keys.Find(context.Request.Headers.Authorization)
            ?? throw new ApiException(401, "authorization: expected Bearer and a key of this server", code: "invalid_api_key");
    }

    /// <summary>Counts a request for text.</summary>
    /// <exception cref="ApiException">Its key has had as many as it may have in a minute.</exception>
    public void Count(HttpContext context)
    {
        var key = KeyOf(context)!;
        using var lease = _limits.AttemptAcquire(key);
        if (lease.IsAcquired) return;
        var most = key.RequestsPerMinute ?? rate;
        throw new ApiException(429, $"the key {key.Name} may send {Plural.Of(most!.Value, "request")} a minute",
            code: "rate_limit_exceeded")
        {
            RetryAfter = lease.TryGetMetadata(MetadataName.RetryAfter, out var wait)
                ? Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)) : 1,
        };
    }

    /// <summary>Whether requests need a key.</summary>
    public bool HasKeys => keys is not null;

    /// <summary>The key with these characters; null if this server has none.</summary>
    public ServerKey? Find(string key) => keys?.Find("Bearer " + key);

    /// <summary>Whether a key that was found before is still one of this server.</summary>
    public bool Holds(ServerKey key) => keys is null || keys.Holds(key);

    /// <summary>Lets a request in as the holder of a key that was shown before.</summary>
    public static void Enter(HttpContext context, ServerKey key) => context.Items[Item] = key;

    /// <summary>The key of a request; null if it was not let in.</summary>
    public static ServerKey? KeyOf(HttpContext context) => context.Items[Item] as ServerKey;

    /// <summary>Refuses a request whose key does not have a role.</summary>
    /// <param name="what">What the request wants, for the message.</param>
    /// <param name="roles">One of them is enough.</param>
    /// <exception cref="ApiException">The key may not do it.</exception>
    public static ServerKey Require(HttpContext context, string what, params ReadOnlySpan<Role> roles)
    {
        var key = KeyOf(context)!;
        foreach (var role in roles)
        {
            if (key.May(role)) return key;
        }
        throw new ApiException(403, $"{what}: needs a key of the role {string.Join(" or ", roles.ToArray().Select(EnumName.Of))}, found "
            + EnumName.Of(key.Role), code: "role_missing");
    }

    /// <inheritdoc/>
    public void Dispose() => _limits.Dispose();

    private static bool IsThisMachine(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));
}
