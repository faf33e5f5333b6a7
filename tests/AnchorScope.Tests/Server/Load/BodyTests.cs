using System.Net.Sockets;
using System.Text;
using AnchorScope.Server.Audit;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server.Load;

/// <summary>Bodies that end early, or never come.</summary>
public sealed class BodyTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public async Task ABodyThatEndsEarly_IsRecorded()
    {
        var state = _temp.File("state");
        await using var server = await RunningServer.Start(options => options with { State = state });
        var (status, _) = await HostileRequests.Send(
            new Uri(server.Server.Url), new HostileRequest(Head(100), "{"u8.ToArray(), HalfClosed: true), CancellationToken.None);
        // Kestrel may close the connection of a client that has ended its side, before it is answered.
        Assert.True(status is 0 or 400, $"{status}");
        AuditRecord? Refused() =>
            AuditReader.Records(Path.Combine(state, "audit")).SingleOrDefault(r => r.Json["kind"]!.ToString() == "refused");
        for (var i = 0; i < 100 && Refused() is null; i++) await Task.Delay(100);
        Assert.Contains(Refused()!.Json["status"]!.GetValue<int>(), new[] { 400, 499 });
    }

    /// <summary>What a header promises takes no memory until it comes.</summary>
    [Fact]
    public async Task PromisedBytes_TakeNoMemory()
    {
        if (!OperatingSystem.IsLinux()) return;
        const int Connections = 40;
        await using var server = await ServerProcess.Start(_temp, _temp.File("other"), "--threads", "1");
        var before = await server.Held();
        var clients = Enumerable.Range(0, Connections).Select(_ => new TcpClient(server.Address.Host, server.Address.Port)).ToList();
        try
        {
            // Less than the limit, so that each is read. A first byte shows that reading has begun.
            foreach (var client in clients) await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(Head(30 << 20) + "{"));
            await Task.Delay(500);
            var after = await server.Held();
            Assert.True(after.Heap < before.Heap + (100L << 20), $"{before}, then {after}");
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
    }

    private static string Head(int length) => "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        + string.Create(System.Globalization.CultureInfo.InvariantCulture, $"content-length: {length}\r\nconnection: close\r\n\r\n");

    public void Dispose() => _temp.Dispose();
}
