using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>The figures of the interchange study, by file name, in the order of the report.</summary>
internal sealed class InterchangeFigures(InterchangeResult result)
{
    private const string NoPairs = "no pairs";

    /// <summary>Names of the exchanges in titles and columns, and their effects.</summary>
    public static IReadOnlyList<(string Name, Func<Profile, ExchangeEffect> Effect)> Factors { get; } =
    [
        ("Choice", p => p.Choice), ("Content", p => p.Content), ("Question", p => p.Question), ("Picture", p => p.Picture),
        ("Note", p => p.Note), ("Phrasing", p => p.Phrasing),
    ];

    public IReadOnlyDictionary<string, Figure> All => new Dictionary<string, Figure>(StringComparer.Ordinal)
    {
        ["profiles"] = Profiles(),
        ["sets"] = Sets(),
        ["layers"] = Layers(),
    };

    private HeatMapFigure Profiles() => new("Margin moved by every head, and roles",
        [.. Factors.Select(f => Map(f.Name, f.Effect)), new HeatMapPanel("Roles", Matrix(_ => 0)) { Letters = [.. Letters()] }])
    {
        Columns = 3, ScaleLabel = "Share of the margin moved",
    };

    private HeatMapPanel Map(string name, Func<Profile, ExchangeEffect> effect)
    {
        var empty = result.Heads.All(h => effect(h.Profile).Pairs == 0);
        return new(empty ? $"{name}: {NoPairs}" : name, Matrix(h => effect(h.Profile).Moved.Mean));
    }

    private IEnumerable<HeadLetter> Letters() => RoleName.All.Select((role, slot) => new HeadLetter(
            role.Name, role.Letter, slot, [.. result.Heads.Where(h => h.Role == role.Role).Select(h => (h.Layer, h.Head))]))
        .Where(l => l.Heads.Count > 0);

    private double[,] Matrix(Func<ProfiledHead, double> value)
    {
        var matrix = new double[result.Heads.Max(h => h.Layer) + 1, result.Heads.Max(h => h.Head) + 1];
        foreach (var head in result.Heads) matrix[head.Layer, head.Head] = value(head);
        return matrix;
    }

    private LineFigure Layers() => new("Layers exchanged",
    [
        Panel("What is moved", "Share of the margin moved", l => l.Choice.Moved, l => l.Content.Moved, l => l.MlpCrossed.Moved),
        Panel("Choice (above 0) or content (below 0)", "Other over donor's (logits)",
            l => l.ChoiceCrossed.Choice, l => l.Content.Choice, l => l.MlpCrossed.Choice),
    ]);

    private LinePanel Panel(
        string title, string label,
        Func<LayerExchange, Estimate> queries, Func<LayerExchange, Estimate> outputs, Func<LayerExchange, Estimate> mlp)
    {
        double[] layers = [.. result.Layers.Select(l => (double)l.Layer)];
        LineSeries Series(string name, Func<LayerExchange, Estimate> value, int slot, Stroke stroke) =>
            DiagnosisFigures.Series(name, layers, result.Layers.Select(value), slot, stroke);
        return new LinePanel(title,
        [
            Series("queries of all heads", queries, 0, Stroke.Solid),
            Series("outputs of all heads", outputs, 1, Stroke.Dashed),
            Series("MLP", mlp, 2, Stroke.Dotted),
        ])
        {
            XLabel = "Layer", YLabel = label, ZeroLine = true, Empty = NoPairs,
        };
    }

    private LineFigure Sets()
    {
        var series = new List<LineSeries>();
        Add("arbiters", "arbiters: queries", e => e.Switched, 0, Stroke.Solid);
        Add("decision_carriers", "decision carriers: outputs", e => e.Switched, 1, Stroke.Dashed);
        Add("choice_carriers", "choice carriers: outputs", e => e.OwnOther, 2, Stroke.Dotted);
        double[] all = [.. series.SelectMany(s => s.X).Distinct().Order()];
        return new LineFigure("Test pairs switched by growing sets",
        [
            new LinePanel("Sets as they grew", series)
            {
                XLabel = "Heads in the set", YLabel = "Share of test pairs switched", YRange = (0, 1), Reference = 0.5, XTicks = all,
                Empty = series.Count == 0 ? "no set was found" : NoPairs,
            },
        ]);

        void Add(string set, string name, Func<ExchangeEffect, Estimate> share, int slot, Stroke stroke)
        {
            var steps = result.Set(set).Steps;
            if (steps.Count == 0) return;
            var sizes = steps.Select(s => (double)s.Heads.Count);
            series.Add(DiagnosisFigures.Series(name, sizes, steps.Select(s => share(s.Test)), slot, stroke));
        }
    }
}
