using System.Reflection;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Api;

/// <summary>
/// The description of the API in the form of OpenAPI 3.1. It is a file; tests compare it with the routes, requests and responses.
/// </summary>
internal static class OpenApiDocument
{
    public const string Path = "/openapi/v1.json";

    /// <summary>The document.</summary>
    public static byte[] Read()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("openapi.json")
            ?? throw new InvalidOperationException("openapi.json is not a resource of this assembly");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Sends it.</summary>
    public static async Task Send(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        await context.Response.Body.WriteAsync(Read(), context.RequestAborted);
    }
}
