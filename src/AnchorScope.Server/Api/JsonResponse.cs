using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Api;

/// <summary>Writes an object as the response.</summary>
internal static class JsonResponse
{
    /// <summary>Writes one.</summary>
    /// <param name="members">Writes its members.</param>
    public static async Task Write(HttpContext context, Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        context.Response.ContentType = "application/json";
        await context.Response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
    }
}
