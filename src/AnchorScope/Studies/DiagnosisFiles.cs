using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Writes a diagnosis as files for other programs. Each file is written atomically.</summary>
internal static class DiagnosisFiles
{
    internal static readonly JsonSerializerOptions Form = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower), new FiniteNumber(),
            new InlineEstimate(), new InlineNumbers() },
    };

    /// <summary>Writes diagnosis.json, summary.csv, heads.json and heads-necessary.json into <paramref name="folder"/>.</summary>
    /// <param name="arbiters">The heads that choose the modality; may be empty.</param>
    /// <param name="necessary">The heads whose blocking lowers MFR most.</param>
    public static void Write(string folder, Diagnosis diagnosis, HeadSet arbiters, HeadSet necessary)
    {
        Text(Path.Combine(folder, "diagnosis.json"), Json(diagnosis));
        Text(Path.Combine(folder, "heads.json"), HeadSetFile.Text(arbiters));
        Text(Path.Combine(folder, "heads-necessary.json"), HeadSetFile.Text(necessary));
        Text(Path.Combine(folder, "summary.csv"), Summary(diagnosis));
    }

    /// <summary>Serialises a record with snake_case names and null for NaN.</summary>
    public static string Json<T>(T record) => JsonSerializer.Serialize(record, Form) + "\n";

    /// <summary>Writes <paramref name="text"/> as UTF-8, atomically.</summary>
    public static void Text(string path, string text) =>
        AtomicFile.Write(path, stream => stream.Write(new UTF8Encoding(false).GetBytes(text)));

    /// <summary>
    /// The named definitions, then one row per number: section, item, condition, metric, instruction, mean, interval, count, and p and q of
    /// tested numbers.
    /// </summary>
    private static string Summary(Diagnosis d)
    {
        var csv = new StringBuilder("section,item,condition,metric,instruction,mean,low95,high95,runs,p,q\n");
        foreach (var (choice, variant) in d.Variants)
            csv.Append(CultureInfo.InvariantCulture, $"definition,{choice},{Quoted(variant)},,,,,,,,\n");
        foreach (var r in d.Following)
        {
            var item = $"{r.Set}/{r.Group}/{r.Name}";
            Rows(new("following", item, "baseline", "mfr_argmax"), r.Argmax);
            Rows(new("following", item, "baseline", "mfr_larger"), r.Larger);
            Rows(new("following", item, "baseline", "mfr_generated"), r.Generated);
            Rows(new("following", item, "baseline", "competitor_argmax"), r.Competitor);
            Rows(new("following", item, "baseline", "neither_argmax"), r.Neither);
        }
        var curves = new (string Name, IReadOnlyList<ByInstruction> Values)[]
        {
            ("mam_anchor", d.Layers.MamAnchor), ("mam_last", d.Layers.MamLast), ("ldar_anchor", d.Layers.LdarAnchor),
            ("ldar_last", d.Layers.LdarLast),
            ("ldar_anchor_decided", d.Layers.LdarAnchorDecided), ("ldar_last_decided", d.Layers.LdarLastDecided),
            ("attention_increment_anchor", d.Layers.AttentionAnchor), ("mlp_increment_anchor", d.Layers.MlpAnchor),
            ("attention_increment_last", d.Layers.AttentionLast), ("mlp_increment_last", d.Layers.MlpLast),
        };
        foreach (var (name, values) in curves)
        {
            for (var i = 0; i < values.Count; i++) Rows(new("layers", $"{i}", "baseline", name), values[i]);
        }
        foreach (var curve in d.Knockouts)
        {
            foreach (var point in curve.Layers.Append(curve.AllLayers).OfType<KnockoutPoint>())
            {
                var condition = point.Layer is { } layer ? $"window {curve.Window} at {layer}" : "all layers";
                Rows(new("knockout", curve.Edge, condition, "nssd_" + d.Variants["nssd"]), point.Nssd, point.Test);
                Rows(new("knockout", curve.Edge, condition, "mfr_argmax"), point.Argmax);
                Rows(new("knockout", curve.Edge, condition, "mfr_larger"), point.Larger);
            }
        }
        var score = EnumName.Parse<HeadScoreVariant>("head_score", d.Variants["head_score"]);
        var measured = ExchangeScore.Of(score) is not null ? "exchanged alone" : "blocked alone";
        foreach (var head in d.Heads.Ranked)
            Rows(new("heads", $"{head.Layer}.{head.Head}", head.Estimate ? "estimated" : measured, EnumName.Of(score)), head.Score,
                head.Test, (d.Heads.VisionQ[head.Layer][head.Head], d.Heads.TextQ[head.Layer][head.Head]));
        foreach (var head in d.Interchange.Heads)
        {
            var item = $"{head.Layer}.{head.Head}";
            Exchanged(item, "choice", head.Profile.Choice);
            Exchanged(item, "content", head.Profile.Content);
            Exchanged(item, "question", head.Profile.Question);
            Exchanged(item, "picture", head.Profile.Picture);
            Exchanged(item, "note", head.Profile.Note);
            Exchanged(item, "phrasing", head.Profile.Phrasing);
        }
        foreach (var set in d.Interchange.Sets.Where(s => s.Measured is not null))
        {
            Exchanged(set.Name, "choice", set.Measured!.Choice);
            Exchanged(set.Name, "choice_crossed", set.Measured.ChoiceCrossed);
            Exchanged(set.Name, "output", set.Measured.Output);
            Exchanged(set.Name, "content", set.Measured.Content);
            Exchanged(set.Name, "phrasing", set.Measured.Phrasing);
            if (set.Random is { } rank)
                Row(new("interchange", set.Name, "random sets", "largest_effect"), "all",
                    new Estimate(set.RandomMoved, double.NaN, double.NaN, rank.Draws), rank.P);
        }
        foreach (var neuron in d.Neurons.Ranked)
        {
            var item = $"{neuron.Layer}.{neuron.Neuron}";
            Rows(new("neurons", item, $"silenced alone, {EnumName.Of(neuron.Place)}", "causal_margin"), neuron.Effect, neuron.Test);
            Rows(new("neurons", item, "baseline", "activation_instruction"), neuron.AtInstruction);
            Rows(new("neurons", item, "baseline", "activation_last"), neuron.AtLast);
        }
        foreach (var head in d.Inside)
        {
            foreach (var c in head.Ranked)
                Rows(new("components", $"{head.Layer}.{head.Head}.{c.Component}", "set to 0 alone", "causal_margin"), c.Effect, c.Test);
        }
        foreach (var edge in d.HeadEdges.Ranked)
            Rows(new("head_edges", $"{edge.Layer}.{edge.Head}", edge.Edge, "causal_margin"), edge.Effect, edge.Test);
        foreach (var cut in d.Route.Cuts) Row(new("route", cut.Edge, "all layers", d.Variants["route"]), "all", cut.Left);
        csv.Append(CultureInfo.InvariantCulture, $"route,verdict,{EnumName.Of(d.Route.Verdict)},,,,,,,,\n");
        foreach (var block in d.Blocking)
        {
            Rows(new("blocking", block.Name.Text, "blocked", "mfr_argmax"), block.Argmax);
            Rows(new("blocking", block.Name.Text, "blocked", "mfr_larger"), block.Larger);
            foreach (var (kind, accuracy) in block.Control)
                Row(new("blocking", block.Name.Text, "blocked", "accuracy_" + kind), "all", accuracy);
            if (block.Random is { } random)
                Rows(new("blocking", block.Name.Text, "random heads", "mfr_argmax"), random.Argmax, p: random.Rank.P);
            if (block.LayerMatched is { } matched)
                Rows(new("blocking", block.Name.Text, "random heads of the same layers", "mfr_argmax"), matched.Argmax, p: matched.Rank.P);
        }
        foreach (var gain in d.Amplification)
        {
            foreach (var point in gain.Points)
            {
                var condition = string.Create(CultureInfo.InvariantCulture, $"factor {point.Factor}");
                Rows(new("amplification", $"{gain.Set}/{gain.Group}", condition, "recovered_argmax"), point.RecoveredArgmax);
                Rows(new("amplification", $"{gain.Set}/{gain.Group}", condition, "recovered_larger"), point.RecoveredLarger);
                if (point.WholeArgmax is { } whole) Rows(new("amplification", $"{gain.Set}/{gain.Group}", condition, "mfr_argmax"), whole);
            }
        }
        return csv.ToString();

        void Rows(
            SummaryItem of, ByInstruction by, Significance? test = null, (double Vision, double Text)? q = null, double p = double.NaN)
        {
            Row(of, "all", by.All, test?.P ?? p, test?.Q ?? double.NaN);
            Row(of, "vision", by.Vision, q: q?.Vision ?? double.NaN);
            Row(of, "text", by.Text, q: q?.Text ?? double.NaN);
        }

        void Exchanged(string item, string condition, ExchangeEffect effect)
        {
            Row(new("interchange", item, condition, "moved"), "all", effect.Moved);
            Row(new("interchange", item, condition, "switched"), "all", effect.Switched);
            Row(new("interchange", item, condition, "own_other"), "all", effect.OwnOther);
        }

        void Row(SummaryItem of, string instruction, Estimate e, double p = double.NaN, double q = double.NaN) =>
            csv.Append(CultureInfo.InvariantCulture, $"{of.Section},{Quoted(of.Item)},{Quoted(of.Condition)},{of.Metric},{instruction},")
                .Append(CultureInfo.InvariantCulture, $"{Number(e.Mean)},{Number(e.Low)},{Number(e.High)},")
                .Append(CultureInfo.InvariantCulture, $"{e.Count},{Number(p)},{Number(q)}\n");
    }

    /// <summary>The first columns of a row of summary.csv: what was measured.</summary>
    private readonly record struct SummaryItem(string Section, string Item, string Condition, string Metric);

    internal static string Number(double value) => double.IsFinite(value) ? value.ToString("G9", CultureInfo.InvariantCulture) : "";

    internal static string Quoted(string field) =>
        field.AsSpan().IndexOfAny(",\"\n\r") < 0 ? field : $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    /// <summary>Writes NaN as null, because JSON has no NaN. The mean of an empty set is NaN.</summary>
    private sealed class FiniteNumber : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Null ? double.NaN : reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value)) writer.WriteNumberValue(value);
            else writer.WriteNullValue();
        }
    }

    /// <summary>Writes {"mean": …, "low": …, "high": …, "count": …} on one line, for readability.</summary>
    private sealed class InlineEstimate : JsonConverter<Estimate>
    {
        public override Estimate Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException("diagnosis.json is written, not read, by this tool");

        public override void Write(Utf8JsonWriter writer, Estimate value, JsonSerializerOptions options) => writer.WriteRawValue(
            $$"""{"mean": {{JsonNumber(value.Mean)}}, "low": {{JsonNumber(value.Low)}}, "high": {{JsonNumber(value.High)}}, "count": {{value.Count.ToString(CultureInfo.InvariantCulture)}}}""");

    }

    /// <summary>Writes the numbers of a list on one line.</summary>
    private sealed class InlineNumbers : JsonConverter<IReadOnlyList<double>>
    {
        public override IReadOnlyList<double> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException("diagnosis.json is written, not read, by this tool");

        public override void Write(Utf8JsonWriter writer, IReadOnlyList<double> value, JsonSerializerOptions options) =>
            writer.WriteRawValue($"[{string.Join(", ", value.Select(JsonNumber))}]");
    }

    private static string JsonNumber(double value) => double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : "null";
}
