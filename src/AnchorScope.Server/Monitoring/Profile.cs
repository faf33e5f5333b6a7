using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Server.Policies;

namespace AnchorScope.Server.Monitoring;

/// <summary>What is normal: what was read of the requests of a conflict set, for one model under one policy.</summary>
internal sealed class Profile
{
    /// <summary>The requests that follow either instruction.</summary>
    public const string Both = "all";

    /// <summary>Of the sketches of a profile: closer than a server's, because a profile is made once and ends.</summary>
    public const double SketchError = 0.001;

    private Profile(string sha256, IReadOnlyDictionary<string, ReadingTotals> conditions) => (Sha256, Conditions) = (sha256, conditions);

    /// <summary>The conditions: both instructions together, and each alone.</summary>
    public static IReadOnlyList<string> ConditionNames { get; } = [Both, .. Enum.GetValues<Modality>().Select(EnumName.Of)];

    /// <summary>SHA-256 of the file's bytes.</summary>
    public string Sha256 { get; }

    /// <summary>What was read, by <see cref="ConditionNames"/>.</summary>
    public IReadOnlyDictionary<string, ReadingTotals> Conditions { get; }

    /// <summary>How the numbers are defined, by name.</summary>
    public static IReadOnlyDictionary<string, string> Definitions { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["margin"] = "largest logit of the picture's answer minus that of the text's, last position",
        ["instruction"] = "MAM towards the picture at the instruction's tokens",
        ["last"] = "MAM towards the picture at the last position",
        ["heads"] = "direct contribution to the margin at the last position",
        ["attention"] = "mean over the instruction's tokens, all heads and layers, of the attention to a part",
        ["lens_norm"] = EnumName.Of(DecisionReading.Definitions.Lens),
        ["entity_reduction"] = EnumName.Of(DecisionReading.Definitions.Entities),
        ["top_k"] = DecisionReading.Definitions.Named["top_k"],
        ["quantiles"] = "Greenwald and Khanna 2001",
    };

