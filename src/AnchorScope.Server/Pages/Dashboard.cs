using System.Globalization;
using System.Text.Json.Nodes;
using AnchorScope.Figures;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting;

namespace AnchorScope.Server.Pages;

/// <summary>What the pages show and do.</summary>
internal sealed record DashboardParts
{
    public required ServedModel Served { get; init; }

    public required AuditTrail Trail { get; init; }

    public required Traffic Traffic { get; init; }

    public required Access Access { get; init; }

    public required ServerOptions Options { get; init; }

    /// <summary>What the monitor knows now.</summary>
    public required Func<MonitorSnapshot> Monitor { get; init; }

    public required TimeProvider Time { get; init; }
}

/// <summary>The pages of the server: <c>/</c> and everything below <c>/pages</c>. They are written here, not in the browser.</summary>
internal sealed class Dashboard : IDisposable
{
    private const string Login = "/pages/login";

    /// <summary>Of a form without a picture.</summary>
    private const long MostBytes = 1 << 16;

    private readonly DashboardParts _parts;
    private readonly IReadOnlyDictionary<string, Asset> _assets = Asset.LoadAll();
    private readonly PageSessions _sessions;
    private readonly PageFrame _frame;
    private readonly IReadOnlyList<IView> _views;
    private readonly KnobsView _knobs;
    private readonly AuditView _audit;
    private readonly PlaygroundView _asking;
    private readonly SemaphoreSlim _verifying = new(1);
    private Playground? _playground;

    public Dashboard(DashboardParts parts)
    {
        _parts = parts;
        _sessions = new PageSessions(parts.Access, parts.Time);
        _knobs = new KnobsView(parts.Served, parts.Time);
        _audit = new AuditView(parts.Trail, Path.Combine(parts.Options.State, "audit"), parts.Options.Log.Anchor);
        _asking = new PlaygroundView(parts.Served, _assets);
        _views =
        [
            new OverviewView(parts.Served, parts.Trail, parts.Traffic, parts.Monitor), new DecisionsView(parts.Served, parts.Monitor),
            new AlertsView(parts.Monitor), _knobs, _audit, _asking,
        ];
        _frame = new PageFrame(parts.Served.Name, _assets, _views, parts.Access.HasKeys);
    }

    /// <summary>
    /// Whether a request is let in here instead of by a key in its header: that of a page, and that of the API's description by somebody
    /// who uses the pages.
    /// </summary>
    public bool Admits(HttpContext context)
    {
        if (context.Request.Path == "/" || context.Request.Path.StartsWithSegments("/pages", StringComparison.Ordinal)) return true;
        if (context.Request.Path != OpenApiDocument.Path || _sessions.Of(context) is not { } session) return false;
        Access.Enter(context, session.Key);
        return true;
    }

    /// <summary>Adds the routes.</summary>
    /// <param name="chat">The route for chats.</param>
    /// <param name="turn">The route that turns a knob.</param>
    public void Map(WebApplication app, Func<HttpContext, Task> chat, Func<HttpContext, string, Task> turn)
    {
        _playground = new Playground(_parts.Served, chat, _parts.Options.Scheduler.Threads);
        var stream = new LiveStream(_parts.Time, app.Lifetime.ApplicationStopping);
        foreach (var view in _views) Get(app, view.Path, context => Guard(context, view, visit => Show(visit, view, null)));
        Get(app, "/pages/live/{name}", context => _views.OfType<ILiveView>()
            .FirstOrDefault(view => view.Stream == (string?)context.Request.RouteValues["name"]) is { } view
            ? Guard(context, view, visit => stream.Send(context, view, () => _sessions.Of(context) is not null)) : Missing(context));
        Get(app, "/pages/assets/{name}", SendAsset);
        Post(app, "/pages/knobs/{name}", context => Guard(context, _knobs, visit => Turn(visit, turn)));
        Post(app, "/pages/audit/verify", context => Guard(context, _audit, Verify));
        Post(app, _asking.Path, context => Guard(context, _asking, Ask));
        Get(app, Login, context => ShowLogin(context, null));
        Post(app, Login, Enter);
        Post(app, "/pages/logout", Leave);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _playground?.Dispose();
        _verifying.Dispose();
    }

    private static void Get(WebApplication app, string path, RequestDelegate handle) =>
        app.MapGet(path, handle).ExcludeFromDescription();

    private static void Post(WebApplication app, string path, RequestDelegate handle) =>
        app.MapPost(path, handle).ExcludeFromDescription();

