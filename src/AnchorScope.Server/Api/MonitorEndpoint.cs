using System.Text.Json;
using System.Text.Json.Serialization;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Api;

/// <summary>The route of the monitor.</summary>
internal static class MonitorEndpoint
{
    private static readonly JsonSerializerOptions Snake = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    /// <summary>What was read since the start, what is normal, and the alerts. Without a profile its member is null.</summary>
    /// <exception cref="ApiException">The key may not read it.</exception>
    public static Task Get(HttpContext context, TrafficMonitor monitor)
    {
        Access.Require(context, "the monitor", Role.Operator, Role.Audit);
        context.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(context.Response.Body, monitor.Snapshot(), Snake, context.RequestAborted);
    }
}
