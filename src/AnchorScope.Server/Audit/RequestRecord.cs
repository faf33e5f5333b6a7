using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Server.Api;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Server.Audit;

/// <summary>
/// What the log keeps of a request: hashes of what went in and came out, everything that determines the answer, and no content.
/// </summary>
internal static class RequestRecord
{
    /// <summary>The record of an answered request.</summary>
    /// <param name="body">The request as it was sent.</param>
    /// <param name="tokens">All tokens of all answers.</param>
    public static JsonObject Of(
        string id, ReadOnlySpan<byte> body, PreparedRequest prepared, IReadOnlyList<JobToken> tokens, JobResult result)
    {
        var (job, request) = (prepared.Job, prepared.Request);
        return new JsonObject
        {
            ["id"] = id,
            ["api"] = request.IsChat ? "chat" : "completion",
            ["system_fingerprint"] = prepared.SystemFingerprint,
            ["intervention"] = prepared.Steering.Fingerprint.Length == 0 ? null : JsonNode.Parse(InterventionJson.Write(job.Intervention)),
            ["intervention_sha256"] = prepared.Steering.Fingerprint,
            ["skipped_knobs"] = Each(prepared.Steering.Skipped, knob => knob.Name),
            ["sampling"] = Sampling(job),
            ["prompt_tokens"] = job.Prompt.Length,
            ["reused_tokens"] = result.Reused,
            ["request_sha256"] = Hash(body),
            ["prompt_sha256"] = Hash(MemoryMarshal.AsBytes(job.Prompt.Tokens.AsSpan())),
            ["pictures_sha256"] = Each(prepared.Pictures, picture => picture.Sha256),
            ["pixels_sha256"] = prepared.PixelsSha256,
            ["answers"] = new JsonArray(
                [.. Enumerable.Range(0, job.Answers.Count).Select(
                    i => Answer([.. tokens.Where(t => t.Answer == i)], result.LogitsHashes[i]))]),
            ["decision"] = prepared.Reading?.Decision?.Followed,
            ["margin"] = prepared.Reading?.Decision?.Margin,
            ["microseconds"] = new JsonObject
            {
                ["waited"] = Microseconds(result.Waited),
                ["prefill"] = Microseconds(result.Prefill),
                ["decode"] = Microseconds(result.Decode),
            },
        };
    }

    /// <summary>The record of a request that was not answered.</summary>
    public static JsonObject Refused(string id, ReadOnlySpan<byte> body, ApiException error) => new()
    {
        ["id"] = id,
        ["request_sha256"] = Hash(body),
        ["status"] = error.Status,
        ["code"] = error.Code,
        ["member"] = error.Parameter,
    };

    /// <summary>SHA-256 as the log writes it.</summary>
    public static string Hash(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>The part of a record that an answer determines: compared when it is computed again.</summary>
    public static JsonObject Answer(IReadOnlyList<JobToken> tokens, byte[] logits) => new()
    {
        ["finish"] = EnumName.Of(tokens[^1].Finished ?? FinishReason.Failed),
        ["tokens"] = tokens.Count,
        ["tokens_sha256"] = Hash(MemoryMarshal.AsBytes(tokens.Select(t => t.Token).ToArray().AsSpan())),
        ["text_sha256"] = Hash(Encoding.UTF8.GetBytes(string.Concat(tokens.Select(t => t.Text)))),
        ["logits_sha256"] = Convert.ToHexStringLower(logits),
    };

    private static JsonObject Sampling(Job job) => new()
    {
        ["max_tokens"] = job.Tokens,
        ["temperature"] = job.Answers[0].Temperature,
        ["top_k"] = job.Answers[0].TopK,
        ["top_p"] = job.Answers[0].TopP,
        // As text: a seed has 64 bits, more than a number of JSON holds.
        ["seeds"] = Each(job.Answers, sampling => sampling.Seed.ToString(System.Globalization.CultureInfo.InvariantCulture)),
    };

    private static JsonArray Each<T>(IEnumerable<T> items, Func<T, string> text) => new([.. items.Select(item => (JsonNode?)text(item))]);

    private static long Microseconds(TimeSpan time) => (long)time.TotalMicroseconds;
}
