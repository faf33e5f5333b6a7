using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;

namespace AnchorScope.Studies;

/// <summary>Comparison of one array with its golden array.</summary>
/// <param name="Case">Name of the golden file.</param>
/// <param name="Array">Name of the array. Arrays with a layer axis have one row for each layer.</param>
/// <param name="Error">Largest difference: relative to the largest magnitude of its row; absolute for probabilities and pixel values; 1 if
/// ids or text differ.</param>
/// <param name="Tolerance">Largest error allowed.</param>
/// <param name="Where">Index of the first value beyond the tolerance, or a description of the difference; null if there is none.</param>
internal sealed record ParityRow(string Case, string Array, double Error, double Tolerance, string? Where);

/// <summary>Comparison of one golden file.</summary>
/// <param name="Rows">In the order of computation.</param>
/// <param name="NotCompared">Arrays of the file that have no counterpart.</param>
internal sealed record ParityResult(IReadOnlyList<ParityRow> Rows, IReadOnlyList<string> NotCompared);

/// <summary>Runs a model on golden files of the reference library and compares every array, in the order of computation.</summary>
internal static class ParityCheck
{
    /// <summary>
    /// Tolerance relative to the largest magnitude of a row, which is one position's vector in one layer. Float32 sums in another order
    /// differ by about 1e-6 per operation, a wrong term by far more.
    /// </summary>
    public const double Relative = 5e-5;

    /// <summary>Absolute tolerance of attention probabilities.</summary>
    public const double Probability = 1e-4;

    /// <summary>Absolute tolerance of pixel values.</summary>
    public const double Pixel = 1e-5;

    private static readonly string[] LayerOrder = ["lm.attn", "lm.z", "lm.attn_out", "lm.resid_mid", "lm.neuron_out",
        "lm.mlp_out", "lm.hidden"];

    private static readonly string[] First = ["vision.embeddings", "vision.features", "lm.inputs_embeds", "lm.rope_cos", "lm.rope_sin",
        "lm.l0.q_rope", "lm.l0.k_rope", "lm.l0.v"];

    /// <summary>Compares one golden file.</summary>
    /// <exception cref="InputException">It has no inputs, or they do not fit the model.</exception>
    public static ParityResult Run(VisionLanguageModel model, string path, ISession session)
    {
        using var golden = new ParityGolden(path);
        if (!golden.Has("inputs.input_ids")) throw InputException.At(path, "inputs.input_ids", "token ids [1, T]", "nothing");
        var rows = new List<ParityRow>();
        var pixels = golden.Pixels is { } inputs ? model.Accept(inputs) : null;
        var prompt = model.Prompt(golden.Tokens("inputs.input_ids"), pixels, pixels is null ? null : session.Features(pixels));
        if (golden.Messages is not null && model.HasTemplate) Inputs(golden, model, session, rows);
        if (golden.Integers("inputs.position_ids") is { } places)
        {
            var axes = places.Length / prompt.Length;
            Equal(rows, golden, "inputs.position_ids", places.Select(p => (int)p),
                Enumerable.Range(0, axes).SelectMany(axis => prompt.Coordinates.Select(c => c[axis])));
        }
        Arrays(golden, model, prompt, pixels, session, rows);
        Lens(golden, model, prompt, session, rows);
        foreach (var intervention in golden.Interventions())
        {
            intervention.Validate(model.Engine.Shape, prompt.Length);
            Close(rows, golden, $"iv.{intervention.Name}.logits", session.Unembed(session.Forward(prompt, intervention)));
        }
        Sweeps(golden, model, prompt, session, rows);
        if (golden.Integers("gen.ids") is { } ids)
        {
            var generated = Generation.Run(session, prompt, new SequenceOptions(ids.Length) { KeepLogits = true });
            Equal(rows, golden, "gen.ids", ids.Select(id => (int)id), generated.Tokens);
            if (golden.Has("gen.logits")) Close(rows, golden, "gen.logits", [.. generated.Logits.SelectMany(l => l)]);
        }
        var compared = rows.Select(r => r.Array.Split(" layer ")[0]).ToHashSet(StringComparer.Ordinal);
        return new ParityResult(rows,
            [.. golden.Names.Where(
                n => !compared.Contains(n) && !n.StartsWith("inputs.", StringComparison.Ordinal) && n != "lens.positions")
                .Order(StringComparer.Ordinal)]);
    }

    private static void Inputs(ParityGolden golden, VisionLanguageModel model, ISession session, List<ParityRow> rows)
    {
        var messages = ChatMessage.Parse(Encoding.UTF8.GetBytes(golden.Messages!), golden.Name);
        var pictures = golden.Pictures.Select(f => Picture.Load(f)).ToList();
        var pixels = pictures.Count == 0 ? null : model.Preprocess(pictures);
        var prompt = model.Prompt(messages, pixels, pixels is null ? null : session.Features(pixels));
        if (golden.Prompt is { } text)
            rows.Add(new ParityRow(golden.Name, "prompt", text == prompt.Rendered ? 0 : 1, 0,
                text == prompt.Rendered ? null : $"rendered as {prompt.Rendered}"));
        Equal(rows, golden, "inputs.input_ids", golden.Tokens("inputs.input_ids"), prompt.Tokens);
        if (pixels is not null && golden.Has("inputs.pixel_values"))
            rows.Add(new ParityArray
            {
                Case = golden.Name,
                Name = "inputs.pixel_values",
                Shape = golden.Shape("inputs.pixel_values"),
                Tolerance = Pixel,
                Relative = false,
            }.Compare(golden.Singles("inputs.pixel_values"), pixels.Values));
    }

