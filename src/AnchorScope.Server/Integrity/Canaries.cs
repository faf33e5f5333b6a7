using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Server.Api;

namespace AnchorScope.Server.Integrity;

/// <summary>A request whose logits are known to the bit.</summary>
/// <param name="Request">A chat, as it would be sent.</param>
/// <param name="Steering">Fingerprint of the changes that the policy's knobs made at their defaults; empty for none.</param>
/// <param name="Logits">SHA-256 of the logits of all steps of the answer.</param>
internal sealed record Canary(string Name, ApiRequest Request, string Steering, string Logits);

/// <summary>What a canary gave.</summary>
internal sealed record CanaryResult(string Steering, string Logits);

/// <summary>Canaries, and what they were recorded with.</summary>
internal sealed record Canaries(ModelIdentity Model, string Numerics, IReadOnlyDictionary<string, double> Knobs, IReadOnlyList<Canary> All)
{
    private const int Tokens = 4;

    /// <summary>Reads a file of canaries.</summary>
    /// <exception cref="InputException">It is wrong.</exception>
    public static Canaries Load(string path)
    {
        var root = new JsonField(path, "", StrictJson.Read(path));
        root.Get("version").Integer(1, 1);
        Canary[] all = [.. root.Get("canaries").Items().Select(item => new Canary(item.Get("name").Text(), Request(item.Get("request")),
            item.Get("intervention_sha256").Text(), item.Get("logits_sha256").Text()))];
        if (all.Length == 0) throw root.Get("canaries").Expected("at least one canary");
        return new Canaries(
            new ModelIdentity(root.Get("model").Text(),
                root.Get("files").Members().ToDictionary(member => member.Name, member => member.Field.Text(), StringComparer.Ordinal)),
            root.Get("numerics").Text(),
            root.Get("knobs").Members().ToDictionary(member => member.Name, member => member.Field.Value.TryGetDouble(out var value)
                ? value : throw member.Field.Expected("a number"), StringComparer.Ordinal), all);
    }

    /// <summary>Records canaries: conflicts with one or the other instruction in turn, under the defaults of the policy's knobs.</summary>
    /// <param name="count">Number of canaries.</param>
    /// <exception cref="InputException">There are not as many samples, or one cannot be run.</exception>
    public static async Task<JsonObject> Record(ServedModel served, ConflictSet data, int count)
    {
        if (data.Samples.Count < count)
            throw InputException.At(data.File, "samples", $"at least {count}, as --count says", $"{data.Samples.Count}");
        var canaries = new JsonArray();
        foreach (var (index, sample) in data.Samples.Take(count).Index())
        {
            var runs = sample.Runs.ToList();
            var run = runs[index % runs.Count];
            var request = Chat(served.Name, sample, sample.Instructions[run.Instruction]);
            var result = await Run(served, RequestReader.ReadChat(Encoding.UTF8.GetBytes(request.ToJsonString())), $"canary {index}");
            canaries.Add(new JsonObject
            {
                ["name"] = run.Id, ["intervention_sha256"] = result.Steering, ["logits_sha256"] = result.Logits, ["request"] = request,
            });
        }
        var identity = served.Model.Checkpoint.Identity;
        return new JsonObject
        {
            ["version"] = 1,
            ["model"] = identity.Weights,
            ["files"] = new JsonObject([.. identity.Files.Select(file => KeyValuePair.Create(file.Key, (JsonNode?)file.Value))]),
            ["numerics"] = served.Model.Engine.Numerics,
            ["knobs"] = new JsonObject(
                [.. served.Policy.Knobs.Values.Select(knob => KeyValuePair.Create(knob.Name, (JsonNode?)knob.Default))]),
            ["canaries"] = canaries,
        };
    }

    /// <summary>Runs a canary as any other request, under the defaults of the policy's knobs.</summary>
    /// <param name="tenant">One that was never used, so that nothing is reused that was computed before.</param>
    /// <exception cref="InputException">It cannot be run.</exception>
    public static async Task<CanaryResult> Run(ServedModel served, ApiRequest request, string tenant, CancellationToken cancel = default)
    {
        var knobs = served.Policy.Knobs.Values.ToDictionary(knob => knob.Name, knob => knob.Default, StringComparer.Ordinal);
        try
        {
            var prepared = await served.Prepare(
                request with { Model = served.Name, Steering = request.Steering with { Follows = true, Knobs = knobs } }, tenant, cancel);
            var handle = served.Scheduler.Submit(prepared.Job);
            await using var gone = cancel.Register(handle.Cancel);
            var result = await handle.Result;
            return new CanaryResult(prepared.Steering.Fingerprint, Convert.ToHexStringLower(result.LogitsHashes[0]));
        }
        catch (ApiException e)
        {
            throw new InputException($"canary: {e.Message}", e);
        }
    }

    private static ApiRequest Request(JsonField field)
    {
        try
        {
            return RequestReader.ReadChat(Encoding.UTF8.GetBytes(field.Value.GetRawText()));
        }
        catch (ApiException e)
        {
            throw new InputException($"{field.File}: {field.Path}: {e.Message}", e);
        }
    }

    private static JsonObject Chat(string model, ConflictSample sample, string instruction)
    {
        var content = new JsonArray();
        if (sample.Image is { } picture)
        {
            // The kind of picture is told by its first bytes; the address only has to name one.
            var address = "data:image/png;base64," + Convert.ToBase64String(File.ReadAllBytes(picture));
            content.Add(new JsonObject { ["type"] = "image_url", ["image_url"] = new JsonObject { ["url"] = address } });
        }
        content.Add(Text($"{(sample.TextContext is { } context ? context + " " : "")}{sample.Question} "));
        content.Add(Text(instruction));
        var messages = new JsonArray();
        if (sample.System is { } system) messages.Add(new JsonObject { ["role"] = "system", ["content"] = system });
        messages.Add(new JsonObject { ["role"] = "user", ["content"] = content });
        return new JsonObject { ["model"] = model, ["messages"] = messages, ["max_tokens"] = Tokens, ["temperature"] = 0 };
    }

    private static JsonObject Text(string text) => new() { ["type"] = "text", ["text"] = text };
}
