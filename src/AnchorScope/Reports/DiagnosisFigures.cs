using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>The figures of a diagnosis by file name, in the order of the report.</summary>
internal sealed class DiagnosisFigures(Diagnosis d)
{
    private static readonly string[] MainEdges =
        ["text_context->instruction", "image->instruction", "image->text_context", "text_context->last",
            "image->last", "instruction->last"];

    private readonly double[] _layers = [.. Enumerable.Range(0, d.Model.Layers).Select(l => (double)l)];

    public IReadOnlyDictionary<string, Figure> All => new Dictionary<string, Figure>(StringComparer.Ordinal)
    {
        ["ldar"] = Ldar(),
        ["mam"] = Mam(),
        ["increments"] = Increments(),
        ["knockout"] = Knockout(),
        ["knockout-mfr"] = KnockoutFollowing(),
        ["windows"] = Windows(),
        ["heads"] = Heads(),
        ["blocking"] = Blocking(),
        ["amplification"] = Amplification(),
    };

    /// <summary>Index i of a lens curve is the residual stream after i layers.</summary>
    private double[] Depth => [.. Enumerable.Range(0, d.Model.Layers + 1).Select(i => (double)i)];

    private LineFigure Ldar() => new("LDAR by layer",
    [
        Lens("Instruction tokens",
            [("all runs", d.Layers.LdarAnchor), ("answered one of the two", d.Layers.LdarAnchorDecided),
                ("decided against the instruction", d.Layers.LdarAnchorAgainst)]),
        Lens("Last position",
            [("all runs", d.Layers.LdarLast), ("answered one of the two", d.Layers.LdarLastDecided),
                ("decided against the instruction", d.Layers.LdarLastAgainst)]),
    ]);

    private LinePanel Lens(string title, (string Name, IReadOnlyList<ByInstruction> Curve)[] curves) =>
        new(title, [.. curves.Where(c => c.Curve[0].All.Count > 0).Select((c, i) =>
            Series(c.Name, Depth, c.Curve.Select(p => p.All), i, i == 0 ? Stroke.Solid : i == 1 ? Stroke.Dashed : Stroke.Dotted))])
        {
            XLabel = "Layers passed", YLabel = "LDAR", YRange = (0, 1), Reference = double.IsNaN(d.Layers.BaseRate.Mean) ? null
                : d.Layers.BaseRate.Mean,
        };

    private LineFigure Mam() => new("MAM by layer",
    [
        .. new[] { ("Instruction tokens", d.Layers.MamAnchor), ("Last position", d.Layers.MamLast) }.Select(p => new LinePanel(p.Item1,
        [
            Series("told to trust the picture", Depth, p.Item2.Select(e => e.Vision), 0),
            Series("told to trust the text", Depth, p.Item2.Select(e => e.Text), 1, Stroke.Dashed),
        ])
        {
            XLabel = "Layers passed", YLabel = "MAM (logits)", ZeroLine = true,
        }),
    ])
    {
        SameScale = true,
    };

    private BarFigure Increments() => new("What attention and MLP add to the margin",
    [
        Bars("Instruction tokens", d.Layers.AttentionAnchor, d.Layers.MlpAnchor),
        Bars("Last position", d.Layers.AttentionLast, d.Layers.MlpLast),
    ]);

    private BarPanel Bars(string title, IReadOnlyList<ByInstruction> attention, IReadOnlyList<ByInstruction> mlp) => new(
        title, [.. _layers.Select(l => $"{l:0}")], [Bar("attention", attention), Bar("MLP", mlp)])
    {
        XLabel = "Layer", YLabel = "Change of MAM (logits)",
    };

    private static BarSeries Bar(string name, IReadOnlyList<ByInstruction> values) =>
        new(name, [.. values.Select(v => v.All.Mean)])
            { Low = [.. values.Select(v => v.All.Low)], High = [.. values.Select(v => v.All.High)] };

    private IEnumerable<KnockoutCurve> Curves(IEnumerable<string> edges) =>
        edges.Select(e => d.Knockouts.FirstOrDefault(k => k.Edge == e && $"{k.Window}" == d.Variants["window"])).OfType<KnockoutCurve>();

    private LineFigure Knockout() =>
        ByModality("I_NSSD of edge knockouts by layer", $"I_{{NSSD}} ({d.Variants["nssd"]})", p => p.Nssd, null);

    private LineFigure KnockoutFollowing() => ByModality("MFR under edge knockouts by layer", "MFR (arg-max)", p => p.Argmax, (0, 1));

    private LineFigure ByModality(string name, string label, Func<KnockoutPoint, ByInstruction> value, (double, double)? range) => new(name,
    [
        .. new (string, Func<ByInstruction, Estimate>)[] { ("Told to trust the text", b => b.Text),
            ("Told to trust the picture", b => b.Vision) }.Select(side => new LinePanel(
            side.Item1,
            [.. Curves(MainEdges).Select(
                (k, i) => Series(Arrow(k.Edge), k.Layers.Select(p => (double)p.Layer!.Value),
                    k.Layers.Select(p => side.Item2(value(p))), i))])
        {
            XLabel = By.Length > 0 ? $"Layer at the centre of the window, cut{By}" : "Layer at the centre of the window", YLabel = label,
                ZeroLine = range is null, YRange = range,
        }),
    ])
    {
        SameScale = true,
    };

    private LineFigure Windows() => new("Sensitivity to the window size",
    [
        .. DiagnosisStudy.SensitivityEdges.Where(e => d.Knockouts.Any(k => k.Edge == e)).Select(edge => new LinePanel(Arrow(edge),
            [.. d.Knockouts.Where(k => k.Edge == edge).Select((k, i) =>
                Series(Plural.Of(k.Window, "layer"), k.Layers.Select(p => (double)p.Layer!.Value), k.Layers.Select(p => p.Nssd.All), i))])
        {
            XLabel = By.Length > 0 ? $"Layer at the centre, cut{By}" : "Layer at the centre", YLabel = $"I_{{NSSD}} ({d.Variants["nssd"]})",
                ZeroLine = true,
        }),
    ])
    {
        Columns = 3, SameScale = true,
    };

