using System.Buffers;
using System.Text.Json;
using AnchorScope.Engines;
using AnchorScope.Prompts;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Server.Api;

/// <summary>Writes answers in the form of the OpenAI API: as one object, or as chunks of a stream.</summary>
/// <param name="id">Id of the response.</param>
/// <param name="created">Unix time in seconds.</param>
/// <param name="model">Name of the model.</param>
/// <param name="pieces">Spells tokens.</param>
internal sealed class AnswerWriter(PreparedRequest prepared, string id, long created, string model, TokenPieces pieces)
{
    // Text in answers is for people: letters outside ASCII stay as they are.
    private static readonly JsonWriterOptions Readable =
        new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Answers that have a token with text: later ones are spelt with what separates them.
    private readonly HashSet<int> _begun = [];

    private bool IsChat => prepared.Request.IsChat;

    /// <summary>The whole response.</summary>
    /// <param name="tokens">All tokens of all answers, in the order in which they were given.</param>
    /// <param name="place">Its record in the log.</param>
    public byte[] Whole(IReadOnlyList<JobToken> tokens, JobResult result, AuditPlace place) => Json(json =>
    {
        Head(json, IsChat ? "chat.completion" : "text_completion");
        json.WriteStartArray("choices");
        for (var answer = 0; answer < prepared.Request.Answers; answer++)
        {
            JobToken[] own = [.. tokens.Where(token => token.Answer == answer)];
            var text = string.Concat(own.Select(token => token.Text));
            json.WriteStartObject();
            json.WriteNumber("index", answer);
            if (IsChat)
            {
                json.WriteStartObject("message");
                json.WriteString("role", "assistant");
                json.WriteString("content", text);
                json.WriteNull("refusal");
                json.WriteEndObject();
            }
            else json.WriteString("text", text);
            Probabilities(json, own);
            json.WriteString("finish_reason", Reason(own[^1].Finished));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        Usage(json, tokens.Count, result);
        json.WriteStartObject("anchorscope");
        Ours(json);
        Read(json);
        Place(json, place);
        json.WriteEndObject();
    });

    /// <summary>The first chunk of a chat's answer, which has the role.</summary>
    public byte[] First(int answer) => Chunk(answer, json =>
    {
        json.WriteStartObject("delta");
        json.WriteString("role", "assistant");
        json.WriteString("content", "");
        json.WriteEndObject();
        json.WriteNull("logprobs");
        json.WriteNull("finish_reason");
    }, json => BeginOurs(json, answer));

    /// <summary>A chunk with one token.</summary>
    public byte[] Next(JobToken token) => Chunk(token.Answer, json =>
    {
        if (IsChat)
        {
            json.WriteStartObject("delta");
            json.WriteString("content", token.Text);
            json.WriteEndObject();
        }
        else json.WriteString("text", token.Text);
        Probabilities(json, [token]);
        json.WriteNull("finish_reason");
    });

    /// <summary>The last chunk of an answer.</summary>
    /// <param name="place">The record in the log, with the last chunk of the last answer.</param>
    public byte[] Last(JobToken token, AuditPlace? place) => Chunk(token.Answer, json =>
    {
        if (IsChat)
        {
            json.WriteStartObject("delta");
            json.WriteEndObject();
        }
        else json.WriteString("text", "");
        json.WriteNull("logprobs");
        json.WriteString("finish_reason", Reason(token.Finished));
    }, place is null ? null : json =>
    {
        json.WriteStartObject("anchorscope");
        if (!IsChat) Ours(json);
        Read(json);
        Place(json, place);
        json.WriteEndObject();
    });

    /// <summary>The chunk after the last one, with the count of tokens.</summary>
    public byte[] Counted(int tokens, JobResult result) => Json(json =>
    {
        Head(json, IsChat ? "chat.completion.chunk" : "text_completion");
        json.WriteStartArray("choices");
        json.WriteEndArray();
        Usage(json, tokens, result);
    });

    private static string Reason(FinishReason? reason) => reason == FinishReason.Length ? "length" : "stop";

    private void BeginOurs(Utf8JsonWriter json, int answer)
    {
        if (answer > 0) return;
        json.WriteStartObject("anchorscope");
        Ours(json);
        json.WriteEndObject();
    }

    private byte[] Chunk(int answer, Action<Utf8JsonWriter> choice, Action<Utf8JsonWriter>? ours = null) => Json(json =>
    {
        Head(json, IsChat ? "chat.completion.chunk" : "text_completion");
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", answer);
        choice(json);
        json.WriteEndObject();
        json.WriteEndArray();
        if (prepared.Request.StreamUsage) json.WriteNull("usage");
        ours?.Invoke(json);
    });

    private void Head(Utf8JsonWriter json, string kind)
    {
        json.WriteString("id", id);
        json.WriteString("object", kind);
        json.WriteNumber("created", created);
        json.WriteString("model", model);
        json.WriteString("system_fingerprint", prepared.SystemFingerprint);
    }

    private void Usage(Utf8JsonWriter json, int tokens, JobResult result)
    {
        var prompt = prepared.Job.Prompt.Length;
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", prompt);
        json.WriteNumber("completion_tokens", tokens);
        json.WriteNumber("total_tokens", prompt + tokens);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", result.Reused);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private void Probabilities(Utf8JsonWriter json, IReadOnlyList<JobToken> tokens)
    {
        if (prepared.Request.Likeliest is null)
        {
            json.WriteNull("logprobs");
            return;
        }
        json.WriteStartObject("logprobs");
        if (IsChat)
        {
            json.WriteStartArray("content");
            foreach (var token in tokens)
            {
                json.WriteStartObject();
                var first = IsFirst(token);
                Token(json, token.Token, token.Probability, first);
                json.WriteStartArray("top_logprobs");
                foreach (var likely in token.Likeliest)
                {
                    json.WriteStartObject();
                    Token(json, likely.Token, likely.Probability, first);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteNull("refusal");
        }
        else
        {
            List<(JobToken Token, bool First)> spelt = [.. tokens.Select(token => (token, IsFirst(token)))];
            Column(json, "tokens", spelt, (token, first) => json.WriteStringValue(pieces.TextOf(token.Token, first)));
            Column(json, "token_logprobs", spelt, (token, _) => json.WriteNumberValue(Logarithm(token.Probability)));
            Column(json, "top_logprobs", spelt, (token, first) =>
            {
                json.WriteStartObject();
                // Several ids can have the same text; of these the likeliest one is given.
                foreach (var likely in token.Likeliest.DistinctBy(likely => pieces.TextOf(likely.Token, first), StringComparer.Ordinal))
                    json.WriteNumber(pieces.TextOf(likely.Token, first), Logarithm(likely.Probability));
                json.WriteEndObject();
            });
        }
        json.WriteEndObject();
    }

    private static void Column(Utf8JsonWriter json, string name, List<(JobToken Token, bool First)> tokens, Action<JobToken, bool> write)
    {
        json.WriteStartArray(name);
        foreach (var (token, first) in tokens) write(token, first);
        json.WriteEndArray();
    }

    /// <summary>Whether no token of its answer had text before it.</summary>
    private bool IsFirst(JobToken token)
    {
        if (_begun.Contains(token.Answer)) return false;
        if (pieces.Of(token.Token, first: true) is not null) _begun.Add(token.Answer);
        return true;
    }

    /// <summary>A token with the bytes that it has in the text: those of all tokens together are the text.</summary>
    private void Token(Utf8JsonWriter json, int token, double probability, bool first)
    {
        json.WriteString("token", pieces.TextOf(token, first));
        json.WriteNumber("logprob", Logarithm(probability));
        if (pieces.Of(token, first) is not { } bytes)
        {
            json.WriteNull("bytes");
            return;
        }
        json.WriteStartArray("bytes");
        foreach (var b in bytes) json.WriteNumberValue(b);
        json.WriteEndArray();
    }

    // JSON has no infinity: a probability that underflows has the logarithm of the smallest one.
    private static double Logarithm(double probability) => Math.Log(Math.Max(probability, double.Epsilon));

    /// <summary>What this server adds: defaults, ignored members, and what was changed inside the model.</summary>
    private void Ours(Utf8JsonWriter json)
    {
        json.WriteStartObject("defaults");
        foreach (var value in prepared.Defaults)
        {
            json.WriteStartObject(value.Name);
            json.WriteNumber("value", value.Value);
            json.WriteString("source", value.Source);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteStartArray("ignored");
        foreach (var name in prepared.Request.Ignored) json.WriteStringValue(name);
        json.WriteEndArray();
        json.WriteStartArray("warnings");
        foreach (var warning in prepared.Job.Prompt.Warnings) json.WriteStringValue(warning);
        json.WriteEndArray();
        json.WriteStartArray("applied");
        foreach (var edit in prepared.Steering.Applied) edit.Write(json);
        json.WriteEndArray();
        json.WriteStartArray("skipped");
        foreach (var knob in prepared.Steering.Skipped)
        {
            json.WriteStartObject();
            json.WriteString("knob", knob.Name);
            json.WriteString("why", knob.Why);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (prepared.Steering.Fingerprint.Length > 0) json.WriteString("fingerprint", prepared.Steering.Fingerprint);
    }

    /// <summary>What was read inside the model, as far as the request asks for it.</summary>
    private void Read(Utf8JsonWriter json)
    {
        if (prepared.Reading?.Decision is not { } decision) return;
        var report = prepared.Request.Steering.Report;
        if (report.Contains("decision"))
        {
            json.WriteString("decision", decision.Followed);
            json.WriteNumber("margin", decision.Margin);
        }
        if (report.Contains("margins"))
        {
            json.WriteStartObject("margins");
            Numbers(json, "instruction", decision.AtInstruction);
            Numbers(json, "last", decision.AtLast);
            json.WriteStartObject("definitions");
            json.WriteString("lens_norm", EnumName.Of(DecisionReading.Definitions.Lens));
            json.WriteString("entity_reduction", EnumName.Of(DecisionReading.Definitions.Entities));
            json.WriteNumber("top_k", DecisionReading.Definitions.TopK);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        if (!report.Contains("heads")) return;
        json.WriteStartArray("heads");
        foreach (var (layer, head, margin) in decision.Heads)
        {
            json.WriteStartObject();
            json.WriteNumber("layer", layer);
            json.WriteNumber("head", head);
            json.WriteNumber("margin", margin);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Numbers(Utf8JsonWriter json, string name, IReadOnlyList<double> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values) json.WriteNumberValue(value);
        json.WriteEndArray();
    }

    private static void Place(Utf8JsonWriter json, AuditPlace place)
    {
        json.WriteStartObject("audit");
        json.WriteNumber("index", place.Index);
        json.WriteString("root", place.Root);
        json.WriteEndObject();
    }

    private static byte[] Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Readable))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
