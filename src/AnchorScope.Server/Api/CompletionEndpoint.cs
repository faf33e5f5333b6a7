using System.Security.Cryptography;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Scheduling;
using AnchorScope.Server.Security;
using AnchorScope.Server.Telemetry;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace AnchorScope.Server.Api;

/// <summary>
/// Answers requests for text, as one object or as a stream of server-sent events. The record of an answer is on the disk before the last
/// byte of it leaves.
/// </summary>
internal sealed class CompletionEndpoint(
    ServedModel served, AuditTrail trail, ServerMetrics metrics, ServerTelemetry telemetry, Access access, ServerOptions options,
    TimeProvider time)
{
    /// <summary>Called with every request whose answer is recorded.</summary>
    public required Action<PreparedRequest> Answered { get; init; }

    /// <summary>Handles one request.</summary>
    public async Task Handle(HttpContext context, bool chat)
    {
        var id = (chat ? "chatcmpl-" : "cmpl-") + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));
        var key = Access.Require(context, "text", Role.Infer);
        var exchange = new ExchangeId(id, key.Name);
        using var trace = telemetry.Begin(context, id, chat);
        ReadOnlyMemory<byte> body = default;
        try
        {
            access.Count(context);
            trail.ThrowIfFailed();
            body = await Body.Read(context.Request, options.MostBytes, context.RequestAborted);
            await Answer(context, new Exchange(exchange, key, body, chat, trace));
        }
        catch (ApiException e)
        {
            metrics.Refused(e.Status);
            trace?.Refused(e);
            trail.Refused(exchange, body.Span, e);
            throw;
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            var gone = new ApiException(499, "the client went away", code: "client_gone");
            metrics.Refused(499);
            trace?.Refused(gone);
            trail.Refused(exchange, body.Span, gone);
            throw;
        }
    }

    /// <summary>A request as it was sent.</summary>
    private sealed record Exchange(ExchangeId Id, ServerKey Key, ReadOnlyMemory<byte> Body, bool IsChat, RequestTrace? Trace);

    private async Task Answer(HttpContext context, Exchange exchange)
    {
        var cancel = context.RequestAborted;
        var request = exchange.IsChat ? RequestReader.ReadChat(exchange.Body) : RequestReader.ReadCompletion(exchange.Body);
        Permit(context, request.Steering);
        var prepared = await served.Prepare(request, exchange.Key.Name, cancel);
        exchange.Trace?.Prepared(prepared);
        var handle = Submit(prepared);
        // A client that goes away has no row in the next pass.
        await using var gone = cancel.Register(handle.Cancel);
        var writer = new AnswerWriter(prepared, exchange.Id.Id, time.GetUtcNow().ToUnixTimeSeconds(), served.Name, served.Pieces);
        if (prepared.Steering.Applied.Count > 0) context.Response.Headers["anchorscope-steered"] = prepared.Steering.Fingerprint;
        AuditPlace Record(IReadOnlyList<JobToken> tokens, JobResult result)
        {
            var place = trail.Answered(exchange.Id, exchange.Body, prepared, tokens, result);
            metrics.Answered(prepared, tokens, result);
            exchange.Trace?.Answered(prepared, tokens, result, place);
            Answered(prepared);
            return place;
        }
        if (request.Stream) await Stream(context, prepared, handle, writer, Record);
        else await Whole(context, handle, writer, Record);
    }

    /// <summary>Refuses a request whose key may not change what it wants to change.</summary>
    private void Permit(HttpContext context, SteeringRequest steering)
    {
        var policy = served.Policy;
        if (steering.Edits.Count > 0) Access.Require(context, "anchorscope.interventions", policy.InterventionRole);
        if (steering.ChangesKnobs) Access.Require(context, "anchorscope.follow", policy.FollowRole);
        // Where a part of the prompt begins and ends decides where such a knob acts.
        if (steering.Spans.Count > 0 && policy.Knobs.Values.Any(knob => knob.Parts.Count > 0))
            Access.Require(context, "anchorscope.spans, where a knob of the policy acts at a part of the prompt", policy.FollowRole);
    }

    private JobHandle Submit(PreparedRequest prepared)
    {
        try
        {
            return served.Scheduler.Submit(prepared.Job with { Deadline = time.GetUtcNow() + options.Deadline });
        }
        catch (QueueFullException e)
        {
            throw new ApiException(429, e.Message, code: "queue_full") { RetryAfter = 1 };
        }
        catch (DrainingException e)
        {
            throw new ApiException(503, e.Message, code: "shutting_down");
        }
        catch (InputException e)
        {
            throw ApiException.Wrong(e);
        }
    }

    private static async Task Whole(
        HttpContext context, JobHandle handle, AnswerWriter writer, Func<IReadOnlyList<JobToken>, JobResult, AuditPlace> record)
    {
        var tokens = new List<JobToken>();
        await foreach (var token in handle.Tokens.ReadAllAsync(context.RequestAborted)) tokens.Add(token);
        var result = await Result(handle);
        var place = record(tokens, result);
        context.Response.ContentType = "application/json";
        await context.Response.Body.WriteAsync(writer.Whole(tokens, result, place), context.RequestAborted);
    }

    private static async Task Stream(HttpContext context, PreparedRequest prepared, JobHandle handle, AnswerWriter writer,
        Func<IReadOnlyList<JobToken>, JobResult, AuditPlace> record)
    {
        var cancel = context.RequestAborted;
        // Until the first token an error is a status; after it, it is an event.
        if (!await handle.Tokens.WaitToReadAsync(cancel)) await Result(handle);
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-cache";
        var (begun, tokens, ended) = (new HashSet<int>(), new List<JobToken>(), (JobToken?)null);
        await foreach (var token in handle.Tokens.ReadAllAsync(cancel))
        {
            tokens.Add(token);
            if (prepared.Request.IsChat && begun.Add(token.Answer)) await Event(context, writer.First(token.Answer));
            // A token without text of its own is part of a later one's, but it has a probability.
            if (token.Text.Length > 0 || prepared.Request.Likeliest is not null) await Event(context, writer.Next(token));
            if (token.Finished is not null)
            {
                // The end of the answer that ends last is told after its record is written.
                if (ended is { } before) await Event(context, writer.Last(before, null));
                ended = token;
            }
            await context.Response.Body.FlushAsync(cancel);
        }
        try
        {
            var result = await Result(handle);
            var place = record(tokens, result);
            await Event(context, writer.Last(ended!.Value, place));
            if (prepared.Request.StreamUsage) await Event(context, writer.Counted(tokens.Count, result));
            await context.Response.Body.WriteAsync("data: [DONE]\n\n"u8.ToArray(), cancel);
        }
        catch (ApiException e)
        {
            await Event(context, ErrorWriter.Of(e));
            await context.Response.Body.FlushAsync(cancel);
            throw;
        }
    }

    private static async Task Event(HttpContext context, byte[] json)
    {
        await context.Response.Body.WriteAsync("data: "u8.ToArray(), context.RequestAborted);
        await context.Response.Body.WriteAsync(json, context.RequestAborted);
        await context.Response.Body.WriteAsync("\n\n"u8.ToArray(), context.RequestAborted);
    }

    private static async Task<JobResult> Result(JobHandle handle)
    {
        try
        {
            return await handle.Result;
        }
        catch (InputException e)
        {
            // The request was well formed: what it asked for cannot be computed.
            throw new ApiException(422, e.Message, code: "not_computable");
        }
        catch (TimeoutException e)
        {
            throw new ApiException(504, e.Message, code: "deadline_exceeded");
        }
        catch (OperationCanceledException)
        {
            throw new ApiException(503, "the request was cancelled, because the server is shutting down", code: "shutting_down");
        }
    }
}