    /// <summary>How heads and edges were removed, if this is to be mentioned.</summary>
    private string By => Wording.By(d.Variants["ablation"]);

    private HeatMapFigure Heads() => new("Score of every head",
    [
        new HeatMapPanel("Following the picture", Matrix(d.Heads.Vision)) { Kinds = Kinds(), Dots = Estimated() },
        new HeatMapPanel("Following the text", Matrix(d.Heads.Text)) { Kinds = Kinds(), Dots = Estimated() },
    ])
    {
        ScaleLabel = d.Variants["head_score"] switch
        {
            "causal_margin" => $"Margin lost when the head is blocked{By} (logits)",
            "causal_nssd" => $"Minus I_{{NSSD}} of blocking the head{By}",
            "direct_logit_attribution" => "Direct logit attribution to the margin (logits)",
            var exchange => $"Share of the margin moved ({exchange})",
        },
    };

    private HeadKind? Estimated() => d.Heads.Estimated.Count == 0 ? null : Kind("estimate", d.Heads.Estimated);

    private HeadKind[] Kinds() =>
        [Kind("shared hub", d.Heads.Shared), Kind("vision expert", d.Heads.VisionOnly), Kind("text expert", d.Heads.TextOnly)];

    private static HeadKind Kind(string name, IReadOnlyList<HeadId> heads) => new(name, [.. heads.Select(h => (h.Layer, h.Head))]);

    private static double[,] Matrix(IReadOnlyList<IReadOnlyList<double>> rows)
    {
        var matrix = new double[rows.Count, rows[0].Count];
        for (var layer = 0; layer < rows.Count; layer++)
        {
            for (var head = 0; head < rows[0].Count; head++) matrix[layer, head] = rows[layer][head];
        }
        return matrix;
    }

    private static readonly Estimate Nothing = new(double.NaN, double.NaN, double.NaN, 0);

    private LineFigure Blocking()
    {
        var shares = d.Blocking.Where(b => b.Share is not null).ToList();
        double[] x = [0, .. shares.Select(b => b.Share!.Value * 100)];
        var whole = d.Following[0];
        LinePanel Panel(
            string title, ByInstruction plain, Func<BlockingResult, ByInstruction> top, Func<RandomControl, ByInstruction> random)
        {
            var series = new List<LineSeries> { Series("necessary heads", x, [plain.All, .. shares.Select(b => top(b).All)], 0) };
            // A share without draws is a gap in the controls; the others are shown.
            void AddRandom(string name, Func<BlockingResult, RandomControl?> control, Stroke stroke)
            {
                if (shares.Exists(b => control(b) is not null))
                    series.Add(Series(name, x, [plain.All, .. shares.Select(b => control(b) is { } c ? random(c).All : Nothing)],
                        -1, stroke));
            }
            AddRandom("random heads of the same layers", b => b.LayerMatched, Stroke.Dashed);
            AddRandom("random heads", b => b.Random, Stroke.Dotted);
            return new LinePanel(title, series) { XLabel = $"Share of heads blocked{By} (%)", YLabel = "MFR", YRange = (0, 1), XTicks = x,
                Reference = title.StartsWith("Larger", StringComparison.Ordinal) ? 0.5 : null };
        }
        return new LineFigure("MFR against the share of heads blocked",
            [Panel("Arg-max over the vocabulary", whole.Argmax, b => b.Argmax, r => r.Argmax),
                Panel("Larger of the two answers", whole.Larger, b => b.Larger, r => r.Larger)]);
    }

    private LineFigure Amplification()
    {
        var panels = new List<LinePanel>();
        foreach (var set in d.Amplification.GroupBy(a => a.Set))
        {
            panels.Add(Gain($"{set.Key}: share of {Plural.Of(set.First().Failed, "failed run")} repaired", "Repaired (arg-max)", set,
                p => p.RecoveredArgmax));
            panels.Add(Gain($"{set.Key}: MFR of the whole set", "MFR (arg-max)",
                set.Where(a => a.Points[0].WholeArgmax is not null), p => p.WholeArgmax!));
        }
        return new LineFigure("Amplification", panels);
    }

    private static LinePanel Gain(
        string title, string label, IEnumerable<AmplificationResult> groups, Func<GainPoint, ByInstruction> value) =>
        new(
            title,
            [.. groups.Select(
                (g, i) => Series(g.Group.Shown, g.Points.Select(p => p.Factor), g.Points.Select(p => value(p).All),
                    g.Heads.Count == 0 ? -1 : i,
                    g.Heads.Count == 0 ? (g.Group == HeadPlan.Random ? Stroke.Dotted : Stroke.Dashed) : Stroke.Solid))])
        {
            XLabel = "Factor", YLabel = label, YRange = (0, 1),
        };

    /// <summary>"image->last" in print.</summary>
    public static string Arrow(string edge) => edge.Replace("->", " → ", StringComparison.Ordinal).Replace('_', ' ');

    /// <summary>A curve with its intervals as a band.</summary>
    public static LineSeries Series(string name, IEnumerable<double> x, IEnumerable<Estimate> y, int colour, Stroke stroke = Stroke.Solid)
    {
        var points = y.ToList();
        return new LineSeries(name, [.. x], [.. points.Select(p => p.Mean)])
            { Low = [.. points.Select(p => p.Low)], High = [.. points.Select(p => p.High)], Colour = colour, Stroke = stroke };
    }
}
