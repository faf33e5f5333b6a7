using AnchorScope.Checkpoints;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace AnchorScope.Server.Api;

/// <summary>Reads the body of a request.</summary>
internal static class Body
{
    /// <summary>All bytes.</summary>
    /// <param name="most">Maximum number of bytes.</param>
    /// <exception cref="ApiException">It is longer, or its headers say that it is not JSON in UTF-8.</exception>
    public static async Task<ReadOnlyMemory<byte>> Read(HttpRequest request, long most, CancellationToken cancel)
    {
        if (!request.HasJsonContentType())
            throw new ApiException(415, "content-type: expected application/json", code: "unsupported_media_type");
        var charset = HeaderUtilities.RemoveQuotes(request.GetTypedHeaders().ContentType?.Charset ?? default);
        if (charset.HasValue && !charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase))
            throw new ApiException(415, $"content-type: expected charset utf-8, found {Quoted.Line(charset.Value)}",
                code: "unsupported_media_type");
        if (request.Headers.ContentEncoding.ToString() is { Length: > 0 } encoding)
            throw new ApiException(415, $"content-encoding: expected none, found {Quoted.Line(encoding)}", code: "unsupported_media_type");
        if (request.ContentLength > most) throw TooLong(most);
        // Memory is taken for what has come, not for what a header promises.
        using var bytes = new MemoryStream();
        var buffer = new byte[1 << 16];
        try
        {
            while (await request.Body.ReadAsync(buffer, cancel) is > 0 and var count)
            {
                if (bytes.Length + count > most) throw TooLong(most);
                bytes.Write(buffer, 0, count);
            }
        }
        catch (BadHttpRequestException e)
        {
            // Cut off, malformed or too slow: recorded like any other wrong request.
            throw new ApiException(e.StatusCode, e.Message, code: "bad_request");
        }
        return bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
    }

    private static ApiException TooLong(long most) => new(413, $"the request is longer than {most} bytes", code: "request_too_large");
}
