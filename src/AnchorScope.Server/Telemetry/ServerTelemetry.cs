using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AnchorScope.Server.Telemetry;

/// <summary>
/// What requests for text tell those who listen, in the names that OpenTelemetry has for generative models, and <c>anchorscope.*</c> for
/// what only this server has. No attribute has content. Where nobody listens, a request costs a few checks.
/// </summary>
internal sealed class ServerTelemetry : IDisposable
{
    /// <summary>Name of the source of traces, of the meter and of the log's category.</summary>
    public const string Name = "AnchorScope.Server";

    private readonly ActivitySource _source = new(Name);
    private readonly Meter _meter = new(Name);
    private readonly ServedModel _served;
    private readonly ILogger _log;

    public ServerTelemetry(ServedModel served, ILogger log)
    {
        (_served, _log) = (served, log);
        // Names, units and buckets are those of the semantic conventions.
        Duration = Seconds("gen_ai.server.request.duration", "From the request to its last token.",
            0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92);
        FirstToken = Seconds("gen_ai.server.time_to_first_token", "From the request to its first token.",
            0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10);
        NextToken = Seconds("gen_ai.server.time_per_output_token", "Between tokens of an answer, mean of a request.",
            0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5);
        Tokens = _meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of prompts and of answers.", tags: null,
            new InstrumentAdvice<long>
            {
                HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864],
            });
        Reused = _meter.CreateCounter<long>("anchorscope.reused_tokens", "{token}", "Tokens of prompts that were not computed again.");
        Interventions = _meter.CreateCounter<long>("anchorscope.interventions", "{intervention}", "Changes made inside the model.");
    }

    public Histogram<double> Duration { get; }

    public Histogram<double> FirstToken { get; }

    public Histogram<double> NextToken { get; }

    public Histogram<long> Tokens { get; }

    public Counter<long> Reused { get; }

    public Counter<long> Interventions { get; }

    /// <summary>Follows a request; null: nobody listens.</summary>
    public RequestTrace? Begin(HttpContext context, string id, bool chat)
    {
        var logs = _log.IsEnabled(LogLevel.Information);
        if (!_source.HasListeners() && !Duration.Enabled && !logs) return null;
        return new RequestTrace(this, _served, logs ? _log : null, StartSpan(context, chat), id, chat);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _source.Dispose();
        _meter.Dispose();
    }

    private Activity? StartSpan(HttpContext context, bool chat)
    {
        var headers = context.Request.Headers;
        // One that cannot be read is none.
        _ = ActivityContext.TryParse(headers["traceparent"], headers["tracestate"], isRemote: true, out var caller);
        // The web server has an activity of its own that nobody exports: as a parent it would be missing in the trace.
        Activity.Current = null;
        var operation = RequestTrace.OperationOf(chat);
        var span = _source.StartActivity($"{operation} {_served.Name}", ActivityKind.Server, caller);
        if (span is not { IsAllDataRequested: true }) return span;
        span.SetTag("gen_ai.operation.name", operation).SetTag("gen_ai.provider.name", RequestTrace.Provider)
            .SetTag("gen_ai.output.type", "text").SetTag("server.address", context.Connection.LocalIpAddress?.ToString())
            .SetTag("server.port", context.Connection.LocalPort)
            .SetTag("anchorscope.weights", _served.Model.Checkpoint.Identity.Weights[..12]);
        return span;
    }

    private Histogram<double> Seconds(string name, string description, params double[] buckets) =>
        _meter.CreateHistogram(name, "s", description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });
}
