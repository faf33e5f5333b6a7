using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Pages;

/// <summary>
/// A request that a page makes of the server's own API: the same code, the same checks and the same records as from outside.
/// </summary>
internal static class InnerRequest
{
    /// <summary>Sends it and reads the response.</summary>
    /// <param name="outer">The request of the page.</param>
    /// <param name="handler">The route.</param>
    /// <exception cref="Api.ApiException">The API refused it.</exception>
    public static async Task<JsonObject> Send(HttpContext outer, ServerKey key, byte[] body, Func<HttpContext, Task> handler)
    {
        using var response = new MemoryStream();
        var inner = new DefaultHttpContext { RequestAborted = outer.RequestAborted, RequestServices = outer.RequestServices };
        inner.Connection.RemoteIpAddress = outer.Connection.RemoteIpAddress;
        inner.Request.Method = outer.Request.Method;
        inner.Request.ContentType = "application/json";
        inner.Request.ContentLength = body.Length;
        inner.Request.Body = new MemoryStream(body);
        inner.Response.Body = response;
        Access.Enter(inner, key);
        await handler(inner);
        return JsonNode.Parse(response.ToArray()) as JsonObject ?? throw new JsonException("the response is no object");
    }
}
