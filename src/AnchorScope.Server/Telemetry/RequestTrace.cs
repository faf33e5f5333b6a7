using System.Diagnostics;
using System.Globalization;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Scheduling;
using Microsoft.Extensions.Logging;

namespace AnchorScope.Server.Telemetry;

/// <summary>One request for those who listen: a span, its measurements, and a line of the log.</summary>
/// <param name="log">Null: nobody reads the log.</param>
/// <param name="span">Null: nobody follows this request.</param>
internal sealed class RequestTrace(ServerTelemetry telemetry, ServedModel served, ILogger? log, Activity? span, string id, bool chat)
    : IDisposable
{
    /// <summary>Who makes the answers, in every span and measurement.</summary>
    public const string Provider = "anchorscope";

    private static readonly Action<ILogger, string, string, int, int, string, Exception?> Answer =
        LoggerMessage.Define<string, string, int, int, string>(LogLevel.Information, new EventId(2, "request answered"),
            "{Id} answered: {Operation}, {InputTokens} tokens in, {OutputTokens} tokens out, fingerprint of changes {Fingerprint}");

    private static readonly Action<ILogger, string, int, string, Exception?> Refuse =
        LoggerMessage.Define<string, int, string>(
            LogLevel.Information, new EventId(3, "request refused"), "{Id} refused: {Status} {Error}");

    private readonly long _start = Stopwatch.GetTimestamp();
    // The model only once it is known to be this one: what a client names is content.
    private bool _known;
    private bool _answered;
    private string? _error;

    /// <summary>The name of an operation in the conventions.</summary>
    public static string OperationOf(bool chat) => chat ? "chat" : "text_completion";

    /// <summary>The request is well formed, allowed, and for this model.</summary>
    public void Prepared(PreparedRequest prepared)
    {
        _known = true;
        if (span is not { IsAllDataRequested: true }) return;
        var (job, sampling) = (prepared.Job, prepared.Job.Answers[0]);
        span.SetTag("gen_ai.request.model", served.Name).SetTag("gen_ai.request.max_tokens", job.Tokens)
            .SetTag("gen_ai.request.temperature", sampling.Temperature).SetTag("gen_ai.request.top_p", sampling.TopP);
        if (sampling.Temperature > 0)
            // The conventions want a number of 64 bits with a sign.
            span.SetTag("gen_ai.request.seed", unchecked((long)sampling.Seed));
        if (sampling.TopK > 0) span.SetTag("gen_ai.request.top_k", sampling.TopK);
        if (job.Answers.Count > 1) span.SetTag("gen_ai.request.choice.count", job.Answers.Count);
        if (prepared.Steering.Fingerprint.Length == 0) return;
        span.SetTag("anchorscope.intervention.fingerprint", prepared.Steering.Fingerprint)
            .SetTag("anchorscope.intervention.kinds", prepared.Steering.Applied.Select(edit => edit.What).Distinct().ToArray());
    }

    /// <summary>The request is answered, and its record is written.</summary>
    public void Answered(PreparedRequest prepared, IReadOnlyList<JobToken> tokens, JobResult result, AuditPlace place)
    {
        _answered = true;
        var (input, tags) = (prepared.Job.Prompt.Length, Tags());
        telemetry.Tokens.Record(input, With(tags, "gen_ai.token.type", "input"));
        telemetry.Tokens.Record(tokens.Count, With(tags, "gen_ai.token.type", "output"));
        telemetry.FirstToken.Record((result.Waited + result.Prefill).TotalSeconds, tags);
        var longest = tokens.CountBy(token => token.Answer).Max(answer => answer.Value);
        if (longest > 1) telemetry.NextToken.Record(result.Decode.TotalSeconds / (longest - 1), tags);
        if (result.Reused > 0) telemetry.Reused.Add(result.Reused, tags);
        foreach (var edit in prepared.Steering.Applied)
            telemetry.Interventions.Add(1, With(tags, "anchorscope.intervention.kind", edit.What));
        if (log is not null)
            Answer(log, id, OperationOf(chat), input, tokens.Count,
                prepared.Steering.Fingerprint.Length > 0 ? prepared.Steering.Fingerprint : "none", null);
        if (span is not { IsAllDataRequested: true }) return;
        span.SetTag("gen_ai.response.id", id).SetTag("gen_ai.response.model", served.Name)
            .SetTag("gen_ai.response.finish_reasons", tokens.Where(token => token.Finished is not null).OrderBy(token => token.Answer)
                .Select(token => EnumName.Of(token.Finished!.Value)).ToArray())
            .SetTag("gen_ai.usage.input_tokens", input).SetTag("gen_ai.usage.output_tokens", tokens.Count)
            .SetTag("anchorscope.reused_tokens", result.Reused).SetTag("anchorscope.audit.index", place.Index);
        if (prepared.Reading?.Decision is { } decision)
            span.SetTag("anchorscope.decision", decision.Followed).SetTag("anchorscope.margin", decision.Margin);
    }

    /// <summary>The request is not answered.</summary>
    public void Refused(ApiException error)
    {
        _error = error.Code ?? error.Status.ToString(CultureInfo.InvariantCulture);
        if (log is not null) Refuse(log, id, error.Status, _error, null);
        span?.SetTag("error.type", _error).SetTag("http.response.status_code", error.Status);
        // A wrong request is no error of the server.
        if (error.Status >= 500) span?.SetStatus(ActivityStatusCode.Error);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_answered && _error is null)
        {
            // What the conventions call an error that has no name.
            _error = "_OTHER";
            span?.SetTag("error.type", _error).SetStatus(ActivityStatusCode.Error);
        }
        telemetry.Duration.Record(Stopwatch.GetElapsedTime(_start).TotalSeconds,
            _error is null ? Tags() : With(Tags(), "error.type", _error));
        span?.Dispose();
    }

    private TagList Tags()
    {
        var tags = new TagList { { "gen_ai.operation.name", OperationOf(chat) }, { "gen_ai.provider.name", Provider } };
        if (_known)
        {
            tags.Add("gen_ai.request.model", served.Name);
            tags.Add("gen_ai.response.model", served.Name);
        }
        return tags;
    }

    private static TagList With(TagList tags, string name, string value)
    {
        tags.Add(name, value);
        return tags;
    }
}