    /// <summary>Lets in who may see a view, and shows errors in the page in plain words.</summary>
    private async Task Guard(HttpContext context, IView view, Func<Visit, Task> handle)
    {
        PageFrame.Protect(context);
        Visit? visit = null;
        try
        {
            if (_sessions.Of(context) is not { } session)
            {
                await Refuse(context, view);
                return;
            }
            visit = new Visit(context, session);
            if (!view.IsFor(visit.Key))
            {
                if (context.Request.Path == "/" && _views.FirstOrDefault(other => other.IsFor(visit.Key)) is { } first)
                    context.Response.Redirect(first.Path);
                else
                    throw new ApiException(403, $"a key of the role {EnumName.Of(visit.Key.Role)} does not open {view.Name}",
                        code: "role_missing");
                return;
            }
            await handle(visit);
        }
        catch (ApiException e) when (!context.Response.HasStarted)
        {
            var outcome = new Outcome("", false, e.Message);
            if (visit?.IsPart == true) await PageFrame.Send(context, new MarkupText().Outcome(outcome), e.Status);
            else await _frame.Send(context, visit, (view.Name, "", view.Path), html => html.Outcome(outcome), e.Status);
        }
    }

    private Task Show(Visit visit, IView view, Outcome? outcome) =>
        _frame.Send(visit.Context, visit, (view.Name, view.About, view.Path), html => view.Write(html, visit, outcome));

    private Task Refuse(HttpContext context, IView view)
    {
        if (context.Request.Headers["HX-Request"] == "true"
            || context.Request.Path.StartsWithSegments("/pages/live", StringComparison.Ordinal))
            return PageFrame.Send(context, new MarkupText().Outcome(new Outcome("", false, "your login has ended; load this page again")),
                401);
        context.Response.Redirect($"{Login}?next={Uri.EscapeDataString(view.Path)}");
        return Task.CompletedTask;
    }

    private static Task Missing(HttpContext context)
    {
        context.Response.StatusCode = 404;
        return Task.CompletedTask;
    }

    private async Task SendAsset(HttpContext context)
    {
        if (!_assets.TryGetValue((string)context.Request.RouteValues["name"]!, out var asset))
        {
            await Missing(context);
            return;
        }
        PageFrame.Protect(context);
        context.Response.ContentType = asset.Type;
        // The address has the tag, so that another version has another address.
        context.Response.Headers.CacheControl = "private, max-age=31536000, immutable";
        await context.Response.Body.WriteAsync(asset.Bytes, context.RequestAborted);
    }

    private static async Task<IFormCollection> Form(Visit visit, long most)
    {
        var form = await Form(visit.Context, most);
        PageSessions.CheckForm(visit.Context, form, visit.Session);
        return form;
    }

    private static async Task<IFormCollection> Form(HttpContext context, long most)
    {
        if (!context.Request.HasFormContentType) throw new ApiException(415, "expected a form", code: "unsupported_media_type");
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = most;
        try
        {
            return await context.Request.ReadFormAsync(new FormOptions { MultipartBodyLengthLimit = most }, context.RequestAborted);
        }
        catch (InvalidDataException e)
        {
            throw new ApiException(400, $"the form could not be read: {e.Message}", code: "invalid_form");
        }
        catch (IOException e) when (e is not BadHttpRequestException)
        {
            throw new ApiException(400, $"the form could not be read: {e.Message}", code: "invalid_form");
        }
        catch (BadHttpRequestException e)
        {
            throw new ApiException(e.StatusCode, e.Message, code: "bad_request");
        }
    }

