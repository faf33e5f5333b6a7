using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace AnchorScope.Server.Telemetry;

/// <summary>
/// Sends traces, metrics and logs to a collector of OpenTelemetry, as its standard environment variables say. Nothing is loaded without
/// them.
/// </summary>
internal static class TelemetryExport
{
    private const string Usual = "ascope";

    /// <summary>Whether the environment names a collector.</summary>
    public static bool IsAsked(IConfiguration environment) =>
        !string.Equals(environment["OTEL_SDK_DISABLED"], "true", StringComparison.OrdinalIgnoreCase)
        && new[] { "", "TRACES_", "METRICS_", "LOGS_" }.Any(
            signal => environment[$"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"] is { Length: > 0 });

    /// <summary>Sets it up. The exporter reads the rest of the environment itself.</summary>
    public static void Add(WebApplicationBuilder builder)
    {
        var environment = builder.Configuration;
        var named = environment["OTEL_SERVICE_NAME"] is { Length: > 0 }
            || (environment["OTEL_RESOURCE_ATTRIBUTES"]?.Contains("service.name=", StringComparison.Ordinal) ?? false);
        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource =>
            {
                if (!named) resource.AddService(Usual);
            })
            .WithTracing(tracing => tracing.AddSource(ServerTelemetry.Name).AddOtlpExporter())
            .WithMetrics(metrics => metrics.AddMeter(ServerTelemetry.Name).AddOtlpExporter())
            .WithLogging(logging => logging.AddOtlpExporter(), records => records.IncludeFormattedMessage = true);
        // Every request there, but on the console only what went wrong.
        builder.Logging.AddFilter<OpenTelemetryLoggerProvider>(ServerTelemetry.Name, LogLevel.Information);
    }
}
