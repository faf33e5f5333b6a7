using System.Buffers;
using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AnchorScope.Server.Api;

/// <summary>Turns every error into an error object of the OpenAI API.</summary>
internal static class ErrorWriter
{
    private static readonly Action<ILogger, string, string?, Exception?> Failed =
        LoggerMessage.Define<string, string?>(LogLevel.Error, new EventId(1, "request failed"), "{Method} {Path} failed");

    /// <summary>The error object as JSON.</summary>
    public static byte[] Of(ApiException error)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer)) error.Write(json);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Runs <paramref name="next"/> and answers with its error, if it has one.</summary>
    public static async Task Guard(HttpContext context, RequestDelegate next, ILogger logger)
    {
        try
        {
            await next(context);
            if (!context.Response.HasStarted && context.Response.StatusCode is 404 or 405 && context.Response.ContentLength is null)
                await Write(context, Unrouted(context));
        }
        catch (ApiException) when (context.Response.HasStarted)
        {
            // A stream has told it as its last event.
        }
        catch (ApiException e) when (!context.Response.HasStarted)
        {
            await Write(context, e);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await Write(context, new ApiException(e.StatusCode, e.Message, code: "bad_request"));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be told.
        }
#pragma warning disable CA1031 // the client gets an error object, the log the cause
        catch (Exception e) when (!context.Response.HasStarted)
#pragma warning restore CA1031
        {
            Failed(logger, context.Request.Method, context.Request.Path.Value, e);
            await Write(context, new ApiException(500, "an error of the server; its log has the cause", code: "internal_error"));
        }
    }

    private static ApiException Unrouted(HttpContext context)
    {
        var (asked, allowed) = ($"{context.Request.Method} {Quoted.Line(context.Request.Path)}", context.Response.Headers.Allow.ToString());
        return context.Response.StatusCode == 405
            ? new ApiException(405, $"{asked}: expected {allowed}", code: "method_not_allowed")
            : new ApiException(404, $"{asked}: there is no such route", code: "not_found");
    }

    private static async Task Write(HttpContext context, ApiException error)
    {
        var allowed = context.Response.Headers.Allow;
        context.Response.Clear();
        // RFC 9110 wants it beside a 405.
        if (error.Status == 405) context.Response.Headers.Allow = allowed;
        context.Response.StatusCode = error.Status;
        context.Response.ContentType = "application/json";
        if (error.RetryAfter is { } seconds) context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        await context.Response.Body.WriteAsync(Of(error), context.RequestAborted);
    }
}
