using System.Text.Json;
using AnchorScope.Models;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Integrity;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Pages;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Security;
using AnchorScope.Server.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AnchorScope.Server;

/// <summary>A model behind an HTTP server with the routes of the OpenAI API.</summary>
internal sealed class InferenceServer : IAsyncDisposable
{
    private const int MostConnections = 1024;

    private readonly VisionLanguageModel _model;
    private readonly ServedModel _served;
    private readonly AuditTrail _trail;
    private readonly ServerMetrics _metrics;
    private readonly Access _access;
    private readonly LiveKeys? _keys;
    private readonly PictureFetcher? _fetcher;
    private readonly Dashboard _dashboard;
    private readonly WebApplication _app;
    private readonly TrafficMonitor _monitor;
    private readonly Profile? _profile;
    private readonly ServerOptions _options;
    private readonly CanaryWatch? _canaries;
    private IntegrityWatch? _integrity;
    private volatile bool _draining;

    private InferenceServer(VisionLanguageModel model, ServerOptions options, TimeProvider time)
    {
        (_model, _options) = (model, options);
        _keys = options.Keys is { } keys ? new LiveKeys(keys, time) : null;
        _access = new Access(_keys, options.Rate);
        _access.CheckAddress(options.Url);
        var policy = PolicyOf(options, model);
        _fetcher = options.PictureHosts.Count > 0 ? new PictureFetcher(options.PictureHosts, options.MostBytes) : null;
        _served = new ServedModel(
            model, options.Name ?? model.Checkpoint.Name, options.Scheduler, policy, time, new PictureReader(_fetcher));
        try
        {
            _profile = options.Profile is { } normal
                ? Profile.Load(normal, model, policy, new Quantities(model.Engine.Shape, policy.WatchedHeads)) : null;
            _trail = new AuditTrail(options.State, options.Log, policy, time);
            _canaries = policy.Canaries is { } canaries ? new CanaryWatch(canaries, _served, _trail) : null;
        }
        catch
        {
            _trail?.Dispose();
            _served.Dispose();
            throw;
        }
        _monitor = new TrafficMonitor(_served, _profile, _trail, time);
        _served.Watches = _monitor.Takes;
        Shown = _monitor.Snapshot;
        var traffic = new Traffic(time);
        _metrics = new ServerMetrics(_served.Name, _served.Scheduler, _trail) { Traffic = traffic };
        _metrics.Watch(_monitor);
        _dashboard = new Dashboard(new DashboardParts
        {
            Served = _served, Trail = _trail, Traffic = traffic, Access = _access, Options = options, Monitor = () => Shown(), Time = time,
        });
        _app = Build(time);
    }

    private static Policy PolicyOf(ServerOptions options, VisionLanguageModel model)
    {
        if (options.PolicyKey is { } named && options.Policy is null)
            throw InputException.At("--require-signed-policy", named, "--policy beside it", "none");
        if (options.Policy is not { } file) return Policy.None;
        var policy = Policy.Load(file, model.Engine, model.Checkpoint.Identity);
        if (options.PolicyKey is not { } signed) return policy;
        if (!File.Exists(signed)) throw InputException.At(signed, "key", "the public key of the policy", "nothing");
        // What was read is what must have been signed: the file may be another one by now.
        return PolicySignature.Verify(file, LogKey.Parse(File.ReadAllText(signed).Trim(), signed)) == policy.Sha256
            ? policy : throw PolicySignature.Changed(file);
    }

    /// <summary>The address it listens at, with the port that was chosen.</summary>
    public string Url => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <summary>The model and its scheduler.</summary>
    public ServedModel Served => _served;

