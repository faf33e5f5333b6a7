using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server.Load;

/// <summary>
/// Mixed traffic as clients send it: text, pictures, streams that are given up, changes, refusals, knobs, several answers, long prompts.
/// Memory, threads and files stay what they are. ASCOPE_SOAK says how many requests.
/// </summary>
public sealed class SoakTests : IDisposable
{
    private const int Clients = 6;
    private const int Samples = 20;

    // What the allocators may keep beyond what they had after the first part.
    private const long MostGrowth = 64L << 20;

    private static readonly int Requests = LoadSize.Of("ASCOPE_SOAK", 1000);

    private readonly TempFolder _temp = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();

    [Fact]
    public async Task MixedTraffic_LeavesNothingBehind()
    {
        if (!OperatingSystem.IsLinux()) return;
        // Kept prefixes fill their share at once, so that they do not look like growth.
        await using var server = await ServerProcess.Start(_temp, _temp.File("state"), "--policy", TestPolicy.Write(_temp, TestPolicy.Free),
            "--threads", "1", "--memory", "16MiB", "--queue", "4");
        var (started, samples) = (Stopwatch.GetTimestamp(), new List<Held>());
        for (var part = 0; part < Samples; part++)
        {
            var first = part * (Requests / Samples);
            await Parallel.ForAsync(0, Requests / Samples, new ParallelOptions { MaxDegreeOfParallelism = Clients },
                async (i, _) => await One(server, new SplitMix((ulong)(first + i))));
            samples.Add(await server.Held());
            LoadSize.Report($"soak: {first + Requests / Samples} requests, {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s: "
                + $"{samples[^1]}");
        }
        var counts = _counts.OrderBy(count => count.Key, StringComparer.Ordinal).Select(count => $"{count.Key}: {count.Value}");
        LoadSize.Report($"soak: {string.Join(", ", counts)}");
        // Garbage makes every sample too large by a random amount: the least of the last quarter against the least of the second one.
        Held Least(int quarter)
        {
            var own = samples[(quarter * Samples / 4)..((quarter + 1) * Samples / 4)];
            return own[0] with { Anonymous = own.Min(s => s.Anonymous), Heap = own.Min(s => s.Heap), Threads = own.Min(s => s.Threads),
                Handles = own.Min(s => s.Handles) };
        }
        var (then, now) = (Least(1), Least(3));
        Assert.True(now.Anonymous < then.Anonymous + MostGrowth && now.Heap < then.Heap + MostGrowth / 2, $"{then}, then {now}");
        Assert.True(now.Threads <= then.Threads + 4 && now.Handles <= then.Handles + 4, $"{then}, then {now}");
        Assert.Superset(new HashSet<string> { "ok", "refused", "given up", "knob" }, _counts.Keys.ToHashSet());
        Assert.Equal(0, await server.Stop());
        Assert.DoesNotContain(server.Lines, line => line.StartsWith("fail:", StringComparison.Ordinal));
    }

    /// <summary>One request of a random kind.</summary>
    private async Task One(ServerProcess server, SplitMix random)
    {
        var traffic = new Traffic(random);
        var kind = random.Below(12);
        if (kind == 0)
        {
            using var turned = await server.Client.PutAsync(
                $"/v1/anchorscope/knobs/{(random.Below(2) == 0 ? "arbitration" : "direction")}", RunningServer.Content(traffic.Turn()));
            Count("knob", turned.StatusCode);
            return;
        }
        if (kind == 1)
        {
            using var read = await server.Client.GetAsync(random.Below(2) == 0 ? "/metrics" : "/v1/models");
            Count("read", read.StatusCode);
            return;
        }
        var (path, body) = kind switch
        {
            2 => ("/v1/completions", traffic.Completion()),
            // Up to the context length of the model, and beyond it.
            3 => ("/v1/completions", traffic.Completion(150 + random.Below(110))),
            4 or 5 => ("/v1/chat/completions", traffic.Words()),
            _ => ("/v1/chat/completions", traffic.Chat()),
        };
        if (kind is 6 or 7) body["anchorscope"] = traffic.Steering();
        if (kind == 8) body["unknown"] = 1;
        if (kind == 9)
        {
            await GiveUp(server, body, random);
            return;
        }
        using var response = await server.Client.PostAsync(path, RunningServer.Content(body));
        await response.Content.ReadAsByteArrayAsync();
        Count("ok", response.StatusCode);
    }

    /// <summary>A stream whose reader goes away after some bytes.</summary>
    private async Task GiveUp(ServerProcess server, Dictionary<string, object?> body, SplitMix random)
    {
        (body["stream"], body["max_tokens"]) = (true, 60);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = RunningServer.Content(body) };
        using var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var stream = await response.Content.ReadAsStreamAsync();
        Assert.True(await stream.ReadAsync(new byte[1 + random.Below(2000)]) > 0);
        Count("given up", response.StatusCode);
    }

    private void Count(string kind, HttpStatusCode status)
    {
        Assert.True((int)status < 500, $"{kind}: {status}");
        _counts.AddOrUpdate(status switch
        {
            HttpStatusCode.OK => kind,
            HttpStatusCode.TooManyRequests => "too many",
            _ => "refused",
        }, 1, (_, count) => count + 1);
    }

    public void Dispose() => _temp.Dispose();
}
