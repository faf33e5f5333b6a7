using System.Text.Json;
using AnchorScope.Models;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Integrity;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AnchorScope.Server;

/// <summary>A model behind an HTTP server with the routes of the OpenAI API.</summary>
internal sealed class InferenceServer : IAsyncDisposable
{
    private readonly VisionLanguageModel _model;
    private readonly ServedModel _served;
    private readonly AuditTrail _trail;
    private readonly ServerMetrics _metrics;
    private readonly Access _access;
    private readonly WebApplication _app;
    private readonly ServerOptions _options;
    private readonly CanaryWatch? _canaries;
    private IntegrityWatch? _integrity;
    private volatile bool _draining;

    private InferenceServer(VisionLanguageModel model, ServerOptions options, TimeProvider time)
    {
        (_model, _options) = (model, options);
        _access = new Access(options.Keys is { } keys ? KeyRing.Load(keys) : null);
        _access.CheckAddress(options.Url);
        if (options.PolicyKey is { } signed)
        {
            if (!File.Exists(signed)) throw InputException.At(signed, "key", "the public key of the policy", "nothing");
            PolicySignature.Verify(
                options.Policy ?? throw InputException.At("--require-signed-policy", signed, "--policy beside it", "none"),
                LogKey.Parse(File.ReadAllText(signed).Trim(), signed));
        }
        var policy = options.Policy is { } file ? Policy.Load(file, model.Engine, model.Checkpoint.Identity) : Policy.None;
        _served = new ServedModel(model, options.Name ?? model.Checkpoint.Name, options.Scheduler, policy, time);
        try
        {
            _trail = new AuditTrail(options.State, options.Log, policy, time);
            _canaries = policy.Canaries is { } canaries ? new CanaryWatch(canaries, _served, _trail) : null;
        }
        catch
        {
            _trail?.Dispose();
            _served.Dispose();
            throw;
        }
        _metrics = new ServerMetrics(_served.Name, _served.Scheduler, _trail);
        _app = Build(time);
    }

    /// <summary>The address it listens at, with the port that was chosen.</summary>
    public string Url => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <summary>The model and its scheduler.</summary>
    public ServedModel Served => _served;

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
                server._trail.Started(server._served);
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
        _integrity?.Dispose();
        _canaries?.Dispose();
        return _trail.Stopped();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _integrity?.Dispose();
        _canaries?.Dispose();
        _served.Dispose();
        _trail.Dispose();
        _model.Dispose();
    }

    private WebApplication Build(TimeProvider time)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = "ascope" });
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning);
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        builder.WebHost.UseUrls(_options.Url).ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = _options.MostBytes;
        });
        // The signals are the command's: it drains first.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        var app = builder.Build();
        app.Use((context, next) => ErrorWriter.Guard(context, next, app.Logger));
        app.Use(new RefusedRequests(_trail).Watch);
        app.Use((context, next) =>
        {
            _access.Enter(context);
            return next(context);
        });
        var completions = new CompletionEndpoint(_served, _trail, _metrics, _options, time);
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
        app.MapGet("/v1/anchorscope/policy", (HttpContext context) => knobs.Policy(context));
        app.MapGet("/v1/anchorscope/heads", (HttpContext context) => knobs.Heads(context));
        app.MapGet("/metrics", (HttpContext context) =>
        {
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
        json.WriteNumber("created", 0);
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
