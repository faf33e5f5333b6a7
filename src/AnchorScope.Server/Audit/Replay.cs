using System.Text.Json.Nodes;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Server.Api;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Server.Audit;

/// <summary>Computes an answer of the log again, alone, and compares it with its record.</summary>
internal static class Replay
{
    /// <summary>What differs, one line each; empty if every bit is the same.</summary>
    /// <param name="record">The record of the request.</param>
    /// <param name="start">The record of the start of the server that answered it.</param>
    /// <param name="body">The request as it was sent.</param>
    /// <exception cref="InputException">The body is not that of the record.</exception>
    public static async Task<IReadOnlyList<string>> Differences(
        AuditRecord record, AuditRecord start, ReadOnlyMemory<byte> body, VisionLanguageModel model)
    {
        var (json, differences) = (record.Json, new List<string>());
        void Compare(string what, JsonNode? then, string now)
        {
            if (then?.ToString() != now) differences.Add($"{what}: {then} then, {now} now");
        }
        if (json["request_sha256"]?.ToString() is var hash && hash != RequestRecord.Hash(body.Span))
            throw InputException.At("content", "request", $"the request with SHA-256 {hash}", RequestRecord.Hash(body.Span));
        Compare("weights", start.Json["weights_sha256"], model.Checkpoint.Identity.Weights);
        foreach (var (file, digest) in model.Checkpoint.Identity.Files) Compare(file, start.Json["files_sha256"]?[file], digest);
        Compare("numerics", start.Json["numerics"], model.Engine.Numerics);
        using var served = new ServedModel(model, start.Json["model"]!.ToString(), new SchedulerOptions { KeepPrefixes = false },
            Policy.None, TimeProvider.System);
        var prepared = await Prepared(served, json["api"]?.ToString() == "chat", body);
        var sampling = json["sampling"]!;
        var job = prepared.Job with
        {
            Intervention = json["intervention"] is { } edits
                ? InterventionJson.Parse(System.Text.Encoding.UTF8.GetBytes(edits.ToJsonString()), "intervention", model.Engine.Shape)
                : Intervention.None,
            Tokens = sampling["max_tokens"]!.GetValue<int>(),
            Answers = [.. sampling["seeds"]!.AsArray().Select(seed => new Sampling(
                sampling["temperature"]!.GetValue<double>(), sampling["top_k"]!.GetValue<int>(), sampling["top_p"]!.GetValue<double>(),
                ulong.Parse(seed!.ToString(), System.Globalization.CultureInfo.InvariantCulture)))],
        };
        var handle = served.Scheduler.Submit(job);
        var tokens = new List<JobToken>();
        await foreach (var token in handle.Tokens.ReadAllAsync()) tokens.Add(token);
        var result = await handle.Result;
        var now = RequestRecord.Of(json["id"]!.ToString(), body.Span, prepared with { Job = job }, tokens, result);
        foreach (var what in new[] { "prompt_sha256", "pixels_sha256" }) Compare(what, json[what], now[what]!.ToString());
        for (var answer = 0; answer < job.Answers.Count; answer++)
        {
            foreach (var (name, value) in now["answers"]![answer]!.AsObject())
                Compare($"answers[{answer}].{name}", json["answers"]?[answer]?[name], value!.ToString());
        }
        return differences;
    }

    /// <summary>The request without its changes: they are those of the record, which do not depend on the policy of today.</summary>
    /// <exception cref="InputException">It cannot be prepared, for instance because a picture would have to be fetched again.</exception>
    private static async Task<PreparedRequest> Prepared(ServedModel served, bool chat, ReadOnlyMemory<byte> body)
    {
        try
        {
            var request = chat ? RequestReader.ReadChat(body) : RequestReader.ReadCompletion(body);
            return await served.Prepare(request with
            {
                Steering = request.Steering with
                    { Edits = [], Follows = true, Knobs = new Dictionary<string, double>(), Toward = null },
            }, "", CancellationToken.None);
        }
        catch (ApiException e)
        {
            throw new InputException($"content: {e.Message}", e);
        }
    }
}
