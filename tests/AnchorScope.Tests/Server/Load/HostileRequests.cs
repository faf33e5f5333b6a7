using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace AnchorScope.Tests.Server.Load;

/// <summary>A request as bytes on a connection.</summary>
/// <param name="Head">Request line and headers.</param>
/// <param name="Body">What follows them.</param>
/// <param name="HalfClosed">Whether the client ends its side after the body, so that a body that is too short is noticed.</param>
internal sealed record HostileRequest(string Head, byte[] Body, bool HalfClosed)
{
    public override string ToString() => Head + Encoding.Latin1.GetString(Body.AsSpan(0, Math.Min(Body.Length, 4000)));
}

/// <summary>Mutated requests over all routes of a server: methods, paths, headers, bodies, pictures, interventions.</summary>
/// <param name="routes">Method and path of each route.</param>
/// <param name="keys">Keys that the server knows.</param>
internal sealed class HostileRequests(ulong seed, IReadOnlyList<(string Method, string Path)> routes, IReadOnlyList<string> keys)
{
    private static readonly string[] Methods =
        ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "get", "PROPFIND", "\u0001"];

    private static readonly string[] Paths =
    [
        "/", "//", "/..", "/../etc/passwd", "/v1", "/v1/", "/v1/models/%00", "/v1/models/%2e%2e/x", "/v1/models/relay?x=%", "/v1//models",
        "/v1/anchorscope/knobs/%F0%9F%98%80", "/v1/chat/completions/", "/V1/MODELS", "/%", "*", "http://other/v1/models", "/\u0001", "x",
    ];

    private static readonly string[] Headers =
    [
        "content-type: text/plain", "content-type: application/json; charset=utf-16", "content-type: ;;;", "content-type:",
        "content-encoding: gzip", "transfer-encoding: chunked", "transfer-encoding: gzip, chunked", "expect: 100-continue",
        "expect: x", "content-length: -1", "content-length: 99999999999", "content-length: 1, 2", "host:", "host: a, b", "host: [::1",
        "connection: upgrade\r\nupgrade: websocket", "range: bytes=0-", "if-none-match: *", "x-forwarded-for: 1.2.3.4",
        "authorization: Basic eDp5", "authorization: Bearer", "authorization: Bearer \u00e9", "cookie: " + "a=b; ", "accept: \u0000",
        "accept-encoding: *;q=9", "origin: null", "x: a\r\n b", "traceparent: 00-x", "last-event-id: 99999999999999999999",
    ];

    private readonly SplitMix _random = new(seed);
    private readonly JsonMutator _json = new(new SplitMix(seed + 1));
    private readonly PictureMutator _pictures = new(new SplitMix(seed + 2));
    private readonly Traffic _traffic = new(new SplitMix(seed + 3));

    /// <summary>The next one.</summary>
    public HostileRequest Next()
    {
        var (method, path) = routes[_random.Below(routes.Count)];
        // Most of them ask for text, because most of the server is behind it.
        if (_random.Below(3) > 0) (method, path) = ("POST", _random.Below(3) > 0 ? "/v1/chat/completions" : "/v1/completions");
        var body = method == "GET" ? [] : Body(method, path);
        if (_random.Below(20) == 0) method = Methods[_random.Below(Methods.Length)];
        if (_random.Below(30) == 0) path = Paths[_random.Below(Paths.Length)];
        if (_random.Below(30) == 0) path += "?" + new string('x', 1 << _random.Below(14));
        var head = new StringBuilder($"{method} {path} HTTP/1.{(_random.Below(40) == 0 ? 0 : 1)}\r\n");
        if (_random.Below(40) > 0) head.Append("host: 127.0.0.1\r\n");
        if (_random.Below(20) > 0)
            head.Append(CultureInfo.InvariantCulture, $"authorization: Bearer {keys[_random.Below(keys.Count)]}\r\n");
        if (_random.Below(20) > 0) head.Append("content-type: application/json\r\n");
        if (_random.Below(6) == 0) head.Append(Headers[_random.Below(Headers.Length)]).Append("\r\n");
        if (_random.Below(100) == 0) head.Append(CultureInfo.InvariantCulture, $"x-long: {new string('y', 1 << _random.Below(16))}\r\n");
        if (_random.Below(100) == 0) head.Append(string.Concat(Enumerable.Range(0, 1 + _random.Below(200)).Select(i => $"x-{i}: 1\r\n")));
        // A length that is wrong: the body is cut off, or is followed by what is no request.
        var length = body.Length + (_random.Below(20) > 0 ? 0 : _random.Below(200) - 100);
        if (_random.Below(100) > 0) head.Append(CultureInfo.InvariantCulture, $"content-length: {Math.Max(0, length)}\r\n");
        head.Append("connection: close\r\n\r\n");
        // Who promises more than comes and keeps the connection open is cut off after five seconds: some of them are enough.
        var text = head.ToString();
        var waits = length > body.Length || text.Contains("chunked", StringComparison.Ordinal);
        return new HostileRequest(text, body, waits ? _random.Below(50) > 0 : _random.Below(20) == 0);
    }

    private byte[] Body(string method, string path)
    {
        var request = method == "PUT" ? _traffic.Turn() : path.EndsWith("/completions", StringComparison.Ordinal) ? Text(path) : new { };
        var json = Traffic.Json(request);
        return _random.Below(4) == 0 ? Encoding.UTF8.GetBytes(json) : _json.Mutated(json);
    }

    private Dictionary<string, object?> Text(string path)
    {
        var chat = path.Contains("chat", StringComparison.Ordinal);
        var request = !chat ? _traffic.Completion(_random.Below(4) == 0 ? _random.Below(300) : 0)
            : _random.Below(3) == 0 ? _traffic.Words()
            : _random.Below(2) == 0 ? _traffic.Chat() : RunningServer.Chat(_pictures.Next(), "one star ", "trust the picture");
        request.TryAdd("max_tokens", 1 + _random.Below(4));
        if (_random.Below(2) == 0) request["anchorscope"] = _traffic.Steering();
        return request;
    }

    /// <summary>Sends one and reads the whole response.</summary>
    /// <returns>Status, headers and body; status 0 if the server closed the connection without an answer.</returns>
    public static async Task<(int Status, string Text)> Send(Uri address, HostileRequest request, CancellationToken cancel)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port, cancel);
        var stream = client.GetStream();
        try
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request.Head), cancel);
            await stream.WriteAsync(request.Body, cancel);
            if (request.HalfClosed) client.Client.Shutdown(SocketShutdown.Send);
        }
        catch (IOException)
        {
            // Refused before it was read to its end: the answer may be there all the same.
        }
        using var answer = new MemoryStream();
        try
        {
            await stream.CopyToAsync(answer, cancel);
        }
        catch (IOException)
        {
            // Closed by the server while a rest of the request was on its way.
        }
        const string Continue = "HTTP/1.1 100 Continue\r\n\r\n";
        var text = Encoding.UTF8.GetString(answer.GetBuffer().AsSpan(0, (int)answer.Length));
        if (text.StartsWith(Continue, StringComparison.Ordinal)) text = text[Continue.Length..];
        var status = text.StartsWith("HTTP/1.1 ", StringComparison.Ordinal)
            ? int.Parse(text.AsSpan(9, 3), CultureInfo.InvariantCulture) : 0;
        return (status, text);
    }

    /// <summary>What is wrong with a response; null: nothing.</summary>
    public static string? Fault(int status, string text)
    {
        var at = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var body = at < 0 ? "" : text[(at + 4)..];
        if (status >= 500) return $"status {status}";
        if (text[..Math.Max(at, 0)].Contains("text/event-stream", StringComparison.Ordinal))
            return body.Contains("server_error", StringComparison.Ordinal) ? "an error of the server in a stream" : null;
        // What is no request of HTTP is answered by the web server itself, without a body.
        if (status < 400 || body.Length == 0 || !text.Contains("application/json", StringComparison.Ordinal)) return null;
        var json = body[body.IndexOf('{', StringComparison.Ordinal)..(body.LastIndexOf('}') + 1)];
        return JsonElement.Parse(json).GetProperty("error").GetProperty("message").GetString() is { Length: > 0 } ? null : "no message";
    }
}
