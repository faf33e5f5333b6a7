using System.Globalization;
using AnchorScope.Figures;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>The sections of a report about parts smaller than heads: neurons, and edges in a single head.</summary>
internal static class RankingSections
{
    private static readonly Column[] Means =
        [.. Column.Under("Mean at the instruction", "Picture", "Text"), .. Column.Under("Mean at the last position", "Picture", "Text")];

    public static void Neurons(HtmlPage page, Diagnosis d)
    {
        page.Heading(3, "Neurons before, among and after the necessary heads");
        page.Table(["Place", "Neuron",
            .. Column.Under("Margin lost when silenced", "All runs", "q", "Picture", "Text", "Estimate"), .. Means],
            [.. d.Neurons.Ranked.Select(n => new[]
            {
                EnumName.Of(n.Place), $"{n.Layer}.{n.Neuron}", Numbers.Interval(n.Effect.All, 3), Numbers.P(n.Test.Q),
                    Numbers.Of(n.Effect.Vision.Mean, 3), Numbers.Of(n.Effect.Text.Mean, 3), Numbers.Of(n.Estimate, 3),
                Numbers.Of(n.AtInstruction.Vision.Mean, 3), Numbers.Of(n.AtInstruction.Text.Mean, 3), Numbers.Of(n.AtLast.Vision.Mean, 3),
                Numbers.Of(n.AtLast.Text.Mean, 3),
            })],
            $"MLP neurons (layer.neuron) of {d.Neurons.Total}: of each place the strongest by the estimate from gradients, "
                + "then set to 0 one at a time on the ranking set's first conflicts (margin in logits). The MLP of a layer reads what "
                + $"that layer's attention has written, so with necessary heads in layers {d.Neurons.FirstLayer} to {d.Neurons.LastLayer} "
            + $"a neuron stands before all of them, among them, or after all. Means: activation when told to trust the picture and the "
            + $"text. Spearman correlation of effect and estimate over these: "
            + $"{d.Neurons.Correlation.ToString("0.00", CultureInfo.InvariantCulture)}.",
            numeric: [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    /// <summary>The components of the most necessary heads.</summary>
    public static void Inside(HtmlPage page, Diagnosis d)
    {
        page.Heading(3, "Inside the necessary heads");
        page.Table(["Head", "Component", .. Column.Under("Margin lost when set to 0", "All runs", "q", "Picture", "Text"), .. Means],
            [.. d.Inside.SelectMany(head => head.Ranked.Select(c => new[]
            {
                $"{head.Layer}.{head.Head}", $"{c.Component}", Numbers.Interval(c.Effect.All, 3), Numbers.P(c.Test.Q),
                    Numbers.Of(c.Effect.Vision.Mean, 3), Numbers.Of(c.Effect.Text.Mean, 3),
                Numbers.Of(c.AtInstruction.Vision.Mean, 3), Numbers.Of(c.AtInstruction.Text.Mean, 3), Numbers.Of(c.AtLast.Vision.Mean, 3),
                Numbers.Of(c.AtLast.Text.Mean, 3),
            }))],
            $"The numbers of the most necessary heads' outputs, set to 0 one at a time on the ranking set's first conflicts (margin in "
                + $"logits), the strongest of each; means: their values when told to trust the picture and the text. Of the sum of all "
                + $"magnitudes the strongest quarter holds "
                + $"{string.Join(", ", d.Inside.Select(h =>
                    string.Create(CultureInfo.InvariantCulture,
                        $"{h.ShareOfQuarter * 100:0} % in {h.Layer}.{h.Head} ({Plural.Of(h.Size, "number")})")))}; "
            + "a quarter where all do the same. The basis is the model's own and no privileged one.",
            numeric: [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    public static void Edges(HtmlPage page, Diagnosis d) => page.FoldedTable("Which head reads which part",
        ["Head", "Edge", .. Column.Under("Margin lost when cut", "All runs", "q", "Picture", "Text", "Estimate")],
        [.. d.HeadEdges.Ranked.Select(e => new[]
        {
            $"{e.Layer}.{e.Head}", DiagnosisFigures.Arrow(e.Edge), Numbers.Interval(e.Effect.All, 3), Numbers.P(e.Test.Q),
                Numbers.Of(e.Effect.Vision.Mean, 3), Numbers.Of(e.Effect.Text.Mean, 3), Numbers.Of(e.Estimate, 3),
        })],
        "The edges with the strongest estimates, each cut in one head alone on the ranking set's first conflicts (margin in logits). "
            + "Spearman correlation of effect and estimate over these: "
            + $"{d.HeadEdges.Correlation.ToString("0.00", CultureInfo.InvariantCulture)}. Estimates miss a head that reads nothing but the "
            + "part that is cut. Estimates of every edge and head: diagnosis.json.",
        numeric: [2, 3, 4, 5, 6]);
}
