using AnchorScope.Server.Api;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Audit;

/// <summary>Puts refusals on the record that no route has recorded: requests without a valid key, with a key that lacks the role, and
/// changes that were asked for and refused.</summary>
internal sealed class RefusedRequests(AuditTrail trail)
{
    /// <summary>Runs <paramref name="next"/> and records why it was refused, if it was.</summary>
    public async Task Watch(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (ApiException e) when (!e.IsRecorded)
        {
            if (e.Status == 401) trail.Unauthorized(context.Connection.RemoteIpAddress?.ToString() ?? "");
            else if (e.Status == 403 || e.Code is "knob_not_found" or "canary_failed" || IsChange(context.Request))
                trail.Refused(context, e);
            throw;
        }
    }

    private static bool IsChange(HttpRequest request) =>
        !HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method)
            && request.Path.StartsWithSegments("/v1/anchorscope", StringComparison.Ordinal);
}
