using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AnchorScope.Tests.Server;

/// <summary>A message in the wire format of protocol buffers: its fields by number, as far as the tests read them.</summary>
internal sealed class WireMessage
{
    private readonly List<(int Field, ulong Number, byte[] Bytes)> _fields = [];

    public WireMessage(byte[] bytes)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var key = Varint(bytes, ref at);
            switch (key & 7)
            {
                case 0:
                    _fields.Add(((int)(key >> 3), Varint(bytes, ref at), []));
                    break;
                case 1:
                    _fields.Add(((int)(key >> 3), BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at)), []));
                    at += 8;
                    break;
                case 2:
                    var length = (int)Varint(bytes, ref at);
                    _fields.Add(((int)(key >> 3), 0, bytes[at..(at + length)]));
                    at += length;
                    break;
                case 5:
                    at += 4;
                    break;
                default:
                    throw new FormatException($"wire type {key & 7}");
            }
        }
    }

    public IEnumerable<WireMessage> All(params int[] path) => path.Length == 0 ? [this]
        : _fields.Where(field => field.Field == path[0]).SelectMany(field => new WireMessage(field.Bytes).All(path[1..]));

    public byte[] Bytes(int field) => _fields.Find(f => f.Field == field).Bytes ?? [];

    public string Text(int field) => Encoding.UTF8.GetString(Bytes(field));

    public ulong Number(int field) => _fields.Find(f => f.Field == field).Number;

    public bool Has(int field) => _fields.Exists(f => f.Field == field);

    /// <summary>Attributes: field <paramref name="field"/> has their keys and values.</summary>
    public Dictionary<string, object> Attributes(int field) =>
        All(field).ToDictionary(pair => pair.Text(1), pair => Value(pair.All(2).Single()), StringComparer.Ordinal);

    private static object Value(WireMessage any) => any switch
    {
        _ when any.Has(1) => any.Text(1),
        _ when any.Has(2) => any.Number(2) != 0,
        _ when any.Has(3) => (long)any.Number(3),
        _ when any.Has(4) => BitConverter.UInt64BitsToDouble(any.Number(4)),
        _ when any.Has(5) => any.All(5, 1).Select(Value).ToArray(),
        _ => "",
    };

    private static ulong Varint(byte[] bytes, ref int at)
    {
        var (value, shift) = (0UL, 0);
        while (true)
        {
            var next = bytes[at++];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return value;
            shift += 7;
        }
    }
}

/// <summary>A collector of OpenTelemetry on a free port, which keeps what it is sent.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<(string Path, byte[] Body)> _sent = new();

    private OtlpReceiver(WebApplication app) => _app = app;

    public string Url => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <summary>Everything that was sent, as text: what must not be in it is searched there.</summary>
    public string Text => string.Concat(_sent.Select(sent => Encoding.UTF8.GetString(sent.Body)));

    public IReadOnlyList<WireMessage> Resources(string signal) => Messages(signal, 1, 1);

    public IReadOnlyList<WireMessage> Spans => Messages("traces", 1, 2, 2);

    public IReadOnlyList<WireMessage> Metrics => Messages("metrics", 1, 2, 2);

    public IReadOnlyList<WireMessage> Logs => Messages("logs", 1, 2, 2);

    public static async Task<OtlpReceiver> Start()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var receiver = new OtlpReceiver(app);
        app.MapPost("/v1/{signal}", async (HttpContext context) =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            receiver._sent.Enqueue((context.Request.Path.Value!, body.ToArray()));
            context.Response.ContentType = "application/x-protobuf";
        });
        await app.StartAsync();
        return receiver;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private List<WireMessage> Messages(string signal, params int[] path) =>
        [.. _sent.Where(sent => sent.Path == $"/v1/{signal}").SelectMany(sent => new WireMessage(sent.Body).All(path))];
}
