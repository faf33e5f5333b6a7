using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;
using Microsoft.AspNetCore.Routing;

namespace AnchorScope.Tests.Server.Load;

/// <summary>
/// Mutated requests over all routes of a server in a process of its own: no error of the server, no growth, and the same bits afterwards.
/// ASCOPE_FUZZ says how many.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    private const int Clients = 4;

    // What the allocators may keep beyond the warm-up.
    private const long MostGrowth = 96L << 20;

    private static readonly int Requests = LoadSize.Of("ASCOPE_FUZZ", 3000);

    private readonly TempFolder _temp = new();

    [Fact]
    public async Task MutatedRequests_OverAllRoutes_AreRefusedOrAnswered()
    {
        if (!OperatingSystem.IsLinux()) return;
        var (state, keys) = (_temp.File("state"), _temp.File("keys.json"));
        string[] known = [KeyRing.Add(keys, "admin", Role.Admin), KeyRing.Add(keys, "app", Role.Infer),
            KeyRing.Add(keys, "lab", Role.Steer),
            KeyRing.Add(keys, "shift", Role.Operator), KeyRing.Add(keys, "auditor", Role.Audit), "ask-unknown"];
        var routes = await Routes();
        var seen = new SortedDictionary<int, int>();
        await using (var server = await ServerProcess.Start(_temp, state, "--policy", TestPolicy.Write(_temp, TestPolicy.Free), "--keys",
            keys, "--threads", "1", "--memory", "16MiB"))
        {
            server.Client.DefaultRequestHeaders.Authorization = new("Bearer", known[0]);
            var before = await Probe(server, state);
            await Fuzz(server, new HostileRequests(1, routes, known), Requests / 5, seen);
            var warm = await Settled(server);
            LoadSize.Report($"fuzz: {Requests / 5} requests: {warm}");
            for (var part = 2; part <= 5; part++)
            {
                await Fuzz(server, new HostileRequests((ulong)part * 100, routes, known), Requests / 5, seen);
                LoadSize.Report($"fuzz: {Requests / 5 * part} requests: {await server.Held()}");
            }
            var after = await Settled(server);
            LoadSize.Report($"fuzz: {string.Join(", ", seen.Select(s => $"{s.Key}: {s.Value}"))}; settled: {after}");
            Assert.True(after.Anonymous < warm.Anonymous + MostGrowth, $"{warm}, then {after}");
            Assert.True(after.Heap < warm.Heap + MostGrowth / 2, $"{warm}, then {after}");
            Assert.True(after.Threads <= warm.Threads + 8 && after.Handles <= warm.Handles + 8, $"{warm}, then {after}");
            Assert.Equal(before, await Probe(server, state));
            Assert.Equal(0, await server.Stop());
            Assert.DoesNotContain(server.Lines, line => line.StartsWith("fail:", StringComparison.Ordinal)
                || line.StartsWith("crit:", StringComparison.Ordinal) || line.Contains("xception", StringComparison.Ordinal));
        }
        Assert.Superset(new HashSet<int> { 200, 400, 401, 403, 404 }, seen.Keys.ToHashSet());
        var folder = Path.Combine(state, "audit");
        Assert.Null(AuditReader.Broken(folder, LogKey.Parse(File.ReadAllText(Path.Combine(folder, "key.pub")).Trim(), "key.pub"), null));
    }

    /// <summary>Method and path of every route: those that the server has, whatever they are.</summary>
    private static async Task<IReadOnlyList<(string Method, string Path)>> Routes()
    {
        await using var server = await RunningServer.Start();
        return [.. server.Server.Routes
            .SelectMany(route => route.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["GET"],
                (route, method) => (Method: method, Path: route.RoutePattern.RawText!))
            // The live parts of pages are streams without an end.
            .Where(route => !route.Path.StartsWith("/pages/live/", StringComparison.Ordinal))
            .SelectMany(route => route.Path.Contains("knobs/", StringComparison.Ordinal)
                ? new[] { "arbitration", "direction", "none" } : ["relay"], (route, name) => (route.Method, Named(route.Path, name)))];
    }

    private static string Named(string path, string name) => path.IndexOf('{', StringComparison.Ordinal) is var at and >= 0
        ? path[..at] + name + path[(path.IndexOf('}', StringComparison.Ordinal) + 1)..] : path;

    private static async Task Fuzz(ServerProcess server, HostileRequests requests, int count, SortedDictionary<int, int> seen)
    {
        var faults = new List<string>();
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = Clients }, async (_, cancel) =>
        {
            HostileRequest request;
            lock (requests) request = requests.Next();
            using var late = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            late.CancelAfter(TimeSpan.FromSeconds(60));
            var (status, text) = await HostileRequests.Send(server.Address, request, late.Token);
            var fault = HostileRequests.Fault(status, text);
            lock (seen)
            {
                seen[status] = seen.GetValueOrDefault(status) + 1;
                if (fault is not null) faults.Add($"{fault}: {request}: {text}");
            }
        });
        Assert.True(faults.Count == 0, $"{faults.Count} faults; " + string.Join("\n\n", faults.Take(10)));
    }

    /// <summary>The hashes of the logits of two answers, one of them steered, as the log has them.</summary>
    private static async Task<string> Probe(ServerProcess server, string state)
    {
        var hashes = new List<string>();
        foreach (var edits in new object[][] { [], [new { kind = "head_gain", set = "arbiters", factor = 1.75, at = "instruction" }] })
        {
            // Knobs may have been turned meanwhile: they do not act on it.
            var body = RunningServer.Chat(("max_tokens", 5), ("anchorscope", new { follow = false, interventions = edits }));
            using var response = await server.Client.PostAsync("/v1/chat/completions", RunningServer.Content(body));
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, text);
            var index = JsonElement.Parse(text).GetProperty("anchorscope").GetProperty("audit").GetProperty("index").GetInt32();
            using var log = new StreamReader(
                new FileStream(Path.Combine(state, "audit", AuditLog.FileName), FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            for (var i = 0; i < index; i++) await log.ReadLineAsync();
            hashes.Add(JsonNode.Parse((await log.ReadLineAsync())!)!["answers"]![0]!["logits_sha256"]!.ToString());
        }
        Assert.NotEqual(hashes[0], hashes[1]);
        return string.Join(' ', hashes);
    }

    /// <summary>The least that it holds within some seconds: without garbage that no collection has reached yet.</summary>
    private static async Task<Held> Settled(ServerProcess server)
    {
        var least = await server.Held();
        for (var i = 0; i < 12; i++)
        {
            await Task.Delay(250);
            var now = await server.Held();
            least = now with { Anonymous = Math.Min(now.Anonymous, least.Anonymous), Heap = Math.Min(now.Heap, least.Heap) };
        }
        return least;
    }

    public void Dispose() => _temp.Dispose();
}
