using System.Text.Json.Nodes;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Server.Api;
using AnchorScope.Studies;
using Microsoft.AspNetCore.Http;
using ISession = AnchorScope.Engines.ISession;

namespace AnchorScope.Server.Pages;

/// <summary>One answer of the playground.</summary>
/// <param name="Response">Of the API.</param>
internal sealed record PlaygroundAnswer(string Name, JsonObject Response)
{
    /// <summary>The attention of the instruction and of the last position to the picture; empty without one.</summary>
    public IReadOnlyList<ImageReading> Readings { get; init; } = [];

    public string Text => Response["choices"]![0]!["message"]!["content"]!.ToString();

    public JsonObject Ours => Response["anchorscope"]!.AsObject();

    public double Margin => Ours["margin"]?.GetValue<double>() ?? double.NaN;

    /// <summary>Margins by layer.</summary>
    /// <param name="where">"instruction" or "last".</param>
    public IReadOnlyList<double> Margins(string where) =>
        [.. Ours["margins"]![where]!.AsArray().Select(value => value!.GetValue<double>())];
}

/// <summary>Both answers, and the picture they are about.</summary>
/// <param name="Boxes">The region of each image token, in the order of the readings.</param>
/// <param name="Unread">Why the attention was not read; null: it was, or there is no picture.</param>
internal sealed record PlaygroundResult(
    IReadOnlyList<PlaygroundAnswer> Answers, Picture? Picture, IReadOnlyList<PixelBox?> Boxes, string? Unread);

/// <summary>
/// Asks the server's own API twice, without and with a change, and reads the attention to the picture in a pass of its own, because a
/// request's pass does not record it.
/// </summary>
/// <param name="ask">The route for chats.</param>
internal sealed class Playground(ServedModel served, Func<HttpContext, Task> ask, int threads) : IDisposable
{
    /// <summary>The attention of all heads of a layer is in memory at once, so that it grows with the square of this.</summary>
    private const int LongestRead = 2048;

    private readonly SemaphoreSlim _reading = new(1);
    private ISession? _session;

    /// <summary>Answers.</summary>
    /// <exception cref="ApiException">The API refused one.</exception>
    public async Task<PlaygroundResult> Run(Visit visit, PlaygroundForm form)
    {
        var (answers, picture, boxes, unread) = (new List<PlaygroundAnswer>(), (Picture?)null, (IReadOnlyList<PixelBox?>)[], (string?)null);
        foreach (var changed in form.Change.Length == 0 ? [false] : new[] { false, true })
        {
            var body = form.Body(served.Name, changed);
            var response = await InnerRequest.Send(visit.Context, visit.Key, body, ask);
            var prepared = await served.Prepare(RequestReader.ReadChat(body), visit.Key.Name, visit.Context.RequestAborted);
            var (name, prompt) = (changed ? "with the change" : form.Change.Length == 0 ? "answer" : "without the change",
                prepared.Job.Prompt);
            IReadOnlyList<ImageReading> readings = [];
            if (prompt.Places.Count > 0 && prepared.Pictures.Count == 1)
            {
                (picture, boxes) = (served.Pictures.Decode(prepared.Pictures[0]), [.. prompt.Places.Select(place => place.Box)]);
                if (prompt.Length > LongestRead)
                    unread = $"The prompt has {prompt.Length} positions; attention is read of at most {LongestRead}.";
                else readings = await Read(prepared, name, visit.Context.RequestAborted);
            }
            answers.Add(new PlaygroundAnswer(name, response) { Readings = readings });
        }
        return new PlaygroundResult(answers, picture, boxes, unread);
    }

    private async Task<IReadOnlyList<ImageReading>> Read(PreparedRequest prepared, string name, CancellationToken cancel)
    {
        await _reading.WaitAsync(cancel);
        try
        {
            _session ??= served.Model.OpenSession(new SessionOptions { Threads = threads });
            var (session, job) = (_session, prepared.Job);
            return await Task.Run(() => ImageReader.Read(session, job.Prompt, [SpanKind.Instruction], name, job.Intervention), cancel);
        }
        finally
        {
            _reading.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _session?.Dispose();
        _reading.Dispose();
    }
}