    private async Task Turn(Visit visit, Func<HttpContext, string, Task> turn)
    {
        var (form, name) = (await Form(visit, MostBytes), (string)visit.Context.Request.RouteValues["name"]!);
        Outcome outcome;
        try
        {
            if (!double.TryParse(form["value"].ToString().Trim().Replace(',', '.').Replace('−', '-'),
                CultureInfo.InvariantCulture, out var value)
                || !double.IsFinite(value))
                throw new ApiException(400, $"value: expected a number, found {(form["value"] == "" ? "nothing" : form["value"])}");
            var body = new JsonObject { ["value"] = value, ["reason"] = form["reason"].ToString() };
            // Empty: until the server is started again.
            if (form["seconds"].ToString() is { Length: > 0 } time)
            {
                body["seconds"] = int.TryParse(time, CultureInfo.InvariantCulture, out var seconds) ? seconds
                    : throw new ApiException(400, $"seconds: expected a number, found {time}");
            }
            await InnerRequest.Send(visit.Context, visit.Key, System.Text.Encoding.UTF8.GetBytes(body.ToJsonString()),
                inner => turn(inner, name));
            outcome = new Outcome(name, true, $"{name} is at {value.ToString(CultureInfo.InvariantCulture)} now, and the log says why.");
        }
        catch (ApiException e)
        {
            outcome = new Outcome(name, false, e.Message);
        }
        if (!visit.IsPart || !_parts.Served.Policy.Knobs.TryGetValue(name, out var knob)) await Show(visit, _knobs, outcome);
        else
        {
            var html = new MarkupText();
            _knobs.Write(html, knob, visit, outcome);
            await PageFrame.Send(visit.Context, html);
        }
    }

    private async Task Verify(Visit visit)
    {
        await Form(visit, MostBytes);
        // It reads the whole log: one at a time.
        await _verifying.WaitAsync(visit.Context.RequestAborted);
        Outcome outcome;
        try
        {
            outcome = await Task.Run(_audit.Verify, visit.Context.RequestAborted);
        }
        finally
        {
            _verifying.Release();
        }
        if (visit.IsPart) await PageFrame.Send(visit.Context, new MarkupText().Outcome(outcome));
        else await Show(visit, _audit, outcome);
    }

    private async Task Ask(Visit visit)
    {
        var form = await PlaygroundForm.Read(await Form(visit, _parts.Options.MostBytes), visit.Context.RequestAborted);
        var (result, failed) = ((PlaygroundResult?)null, (ApiException?)null);
        try
        {
            result = await _playground!.Run(visit, form);
        }
        catch (ApiException e)
        {
            failed = e;
        }
        void Result(MarkupText html)
        {
            if (failed is not null) html.Outcome(new Outcome("", false, failed.Message));
            else PlaygroundResultMarkup.Write(html, result!, form.Described);
        }
        var status = failed?.Status ?? 200;
        if (visit.IsPart)
        {
            var html = new MarkupText();
            Result(html);
            await PageFrame.Send(visit.Context, html, status);
        }
        else
            await _frame.Send(visit.Context, visit, (_asking.Name, _asking.About, _asking.Path),
                html => _asking.Write(html, visit, form, Result), status);
    }

    private Task ShowLogin(HttpContext context, Outcome? outcome)
    {
        PageFrame.Protect(context);
        if (!_parts.Access.HasKeys)
        {
            context.Response.Redirect("/");
            return Task.CompletedTask;
        }
        var next = context.Request.Query["next"].ToString();
        return _frame.Send(context, null, ("Log in", "These pages need a key of this server (ascope keys add).", Login), html =>
        {
            if (outcome is not null) html.Outcome(outcome);
            html.Open("form", ("method", "post"), ("action", Login), ("class", "fields"), ("aria-label", "Log in"))
                .Leaf("input", ("type", "hidden"), ("name", "next"), ("value", next))
                .Input(("key", "key"), "Key", "It is kept nowhere: a cookie stands for it for eight hours.", ("type", "password"),
                    ("autocomplete", "current-password"), ("required", "required"), ("size", "48"))
                .Open("div", ("class", "field")).Text("button", "Log in", ("type", "submit"), ("class", "strong")).Close("div")
                .Close("form").Line();
        }, outcome is null ? 200 : 401);
    }

    private async Task Enter(HttpContext context)
    {
        PageFrame.Protect(context);
        IFormCollection form;
        try
        {
            form = await Form(context, MostBytes);
            PageSessions.CheckForm(context, form, null);
        }
        catch (ApiException e)
        {
            await ShowLogin(context, new Outcome("", false, e.Message));
            return;
        }
        if (!_parts.Access.HasKeys || !_sessions.Begin(context, form["key"].ToString()))
        {
            await ShowLogin(context, new Outcome("", false, "This server has no such key."));
            return;
        }
        // Only to a view of this server.
        var next = _views.FirstOrDefault(view => view.Path == form["next"])?.Path ?? "/";
        context.Response.Redirect(next);
    }

    private async Task Leave(HttpContext context)
    {
        PageFrame.Protect(context);
        PageSessions.CheckForm(context, await Form(context, MostBytes), _sessions.Of(context));
        _sessions.End(context);
        context.Response.Redirect(Login);
    }
}
