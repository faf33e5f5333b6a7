using AnchorScope.Figures;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Pages;

/// <summary>What surrounds every page: the document, the navigation, and the headers that allow nothing from elsewhere.</summary>
/// <param name="model">Name of the model.</param>
internal sealed class PageFrame(string model, IReadOnlyDictionary<string, Asset> assets, IReadOnlyList<IView> views, bool hasKeys)
{
    private const string Security = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

    /// <summary>Sets the headers of a response.</summary>
    public static void Protect(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Security;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "same-origin";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
    }

    /// <summary>Sends a page.</summary>
    /// <param name="visit">Null: nobody has shown a key yet.</param>
    /// <param name="current">Address of the page in the navigation.</param>
    public Task Send(HttpContext context, Visit? visit, (string Title, string About, string Current) page, Action<MarkupText> content,
        int status = 200)
    {
        var html = new MarkupText().Raw("<!DOCTYPE html>\n").Open("html", ("lang", "en")).Line().Open("head").Line()
            .Leaf("meta", ("charset", "utf-8")).Line()
            .Leaf("meta", ("name", "viewport"), ("content", "width=device-width, initial-scale=1")).Line()
            .Leaf("meta", ("name", "color-scheme"), ("content", "light dark")).Line()
            .Leaf("meta", ("name", "htmx-config"), ("content", """{"includeIndicatorCSS": false, "history": false, "extensions": "sse"}"""))
            .Line()
            .Leaf("link", ("rel", "icon"), ("href", "data:,")).Line()
            .Leaf("link", ("rel", "stylesheet"), ("href", Address("pages.css"))).Line()
            .Leaf("script", ("src", Address("htmx.js")), ("defer", "defer")).Line()
            .Leaf("script", ("src", Address("pages.js")), ("defer", "defer")).Line()
            .Text("title", $"{page.Title} · AnchorScope").Line().Close("head").Line()
            .Open("body").Line().Text("a", "Skip to the content", ("class", "skip"), ("href", "#content")).Line();
        Bar(html, visit, page.Current);
        html.Open("main", ("id", "content"), ("tabindex", "-1")).Line().Text("h1", page.Title).Line();
        if (page.About.Length > 0) html.Text("p", page.About, ("class", "subtitle")).Line();
        content(html);
        html.Close("main").Line().Close("body").Line().Close("html").Line();
        return Send(context, html, status);
    }

    /// <summary>Sends a part of a page.</summary>
    public static async Task Send(HttpContext context, MarkupText html, int status = 200)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/html; charset=utf-8";
        await context.Response.WriteAsync(html.ToString(), context.RequestAborted);
    }

    private string Address(string asset) => $"/pages/assets/{asset}?{assets[asset].Tag}";

    private void Bar(MarkupText html, Visit? visit, string current)
    {
        html.Open("header", ("class", "bar")).Open("div", ("class", "inside")).Line()
            .Open("p", ("class", "brand")).Text("b", "AnchorScope").Text("span", model).Close("p").Line();
        if (visit is not null)
        {
            html.Open("nav", ("aria-label", "Views")).Open("ul");
            foreach (var view in views)
            {
                if (!view.IsFor(visit.Key)) continue;
                html.Open("li");
                if (view.Path == current) html.Text("a", view.Name, ("href", view.Path), ("aria-current", "page"));
                else html.Text("a", view.Name, ("href", view.Path));
                html.Close("li");
            }
            html.Close("ul").Close("nav").Line();
            if (hasKeys)
            {
                html.Open("form", ("class", "leave"), ("method", "post"), ("action", "/pages/logout")).Token(visit)
                    .Text("span", $"{visit.Key.Name}, {EnumName.Of(visit.Key.Role)}").Text("button", "Log out", ("class", "quiet"))
                    .Close("form").Line();
            }
        }
        html.Close("div").Close("header").Line();
    }
}
