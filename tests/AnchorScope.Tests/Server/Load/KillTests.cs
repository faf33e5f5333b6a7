using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using AnchorScope.Server.Audit;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server.Load;

/// <summary>
/// A server that is killed at any point, while clients ask in streams and not: what a client was told as a whole is in the log, and the log
/// is whole. ASCOPE_KILLS says how often.
/// </summary>
public sealed class KillTests : IDisposable
{
    private const int Clients = 4;

    private static readonly int Kills = LoadSize.Of("ASCOPE_KILLS", 8);

    private readonly TempFolder _temp = new();
    private readonly ConcurrentDictionary<string, string> _told = new();

    [Fact]
    public async Task AServerThatIsKilled_LosesNoRecordOfAResponse()
    {
        if (OperatingSystem.IsWindows()) return;
        var (state, random, policy) = (_temp.File("state"), new SplitMix(3), TestPolicy.Write(_temp, TestPolicy.Free));
        var folder = Path.Combine(state, "audit");
        var (before, rounds) = (0, 0);
        for (var kill = 0; kill < Kills; kill++)
        {
            await using var server = await ServerProcess.Start(_temp, state, "--policy", policy, "--threads", "1");
            var clients = Enumerable.Range(0, Clients).Select(i => Task.Run(() => Ask(server, new SplitMix((ulong)(100 * kill + i)))))
                .ToList();
            // A kill before the first answers would say nothing about them; every fifth one comes at the start all the same.
            while (kill % 5 > 0 && _told.Count < before + Clients && !clients.TrueForAll(c => c.IsCompleted)) await Task.Delay(5);
            await Task.Delay(random.Below(150));
            await server.Kill();
            await Task.WhenAll(clients);
            (before, rounds) = (_told.Count, rounds + (_told.Count > before ? 1 : 0));
            var key = LogKey.Parse(File.ReadAllText(Path.Combine(folder, "key.pub")).Trim(), "key.pub");
            Assert.Null(AuditReader.Broken(folder, key, null));
        }
        Assert.True(rounds >= Kills * 3 / 5, $"answers before {rounds} of {Kills} kills");
        var records = AuditReader.Records(folder);
        var kept = records.Where(r => r.Json["request_sha256"] is not null)
            .Select(r => r.Json["request_sha256"] + " " + r.Json["kind"]).ToHashSet(StringComparer.Ordinal);
        var lost = _told.Where(told => !kept.Contains($"{told.Key} {told.Value}")).ToList();
        Assert.True(lost.Count == 0, $"{lost.Count} of {_told.Count} responses have no record: {string.Join(", ", lost)}");
        Assert.Superset(new HashSet<string> { "request", "refused" }, _told.Values.ToHashSet());
        Assert.Equal(Kills, records.Count(r => r.Json["kind"]!.ToString() == "start"));
        LoadSize.Report($"kill: {Kills} kills, {_told.Count} responses as a whole, {records.Count} records, of which "
            + $"{records.Count(r => r.Json["recovered_bytes"]?.GetValue<long>() > 0)} starts removed an unfinished one");
    }

    /// <summary>Asks until the server is gone, and keeps the hash of each request that was answered or refused as a whole.</summary>
    private async Task Ask(ServerProcess server, SplitMix random)
    {
        var traffic = new Traffic(random);
        while (true)
        {
            var body = random.Below(3) == 0 ? traffic.Chat() : traffic.Words();
            if (random.Below(4) == 0) body["anchorscope"] = traffic.Steering();
            // No two requests are the same.
            body["user"] = random.Next().ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
            var json = Traffic.Json(body);
            try
            {
                using var content = new StringContent(json, Encoding.UTF8, "application/json");
                using var response = await server.Client.PostAsync("/v1/chat/completions", content);
                var text = await response.Content.ReadAsStringAsync();
                Assert.True((int)response.StatusCode < 500, text);
                var streamed = response.Content.Headers.ContentType?.MediaType == "text/event-stream";
                if (streamed && !text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal)) return;
                if (!streamed) JsonElement.Parse(text);
                _told[RequestRecord.Hash(Encoding.UTF8.GetBytes(json))] = response.StatusCode == HttpStatusCode.OK ? "request" : "refused";
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                return;
            }
        }
    }

    public void Dispose() => _temp.Dispose();
}