    /// <summary>The routes.</summary>
    public IEnumerable<RouteEndpoint> Routes =>
        ((IEndpointRouteBuilder)_app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>();

    /// <summary>What watches the requests.</summary>
    public TrafficMonitor Monitor => _monitor;

    /// <summary>What the pages show of the monitor.</summary>
    public Func<MonitorSnapshot> Shown { get; set; }

    /// <summary>Opens the model and starts to listen.</summary>
    /// <exception cref="InputException">The checkpoint, the policy or an option is wrong, or the address cannot be used.</exception>
    public static async Task<InferenceServer> Start(ServerOptions options, TimeProvider? time = null)
    {
        var model = VisionLanguageModel.Open(options.Model);
        try
        {
            var server = new InferenceServer(model, options, time ?? TimeProvider.System);
            try
            {
                if (options.Integrity is { } integrity)
                    server._integrity = await IntegrityWatch.Open(options.Model, integrity, server._trail);
                await server._app.StartAsync();
                server._trail.Started(server._served, server._profile?.Sha256);
                server._integrity?.Follow();
                if (server._canaries is not null) await server._canaries.Follow();
                return server;
            }
            catch (InputException)
            {
                await server.DisposeAsync();
                throw;
            }
            catch (IOException e)
            {
                await server.DisposeAsync();
                throw new InputException($"--urls: {options.Url}: {e.Message}", e);
            }
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Refuses new requests, finishes those in progress, then ends.</summary>
    /// <returns>Why the log could not be sealed; null if it is.</returns>
    public async Task<string?> Stop()
    {
        _draining = true;
        try
        {
            await _served.Scheduler.Drain().WaitAsync(_options.Grace);
        }
        catch (TimeoutException)
        {
            // What is not done by now is cancelled when the scheduler is disposed of.
        }
        await _app.StopAsync();
        await _monitor.Finish();
        _integrity?.Dispose();
        _canaries?.Dispose();
        return _trail.Stopped();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _dashboard.Dispose();
        _integrity?.Dispose();
        _canaries?.Dispose();
        await _monitor.DisposeAsync();
        _served.Dispose();
        _trail.Dispose();
        _access.Dispose();
        _fetcher?.Dispose();
        _model.Dispose();
    }

    private WebApplication Build(TimeProvider time)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = "ascope" });
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning);
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        // That it cannot listen is told by the command, in one line.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        builder.WebHost.UseUrls(_options.Url).ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = _options.MostBytes;
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            // Who sends slower than this holds a connection for nothing.
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 1000, gracePeriod: TimeSpan.FromSeconds(10));
        });
        // The signals are the command's: it drains first.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        if (TelemetryExport.IsAsked(builder.Configuration)) TelemetryExport.Add(builder);
        builder.Services.AddSingleton(services =>
            new ServerTelemetry(_served, services.GetRequiredService<ILoggerFactory>().CreateLogger(ServerTelemetry.Name)));
        var app = builder.Build();
        if (_keys is not null) _keys.Logger = app.Logger;
        app.Use((context, next) => ErrorWriter.Guard(context, next, app.Logger));
        app.Use(new RefusedRequests(_trail).Watch);
        app.Use((context, next) =>
        {
            _access.CheckHost(context);
            if (!_dashboard.Admits(context)) _access.Enter(context);
            // HEAD has the route of GET; the web server leaves the body out.
            if (HttpMethods.IsHead(context.Request.Method)) context.Request.Method = HttpMethods.Get;
            return next(context);
        });
        app.UseRouting();
        var completions = new CompletionEndpoint(
            _served, _trail, _metrics, app.Services.GetRequiredService<ServerTelemetry>(), _access, _options, time)
            { Answered = _monitor.Add };
        app.MapPost("/v1/chat/completions", (HttpContext context) => completions.Handle(context, chat: true));
        app.MapPost("/v1/completions", (HttpContext context) => completions.Handle(context, chat: false));
        app.MapGet("/v1/models", (HttpContext context) => JsonResponse.Write(context, json =>
        {
            json.WriteString("object", "list");
            json.WriteStartArray("data");
            json.WriteStartObject();
            WriteModel(json);
            json.WriteEndObject();
            json.WriteEndArray();
        }));
        app.MapGet("/v1/models/{**name}", (HttpContext context, string name) => name == _served.Name
            ? JsonResponse.Write(context, WriteModel)
            : throw new ApiException(404, $"model: expected {_served.Name}, found {name}", "model", "model_not_found"));
        app.MapGet("/health/live", () => Results.Text("ok"));
        app.MapGet("/health/ready", () => _draining ? Results.Text("draining", statusCode: 503)
            : _trail.Problem is { } problem ? Results.Text(problem, statusCode: 503) : Results.Text("ok"));
        var knobs = new KnobEndpoint(_served.Policy, _served.Knobs, _trail, time);
        _served.Knobs.Expired = _trail.Expired;
        app.MapGet("/v1/anchorscope/knobs", (HttpContext context) => knobs.Get(context, null));
        app.MapGet("/v1/anchorscope/knobs/{name}", (HttpContext context, string name) => knobs.Get(context, name));
        app.MapPut("/v1/anchorscope/knobs/{name}", (HttpContext context, string name) => knobs.Put(context, name));
        app.MapDelete("/v1/anchorscope/knobs/{name}", (HttpContext context, string name) => knobs.Delete(context, name));
        app.MapGet("/v1/anchorscope/policy", (HttpContext context) => knobs.Policy(context));
        app.MapGet("/v1/anchorscope/heads", (HttpContext context) => knobs.Heads(context));
        app.MapGet("/v1/anchorscope/monitor", (HttpContext context) => MonitorEndpoint.Get(context, _monitor));
        app.MapGet(OpenApiDocument.Path, OpenApiDocument.Send);
        _dashboard.Map(app, context => completions.Handle(context, chat: true), knobs.Put);
        app.MapGet("/metrics", (HttpContext context) =>
        {
            Access.Require(context, "metrics", Role.Operator, Role.Audit);
            context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
            return _metrics.Write(context.Response.Body, context.RequestAborted);
        });
        app.MapGet("/version", (HttpContext context) => JsonResponse.Write(context, json =>
        {
            json.WriteString("version", ToolVersion.Text);
            json.WriteString("numerics", _model.Engine.Numerics);
        }));
        return app;
    }

    private void WriteModel(Utf8JsonWriter json)
    {
        json.WriteString("id", _served.Name);
        json.WriteString("object", "model");
        json.WriteNumber("created", new DateTimeOffset(File.GetLastWriteTimeUtc(
            Path.Combine(_model.Checkpoint.Folder, "config.json"))).ToUnixTimeSeconds());
        json.WriteString("owned_by", "anchorscope");
        json.WriteString("family", _model.Family);
        json.WriteString("weights", _model.Checkpoint.Identity.Weights);
        if (_model.Engine.MaximumPositions is { } most) json.WriteNumber("max_model_len", most);
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
