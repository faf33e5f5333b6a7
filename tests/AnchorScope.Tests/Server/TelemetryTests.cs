using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using AnchorScope.Server.Telemetry;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Server;

/// <summary>What a collector of OpenTelemetry is sent by a server that runs as a user runs it.</summary>
public sealed class TelemetryTests : IDisposable
{
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Caller = "00f067aa0ba902b7";

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private readonly TempFolder _temp = new();

    [Fact]
    public async Task ACollector_IsSentSpansMeasurementsAndLogs_WithoutContent()
    {
        await using var collector = await OtlpReceiver.Start();
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": ["head_gain"], "listed_heads": true, "factor": [0, 2]}""");
        using (var process = Ascope.StartUnder(
            [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Url), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                ("OTEL_SERVICE_NAME", "ward-3"), ("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_METRIC_EXPORT_INTERVAL", "300"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
            ],
            _temp.Path, "serve", "--model", Fixtures.Grown("relay"), "--urls", "http://127.0.0.1:0", "--state", _temp.File("state"),
            "--threads", "1", "--policy", policy))
        {
            try
            {
                var line = await process.StandardOutput.ReadLineAsync().WaitAsync(Longest);
                Assert.StartsWith("listening on ", line, StringComparison.Ordinal);
                using var client = new HttpClient { BaseAddress = new Uri(line!["listening on ".Length..]) };
                await Ask(client, RunningServer.Chat(("max_tokens", 3), ("temperature", 1.5), ("seed", 7), ("n", 2)), "plain");
                await Ask(client, RunningServer.Chat(("max_tokens", 4), ("stream", true), ("stop", "verysecretstop")), "stream");
                await Ask(client, RunningServer.Chat(("n", 0)), "refused");
                await Ask(client, RunningServer.Chat(("max_tokens", 1), ("anchorscope", new
                {
                    interventions = new[] { new { kind = "head_gain", heads = new[] { new[] { 2, 1 } }, factor = 0.5 } },
                    answers = new { vision = new[] { "green" }, text = new[] { "purple" } },
                    report = new[] { "decision" },
                })), "steered");
                for (var waited = Stopwatch.StartNew(); waited.Elapsed < Longest; await Task.Delay(50))
                {
                    if (collector.Spans.Count >= 4 && collector.Logs.Count >= 4
                        && collector.Metrics.Any(metric => metric.Text(1) == "anchorscope.interventions")) break;
                }
            }
            finally
            {
                process.Kill();
                await process.WaitForExitAsync();
            }
        }
        CheckSpans(collector);
        CheckMetrics(collector);
        Assert.Equal(["traces: ward-3", "metrics: ward-3", "logs: ward-3"], new[] { "traces", "metrics", "logs" }.Select(signal =>
            $"{signal}: {collector.Resources(signal)[0].Attributes(1)["service.name"]}"));
        string[] logs = [.. collector.Logs.Select(log => log.All(5).Single().Text(1))];
        Assert.Equal(4, logs.Length);
        Assert.Single(logs, log => log.EndsWith(" refused: 400 invalid_value", StringComparison.Ordinal));
        Assert.Equal(3, logs.Count(log => log.Contains(" answered: chat, 36 tokens in, ", StringComparison.Ordinal)));
        foreach (var content in new[] { "purple", "trust the", "green", "verysecretstop" })
            Assert.DoesNotContain(content, collector.Text, StringComparison.Ordinal);
    }

    /// <summary>Without a collector nobody listens, and a request leaves no trace.</summary>
    [Fact]
    public async Task WithoutACollector_NothingIsFollowed()
    {
        await using var server = await RunningServer.Start();
        using var source = new ActivitySource(ServerTelemetry.Name);
        using var meter = new Meter(ServerTelemetry.Name);
        Assert.False(source.HasListeners());
        Assert.False(meter.CreateHistogram<double>("gen_ai.server.request.duration").Enabled);
        using var telemetry = new ServerTelemetry(server.Server.Served, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        var context = new Microsoft.AspNetCore.Http.DefaultHttpContext();
        Assert.Null(telemetry.Begin(context, "id", chat: true));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++) telemetry.Begin(context, "id", chat: true);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.False(TelemetryExport.IsAsked(new Microsoft.Extensions.Configuration.ConfigurationBuilder().Build()));
    }

    private static void CheckSpans(OtlpReceiver collector)
    {
        Assert.Equal(4, collector.Spans.Count);
        var spans = collector.Spans.Select(span => (Span: span, Tags: span.Attributes(9))).OrderBy(span => span.Span.Number(7)).ToList();
        foreach (var (span, tags) in spans)
        {
            Assert.Equal((Trace, Caller, "chat relay", 2UL),
                (Convert.ToHexStringLower(span.Bytes(1)), Convert.ToHexStringLower(span.Bytes(4)),
                    span.Text(5), span.Number(6)));
            Assert.Equal(("chat", "anchorscope", "text", 12), (tags["gen_ai.operation.name"], tags["gen_ai.provider.name"],
                tags["gen_ai.output.type"], ((string)tags["anchorscope.weights"]).Length));
            Assert.Equal("127.0.0.1", tags["server.address"]);
            Assert.True((long)tags["server.port"] > 0);
        }
        var (plain, stream, refused, steered) = (spans[0].Tags, spans[1].Tags, spans[2].Tags, spans[3].Tags);
        Assert.Equal(("relay", "relay", 3L, 1.5, 7L, 2L), (plain["gen_ai.request.model"], plain["gen_ai.response.model"],
            plain["gen_ai.request.max_tokens"], plain["gen_ai.request.temperature"], plain["gen_ai.request.seed"],
            plain["gen_ai.request.choice.count"]));
        Assert.Equal((36L, 6L), (plain["gen_ai.usage.input_tokens"], plain["gen_ai.usage.output_tokens"]));
        Assert.Equal(["length", "length"], (object[])plain["gen_ai.response.finish_reasons"]);
        Assert.StartsWith("chatcmpl-", (string)plain["gen_ai.response.id"], StringComparison.Ordinal);
        Assert.Equal(1L, plain["anchorscope.audit.index"]);
        Assert.DoesNotContain("anchorscope.intervention.fingerprint", plain.Keys);
        Assert.DoesNotContain("error.type", plain.Keys);
        Assert.Equal((4L, 0.0), (stream["gen_ai.usage.output_tokens"], stream["gen_ai.request.temperature"]));
        Assert.Equal(("invalid_value", 400L), (refused["error.type"], refused["http.response.status_code"]));
        Assert.DoesNotContain("gen_ai.response.id", refused.Keys);
        Assert.Equal(64, ((string)steered["anchorscope.intervention.fingerprint"]).Length);
        Assert.Equal(["head_gain"], (object[])steered["anchorscope.intervention.kinds"]);
        Assert.Contains((string)steered["anchorscope.decision"], new[] { "vision", "text", "neither" });
        Assert.True(double.IsFinite((double)steered["anchorscope.margin"]));
    }

    private static void CheckMetrics(OtlpReceiver collector)
    {
        var last = collector.Metrics.GroupBy(metric => metric.Text(1)).ToDictionary(group => group.Key, group => group.Last());
        Assert.Equal(
            [
                "anchorscope.interventions {intervention}", "anchorscope.reused_tokens {token}", "gen_ai.client.token.usage {token}",
                "gen_ai.server.request.duration s", "gen_ai.server.time_per_output_token s", "gen_ai.server.time_to_first_token s",
            ],
            last.Select(metric => $"{metric.Key} {metric.Value.Text(3)}").Order(StringComparer.Ordinal));
        // Points of a histogram: 9, their attributes 9, counts 4, sums 5.
        var tokens = last["gen_ai.client.token.usage"].All(9, 1)
            .ToDictionary(point => (string)point.Attributes(9)["gen_ai.token.type"],
                point => BitConverter.UInt64BitsToDouble(point.Number(5)));
        Assert.Equal((108, 11), (tokens["input"], tokens["output"]));
        var durations = last["gen_ai.server.request.duration"].All(9, 1).ToList();
        Assert.Equal(4UL, durations.Aggregate(0UL, (sum, point) => sum + point.Number(4)));
        Assert.Contains(durations, point => point.Attributes(9).TryGetValue("error.type", out var type) && type is "invalid_value");
        Assert.Equal(3UL, last["gen_ai.server.time_to_first_token"].All(9, 1).Single().Number(4));
        // Points of a sum: 7, their attributes 7.
        Assert.Equal("head_gain",
            last["anchorscope.interventions"].All(7, 1).Single().Attributes(7)["anchorscope.intervention.kind"]);
    }

    private static async Task Ask(HttpClient client, Dictionary<string, object?> chat, string what)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = RunningServer.Content(chat) };
        request.Headers.Add("traceparent", $"00-{Trace}-{Caller}-01");
        using var response = await client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(what == "refused" == ((int)response.StatusCode == 400), $"{what}: {response.StatusCode}: {text}");
    }

    public void Dispose() => _temp.Dispose();
}