    private static void Arrays(ParityGolden golden, VisionLanguageModel model, Prompt prompt, PixelValues? pixels,
        ISession session, List<ParityRow> rows)
    {
        var written = TraceExport.Run(model, prompt, pixels, Intervention.None,
            TraceExport.Optional.Where(n => n != "lens").ToHashSet(StringComparer.Ordinal), session)
            .ToDictionary(a => a.Name, StringComparer.Ordinal);
        var both = golden.Names.Where(written.ContainsKey).ToList();
        foreach (var name in both.Where(n => n.StartsWith("vision.layer_", StringComparison.Ordinal))
            .OrderBy(n => int.Parse(n["vision.layer_".Length..], CultureInfo.InvariantCulture))
            .Prepend("vision.embeddings").Concat(First.Skip(1)))
        {
            if (both.Contains(name)) Close(rows, golden, name, Values(written[name]));
        }
        for (var layer = 0; layer < model.Engine.Shape.Layers; layer++)
        {
            foreach (var name in LayerOrder.Where(both.Contains))
            {
                var shape = golden.Shape(name);
                var (want, got) = (golden.Singles(name), Values(written[name]));
                if (want.Length != got.Length || shape[0] != model.Engine.Shape.Layers)
                    throw InputException.At(golden.Name, name, $"shape [{string.Join(", ", written[name].Shape)}]",
                        $"[{string.Join(", ", shape)}]");
                var size = want.Length / model.Engine.Shape.Layers;
                var attention = name == "lm.attn";
                rows.Add(new ParityArray
                {
                    Case = golden.Name,
                    Name = $"{name} layer {layer}",
                    Shape = shape[1..],
                    Tolerance = attention ? Probability : Relative,
                    Relative = !attention,
                }.Compare(want.AsSpan(layer * size, size), got.AsSpan(layer * size, size)));
            }
        }
        foreach (var name in new[] { "lm.final_norm", "lm.logits" }.Where(both.Contains)) Close(rows, golden, name, Values(written[name]));

        static float[] Values(TensorData data) => MemoryMarshal.Cast<byte, float>(data.Bytes.Span).ToArray();
    }

    private static void Lens(ParityGolden golden, VisionLanguageModel model, Prompt prompt, ISession session, List<ParityRow> rows)
    {
        if (!golden.Has("lens.logits") || golden.Integers("lens.positions") is not { } positions) return;
        int[] at = [
            .. positions.Select(p => p >= 0 && p < prompt.Length
                ? (int)p : throw InputException.At(golden.Name, "lens.positions", $"0 to {prompt.Length - 1}", $"{p}"))];
        var (trace, width) = (new Trace([Site.ResidPost], at), model.Engine.Shape.ModelSize);
        _ = session.Forward(prompt, Intervention.None, trace);
        // A trace stores positions in ascending order; the golden file has its own order.
        var ascending = at.Distinct().Order().ToList();
        var lens = at.SelectMany(p => prompt.Embeddings[(p * width)..((p + 1) * width)])
            .Concat(Enumerable.Range(0, model.Engine.Shape.Layers).SelectMany(
                l => at.SelectMany(p => trace[Site.ResidPost, l].AsSpan(ascending.IndexOf(p) * width, width).ToArray()))).ToArray();
        Close(rows, golden, "lens.logits", session.Unembed(lens));
    }

    private static void Sweeps(ParityGolden golden, VisionLanguageModel model, Prompt prompt, ISession session, List<ParityRow> rows)
    {
        var shape = model.Engine.Shape;
        var heads = Enumerable.Range(0, shape.Layers).SelectMany(l => Enumerable.Range(0, shape.Heads).Select(h => (l, h))).ToList();
        var last = Positions.Of(prompt.Length - 1);
        var images = prompt.Span(SpanKind.Image);
        var sweeps = new (string Name, Func<IEnumerable<Intervention>> Variants)[]
        {
            ("sweep.block_each_head_all_pos.last_logits", () => heads.Select(h => Intervention.HeadGain(h.l, h.h, 0))),
            ("sweep.block_each_head_last_pos.last_logits", () => heads.Select(h => Intervention.HeadGain(h.l, h.h, 0, last))),
            ("sweep.knock_last_from_image_window3.last_logits", () => Enumerable.Range(0, shape.Layers).Select(layer =>
                Intervention.Knockout($"window {layer}", Metrics.LayerWindow.Centred(layer, 3, shape.Layers), last,
                    Positions.Of([.. images])))),
        };
        foreach (var (name, variants) in sweeps.Where(s => golden.Has(s.Name)))
        {
            using var baseline = session.Record(prompt);
            Close(rows, golden, name, [.. Sweep.Run(session, baseline, variants()).SelectMany(logits => logits)]);
        }
    }

    private static void Close(List<ParityRow> rows, ParityGolden golden, string name, float[] got) =>
        rows.Add(new ParityArray
        {
            Case = golden.Name,
            Name = name,
            Shape = golden.Shape(name),
            Tolerance = Relative,
            Relative = true,
        }.Compare(golden.Singles(name), got));

    private static void Equal(List<ParityRow> rows, ParityGolden golden, string name, IEnumerable<int> want, IEnumerable<int> got)
    {
        var (a, b) = (want.ToList(), got.ToList());
        var first = Enumerable.Range(0, Math.Max(a.Count, b.Count)).FirstOrDefault(i => i >= a.Count || i >= b.Count || a[i] != b[i], -1);
        rows.Add(new ParityRow(golden.Name, name, first < 0 ? 0 : 1, 0, first < 0 ? null
            : $"[{first}]: expected {(first < a.Count ? $"{a[first]}" : "the end")}, "
                + $"found {(first < b.Count ? $"{b[first]}" : "the end")}"));
    }
}
