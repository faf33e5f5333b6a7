using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using AnchorScope.Server;

namespace AnchorScope.Bench;

/// <summary>Time to the first token and between tokens of a server under load, as a client sees them.</summary>
internal static class ServeLatencyBench
{
    private const int Tokens = 32;
    private const double Seconds = 20;

    /// <summary>When the chunks of a stream came, in milliseconds after the request.</summary>
    private sealed record Arrival(double First, IReadOnlyList<double> Between);

    public static Results Run()
    {
        using var subject = ServeSubject.Small();
        var server = InferenceServer.Start(new ServerOptions
        {
            Model = subject.Folder, Name = "model", State = subject.Beside("state"), Url = "http://127.0.0.1:0",
            Scheduler = ServeSubject.Options(256) with { KeepPrefixes = true },
        }).GetAwaiter().GetResult();
        try
        {
            using var client = new HttpClient { BaseAddress = new Uri(server.Url) };
            return Measured(client).GetAwaiter().GetResult();
        }
        finally
        {
            server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private static async Task<Results> Measured(HttpClient client)
    {
        await Closed(client, 16, 32);
        var started = Stopwatch.GetTimestamp();
        const int Requests = 96;
        await Closed(client, 16, Requests);
        var capacity = Requests / Stopwatch.GetElapsedTime(started).TotalSeconds;
        var lines = new List<Line>();
        foreach (var share in new[] { 0.25, 0.5, 0.75, 0.9 })
            lines.Add(
                Line($"{share * capacity:0.0} requests/s, {share:0 %} of what 16 clients reach", await Open(client, share * capacity)));
        using var ended = new CancellationTokenSource();
        var asking = LongPrompts(client, ended.Token);
        lines.Add(
            Line($"{0.5 * capacity:0.0} requests/s, and every two seconds a prompt of 1,500 tokens", await Open(client, 0.5 * capacity)));
        await ended.CancelAsync();
        var prompts = await asking;
        return new Results("serve-latency", "Time to the first token and between tokens under load",
            $"`ascope serve` with its log, over HTTP on the same machine, {Environment.ProcessorCount} threads for both: the "
                + "model of twenty "
                + $"million parameters of `serve`, requests of about 90 tokens, each its own text, and up to {Tokens} new ones, streamed. "
                + $"Requests arrive at random (exponential gaps) for {Seconds:0} s at each rate; 16 clients that ask one request after the "
                + $"other reach {capacity:0.0}/s. Times are those at which the client reads a chunk, which has one token; "
                + "quantiles over all "
                + "requests and all gaps. Rows of a pass: 256, so that a long prompt is computed in pieces between the tokens of others.",
            ["to the first token, ms: p50, p95, p99", "between tokens, ms: p50, p95, p99"], lines,
            [$"The {prompts.Count} long prompts had their first token after {Quantile(prompts, 0.5):0} ms (median)."]);
    }

    private static Line Line(string what, IReadOnlyList<Arrival> arrivals) => new($"{what}: {arrivals.Count} requests",
        Quantiles([.. arrivals.Select(a => a.First)]), Quantiles([.. arrivals.SelectMany(a => a.Between)]), null, null);

    private static string Quantiles(IReadOnlyList<double> values) => string.Create(CultureInfo.InvariantCulture,
        $"{Quantile(values, 0.5):0.0}, {Quantile(values, 0.95):0.0}, {Quantile(values, 0.99):0.0}");

    private static double Quantile(IReadOnlyList<double> values, double share) =>
        values.Order().ElementAt((int)Math.Min(values.Count - 1, share * values.Count));

    /// <summary>Clients that ask one request after the other.</summary>
    private static async Task Closed(HttpClient client, int clients, int requests)
    {
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) is var i && i < requests) await Ask(client, Body(i, Tokens, 0));
        }));
    }

    /// <summary>Requests that arrive at random, whether or not those before are answered.</summary>
    private static async Task<IReadOnlyList<Arrival>> Open(HttpClient client, double rate)
    {
        var (random, asked, started, next) = (new Random(7), new List<Task<Arrival>>(), Stopwatch.GetTimestamp(), 0.0);
        while ((next += -Math.Log(1 - random.NextDouble()) / rate) < Seconds)
        {
            var wait = TimeSpan.FromSeconds(next) - Stopwatch.GetElapsedTime(started);
            if (wait > TimeSpan.Zero) await Task.Delay(wait);
            asked.Add(Ask(client, Body(random.Next(), Tokens, 0)));
        }
        return await Task.WhenAll(asked);
    }

    private static async Task<List<double>> LongPrompts(HttpClient client, CancellationToken ended)
    {
        var first = new List<double>();
        while (!ended.IsCancellationRequested)
        {
            first.Add((await Ask(client, Body(1000 + first.Count, 1, 1500))).First);
            await Task.Delay(2000, ended).ContinueWith(_ => { }, TaskScheduler.Default);
        }
        return first;
    }

    private static string Body(int index, int tokens, int more)
    {
        var text = new StringBuilder($"note {index}: the sign on the door is red. what colour is it?");
        for (var i = 0; i < more; i++) text.Append((char)('a' + (i * 7 + index) % 26));
        return JsonSerializer.Serialize(new
        {
            model = "model",
            messages = new[] { new { role = "user", content = new[] { new { type = "text", text = text.ToString() } } } },
            max_tokens = tokens,
            stream = true,
            logprobs = true,
        });
    }

    private static async Task<Arrival> Ask(HttpClient client, string body)
    {
        var started = Stopwatch.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
            { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        if (!response.IsSuccessStatusCode)
            throw new InvalidOperationException($"{response.StatusCode}: {await reader.ReadToEndAsync()}");
        var times = new List<double>();
        while (await reader.ReadLineAsync() is { } line)
        {
            // Every chunk with a token has its probability.
            if (line.Contains("\"top_logprobs\"", StringComparison.Ordinal)) times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        return new Arrival(times[0], [.. times.Zip(times.Skip(1), (before, after) => after - before)]);
    }
}
