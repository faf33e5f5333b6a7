using System.Text;
using AnchorScope.Figures;
using AnchorScope.Server.Api;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace AnchorScope.Server.Pages;

/// <summary>Sends a part of a page again whenever it has changed, as server-sent events.</summary>
/// <param name="stopping">The server ends: an open stream would hold it up.</param>
internal sealed class LiveStream(TimeProvider time, CancellationToken stopping)
{
    private const int Most = 64;
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);
    private const int StepsOfSilence = 15;

    private int _open;

    /// <summary>Sends until the client goes away, the server ends, or the session is over.</summary>
    /// <exception cref="ApiException">Too many are open.</exception>
    public async Task Send(HttpContext context, ILiveView view, Func<bool> goesOn)
    {
        try
        {
            if (Interlocked.Increment(ref _open) > Most)
                throw new ApiException(503, $"{Most} pages are open already; load this one again to see it as it is now",
                    code: "too_many_pages");
            using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
            await Send(context, view, goesOn, end.Token);
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    private async Task Send(HttpContext context, ILiveView view, Func<bool> goesOn, CancellationToken end)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream";
        var (sent, silent) = ("", 0);
        try
        {
            using var timer = new PeriodicTimer(Step, time);
            do
            {
                var html = new MarkupText();
                view.WriteLive(html);
                var text = html.ToString();
                // A client that has gone away is noticed only when something is sent.
                if (text == sent && ++silent < StepsOfSilence) continue;
                await context.Response.WriteAsync(text == sent ? ": no change\n\n" : Event(text), end);
                await context.Response.Body.FlushAsync(end);
                (sent, silent) = (text, 0);
            }
            while (await timer.WaitForNextTickAsync(end) && goesOn());
        }
        catch (OperationCanceledException)
        {
            // The client or the server ends.
        }
    }

    private static string Event(string text)
    {
        var sent = new StringBuilder();
        foreach (var line in text.Split('\n')) sent.Append("data: ").Append(line).Append('\n');
        return sent.Append('\n').ToString();
    }
}

/// <summary>The place of a part that changes by itself.</summary>
internal static class LiveMarkup
{
    /// <summary>Writes it as it is now; the script keeps it so.</summary>
    public static MarkupText Live(this MarkupText html, ILiveView view)
    {
        html.Open("p", ("class", "stale"), ("id", "stale"), ("role", "status"), ("hidden", "hidden"))
            .Text("The connection to the server is lost: what is shown may be old.").Close("p").Line();
        html.Open("div", ("id", "live"), ("hx-sse:connect", $"/pages/live/{view.Stream}"), ("hx-swap", "innerMorph")).Line();
        view.WriteLive(html);
        return html.Close("div").Line();
    }
}
