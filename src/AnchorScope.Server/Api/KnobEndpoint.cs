using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Api;

/// <summary>The routes of operators: what the policy allows, and the knobs.</summary>
internal sealed class KnobEndpoint(Policy policy, KnobBoard board, AuditTrail trail, TimeProvider time)
{
    private const long MostBytes = 1 << 16;
    private const int LongestReason = 500;
    private const int MostSeconds = 366 * 24 * 3600;

    /// <summary>All knobs, or one of them.</summary>
    public Task Get(HttpContext context, string? name)
    {
        MayRead(context);
        if (name is not null) return JsonResponse.Write(context, json => Write(json, Find(name), board.Of(Find(name))));
        return JsonResponse.Write(context, json =>
        {
            json.WriteStartArray("knobs");
            foreach (var (knob, setting) in board.All)
            {
                json.WriteStartObject();
                Write(json, knob, setting);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        });
    }

    /// <summary>Turns one: <c>{"value", "reason", "seconds"}</c>. The change is in the log before it takes effect.</summary>
    public async Task Put(HttpContext context, string name)
    {
        var key = Access.Require(context, $"knob {name}", policy.KnobRole);
        var knob = Find(name);
        var body = await Body.Read(context.Request, MostBytes, context.RequestAborted);
        KnobSetting setting;
        try
        {
            setting = Read(new JsonField("request", "", StrictJson.Parse(body.Span, "request")), knob, key.Name);
        }
        catch (InputException e)
        {
            throw ApiException.Wrong(e);
        }
        board.Set(knob, setting, before => trail.Knob(knob, before, setting, key.Name));
        await JsonResponse.Write(context, json => Write(json, knob, board.Of(knob)));
    }

    /// <summary>Puts one back to its default: <c>{"reason"}</c>. The change is in the log before it takes effect.</summary>
    public async Task Delete(HttpContext context, string name)
    {
        var key = Access.Require(context, $"knob {name}", policy.KnobRole);
        var knob = Find(name);
        var body = await Body.Read(context.Request, MostBytes, context.RequestAborted);
        try
        {
            var root = new JsonField("request", "", StrictJson.Parse(body.Span, "request"));
            foreach (var (member, field) in root.Members())
            {
                if (member != "reason") throw InputException.At("request", field.Path, "reason", "an unknown member");
            }
            var reason = Reason(root);
            board.Reset(knob, (before, after) => trail.Knob(knob, before, after with { Reason = reason }, key.Name));
        }
        catch (InputException e)
        {
            throw ApiException.Wrong(e);
        }
        await JsonResponse.Write(context, json => Write(json, knob, board.Of(knob)));
    }

    /// <summary>The policy in short.</summary>
    public Task Policy(HttpContext context) => JsonResponse.Write(MayRead(context), json =>
    {
        json.WriteString("name", policy.Name);
        json.WriteString("sha256", policy.Sha256);
        json.WriteStartArray("kinds");
        foreach (var kind in policy.Kinds) json.WriteStringValue(kind);
        json.WriteEndArray();
        json.WriteNumber("most_edits", policy.MostEdits);
        json.WriteBoolean("listed_heads", policy.AllowsListedHeads);
        Bounds(json, "factor", policy.Factor);
        Bounds(json, "add", policy.Added);
        json.WriteStartObject("roles");
        json.WriteString("follow", EnumName.Of(policy.FollowRole));
        json.WriteString("interventions", EnumName.Of(policy.InterventionRole));
        json.WriteString("knobs", EnumName.Of(policy.KnobRole));
        json.WriteEndObject();
        json.WriteBoolean("keep_content", policy.KeepsContent);
    });

    /// <summary>The head sets of the policy.</summary>
    public Task Heads(HttpContext context) => JsonResponse.Write(MayRead(context), json =>
    {
        json.WriteStartArray("head_sets");
        foreach (var set in policy.HeadSets.Values)
        {
            json.WriteStartObject();
            json.WriteString("name", set.Name);
            json.WriteString("sha256", set.Sha256);
            json.WriteStartArray("heads");
            foreach (var (layer, head) in set.Heads)
            {
                json.WriteStartArray();
                json.WriteNumberValue(layer);
                json.WriteNumberValue(head);
                json.WriteEndArray();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    /// <summary>What steers a model is for those who may steer, turn or audit.</summary>
    private static HttpContext MayRead(HttpContext context)
    {
        Access.Require(context, "the policy and its knobs", Role.Steer, Role.Audit);
        return context;
    }

    private Knob Find(string name) => policy.Knobs.TryGetValue(name, out var knob) ? knob
        : throw new ApiException(404, $"knob: expected one of {string.Join(", ", policy.Knobs.Keys)}, found {name}",
            "name", "knob_not_found");

    private KnobSetting Read(JsonField root, Knob knob, string by)
    {
        foreach (var (name, field) in root.Members())
        {
            if (name is not ("value" or "reason" or "seconds"))
                throw InputException.At("request", field.Path, "value, reason, seconds", "an unknown member");
        }
        var value = root.Get("value").Value.ValueKind == JsonValueKind.Number ? root.Get("value").Value.GetDouble()
            : throw root.Get("value").Expected("a number");
        if (!knob.Bounds.Contains(value))
            throw new ApiException(403, FormattableString.Invariant($"value: the policy allows {knob.Bounds}, found {value}"), "value",
                "policy_violation");
        int? seconds = root.Find("seconds")?.Integer(1, MostSeconds);
        if (knob.MostSeconds is { } most && (seconds ?? int.MaxValue) > most)
            throw new ApiException(403, $"seconds: the policy allows at most {most}, found {(seconds is null ? "none" : $"{seconds}")}",
                "seconds",
                "policy_violation");
        return new KnobSetting(value, seconds is { } count ? time.GetUtcNow().AddSeconds(count) : null, by, Reason(root));
    }

    private static string Reason(JsonField root) =>
        root.Get("reason").Text() is var reason && reason.Trim().Length is > 0 and <= LongestReason
            ? reason : throw root.Get("reason").Expected($"a reason of 1 to {LongestReason} characters");

    private static void Write(Utf8JsonWriter json, Knob knob, KnobSetting setting)
    {
        json.WriteString("name", knob.Name);
        json.WriteString("kind", knob.Kind);
        if (knob.Heads is { } heads) json.WriteString("set", heads.Name);
        if (knob.Parts.Count > 0)
        {
            json.WriteStartArray("parts");
            foreach (var part in knob.Parts) json.WriteStringValue(EnumName.Of(part));
            json.WriteEndArray();
            json.WriteString("without_part", knob.SkipsWithoutPart ? "skip" : "refuse");
        }
        if (knob.MostSeconds is { } most) json.WriteNumber("most_seconds", most);
        if (knob.JustifiedBy is { } report) json.WriteString("justified_by", report);
        json.WriteNumber("value", setting.Value);
        json.WriteNumber("default", knob.Default);
        Bounds(json, "bounds", knob.Bounds);
        if (setting.Until is { } until) json.WriteString("until", until);
        if (setting.By.Length == 0) return;
        json.WriteString("by", setting.By);
        json.WriteString("reason", setting.Reason);
    }

    private static void Bounds(Utf8JsonWriter json, string name, Bounds bounds)
    {
        json.WriteStartArray(name);
        json.WriteNumberValue(bounds.Lowest);
        json.WriteNumberValue(bounds.Highest);
        json.WriteEndArray();
    }
}