    /// <summary>Writes a profile. The file is whole or not there.</summary>
    /// <param name="made">Where it is from.</param>
    /// <param name="conditions">What was read, by <see cref="ConditionNames"/>.</param>
    public static void Write(
        string path, ProfileOrigin made, Quantities quantities, IReadOnlyDictionary<string, ReadingTotals> conditions) =>
        AtomicFile.Write(path, stream =>
        {
            using var json = new Utf8JsonWriter(
                stream, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            json.WriteStartObject();
            json.WriteNumber("version", 1);
            json.WriteStartObject("model");
            json.WriteString("weights", made.Model.Checkpoint.Identity.Weights);
            Texts(json, "files", made.Model.Checkpoint.Identity.Files);
            json.WriteEndObject();
            json.WriteString("numerics", made.Model.Engine.Numerics);
            Texts(json, "definitions", Definitions);
            Texts(json, "head_sets", HeadSets(made.Policy));
            json.WriteStartObject("knobs");
            foreach (var (name, value) in Knobs(made.Policy)) json.WriteNumber(name, value);
            json.WriteEndObject();
            Texts(json, "data", made.Data);
            json.WriteNumber("seed", made.Seed);
            json.WriteNumber("requests", conditions[Both].Requests);
            json.WriteStartObject("conditions");
            foreach (var name in ConditionNames) Condition(json, name, quantities, conditions[name]);
            json.WriteEndObject();
            json.WriteEndObject();
        });

    /// <summary>Reads a profile.</summary>
    /// <exception cref="InputException">
    /// It is wrong, or was made for other weights, other numerics, other definitions, or a policy with other head sets or knobs.
    /// </exception>
    public static Profile Load(string path, VisionLanguageModel model, Policy policy, Quantities quantities)
    {
        var bytes = JsonField.ReadBytes(path);
        var root = new JsonField(path, "", StrictJson.Parse(bytes, path));
        root.Only("version", "model", "numerics", "definitions", "head_sets", "knobs", "data", "seed", "requests", "conditions");
        root.Get("version").Integer(1, 1);
        root.Get("model").Only("weights", "files");
        model.Checkpoint.Identity.Require(
            new ModelIdentity(root.Get("model").Get("weights").Text(), TextsOf(root.Get("model").Get("files"))), path, "profile",
            "; make one with ascope profile");
        if (root.Get("numerics").Text() != model.Engine.Numerics)
            throw root.Get("numerics").Expected($"the numerics of this engine, {model.Engine.Numerics}");
        Same(root.Get("definitions"), Definitions, "the definitions of this version");
        Same(root.Get("head_sets"), HeadSets(policy), "the head sets of the policy that is served");
        SameNumbers(root.Get("knobs"), Knobs(policy));
        var conditions = root.Get("conditions");
        conditions.Only([.. ConditionNames]);
        var read = ConditionNames.ToDictionary(name => name, name => Condition(conditions.Get(name), quantities), StringComparer.Ordinal);
        return root.Get("requests").Integer(1, int.MaxValue) == read[Both].Requests
            ? new Profile(Digest.Of(bytes), read)
            : throw root.Get("requests").Expected($"the number of decisions of all conditions, {read[Both].Requests}");
    }

    private static void Condition(Utf8JsonWriter json, string name, Quantities quantities, ReadingTotals totals)
    {
        json.WriteStartObject(name);
        json.WriteStartObject("decisions");
        foreach (var (followed, count) in totals.Decisions) json.WriteNumber(followed, count);
        json.WriteEndObject();
        json.WriteStartObject("quantities");
        for (var i = 0; i < quantities.All.Count; i++)
        {
            if (totals.Sketches[i].Count == 0) continue;
            json.WriteStartObject(quantities.All[i].Name);
            totals.Sketches[i].Write(json);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static ReadingTotals Condition(JsonField condition, Quantities quantities)
    {
        condition.Only("decisions", "quantities");
        string[] sides = ["vision", "text", "neither"];
        condition.Get("decisions").Only(sides);
        condition.Get("quantities").Only([.. quantities.All.Select(quantity => quantity.Name)]);
        var decisions = sides.ToDictionary(
            side => side, side => (long)condition.Get("decisions").Get(side).Integer(0, int.MaxValue), StringComparer.Ordinal);
        var totals = new ReadingTotals(decisions, [.. quantities.All.Select(
            quantity => condition.Get("quantities").Find(quantity.Name) is { } sketch
                ? QuantileSketch.Read(sketch) : new QuantileSketch(SketchError))]);
        for (var i = 0; i < quantities.All.Count; i++)
        {
            if (totals.Sketches[i].Count > totals.Requests || (i == 0 && totals.Sketches[i].Count < totals.Requests))
                throw condition.Get("quantities").Get(quantities.All[i].Name).Expected(
                    $"as many values as decisions, {totals.Requests}");
        }
        return totals;
    }

    private static SortedDictionary<string, string> HeadSets(Policy policy) =>
        new(policy.HeadSets.ToDictionary(set => set.Key, set => set.Value.Sha256), StringComparer.Ordinal);

    private static SortedDictionary<string, double> Knobs(Policy policy) =>
        new(policy.Knobs.ToDictionary(knob => knob.Key, knob => knob.Value.Default), StringComparer.Ordinal);

    private static void Texts(Utf8JsonWriter json, string name, IReadOnlyDictionary<string, string> texts)
    {
        json.WriteStartObject(name);
        foreach (var (key, text) in texts) json.WriteString(key, text);
        json.WriteEndObject();
    }

    private static Dictionary<string, string> TextsOf(JsonField field) =>
        field.Members().ToDictionary(member => member.Name, member => member.Field.Text(), StringComparer.Ordinal);

    private static void Same(JsonField field, IReadOnlyDictionary<string, string> expected, string what)
    {
        var found = TextsOf(field);
        foreach (var name in expected.Keys.Union(found.Keys))
        {
            if (expected.GetValueOrDefault(name) != found.GetValueOrDefault(name))
                throw InputException.At(field.File, $"{field.Path}.{name}", $"{what}, {expected.GetValueOrDefault(name, "none")}",
                    found.GetValueOrDefault(name, "none"));
        }
    }

    private static void SameNumbers(JsonField field, IReadOnlyDictionary<string, double> expected)
    {
        var found = field.Members().ToDictionary(
            member => member.Name, member => member.Field.Number(double.MinValue, double.MaxValue), StringComparer.Ordinal);
        foreach (var name in expected.Keys.Union(found.Keys))
        {
            double? there = expected.TryGetValue(name, out var value)
                ? value : null, here = found.TryGetValue(name, out var own) ? own : null;
            if (there == here) continue;
            throw InputException.At(field.File, $"{field.Path}.{name}",
                FormattableString.Invariant($"the defaults of the knobs that are served, {there?.ToString() ?? "none"}"),
                FormattableString.Invariant($"{here?.ToString() ?? "none"}"));
        }
    }
}

/// <summary>What a profile was made of.</summary>
/// <param name="Data">SHA-256 of each file of the conflict sets, by name.</param>
/// <param name="Seed">Seed of the choice of samples.</param>
internal sealed record ProfileOrigin(
    VisionLanguageModel Model, Policy Policy, IReadOnlyDictionary<string, string> Data, ulong Seed);
