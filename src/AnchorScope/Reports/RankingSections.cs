using System.Globalization;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>The parts of a report about what is smaller than heads: neurons, and edges in one head alone.</summary>
internal static class RankingSections
{
    public static void Neurons(HtmlPage page, Diagnosis d)
    {
        page.Heading(3, "Neurons before, among and after the necessary heads");
        page.Table(["Place", "Neuron", "Margin lost when silenced", "q", "Picture", "Text", "Estimate", "At the instruction: picture",
            "text", "At the last position: picture", "text"],
            [.. d.Neurons.Ranked.Select(n => new[]
            {
                Variants.NameOf(n.Place), $"{n.Layer}.{n.Neuron}", Numbers.Interval(n.Effect.All, 3), Numbers.P(n.Test.Q),
                    Numbers.Of(n.Effect.Vision.Mean, 3), Numbers.Of(n.Effect.Text.Mean, 3), Numbers.Of(n.Estimate, 3),
                Numbers.Of(n.AtInstruction.Vision.Mean, 3), Numbers.Of(n.AtInstruction.Text.Mean, 3), Numbers.Of(n.AtLast.Vision.Mean, 3), Numbers.Of(n.AtLast.Text.Mean, 3),
            })],
            $"MLP neurons (layer.neuron) of {d.Neurons.Total}: of each place the strongest by the estimate from derivatives, then set to 0 one at a time on the ranking set's first conflicts (margin in logits). The MLP of a layer reads what that layer's attention has written, so with necessary heads in layers {d.Neurons.FirstLayer} to {d.Neurons.LastLayer} "
            + $"a neuron stands before all of them, among them, or after all. Last columns: mean activation when told to trust the picture and the text. Spearman correlation of effect and estimate over these: {d.Neurons.Correlation.ToString("0.00", CultureInfo.InvariantCulture)}.",
            numeric: [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    /// <summary>What the most necessary heads are made of.</summary>
    public static void Inside(HtmlPage page, Diagnosis d)
    {
        page.Heading(3, "Inside the necessary heads");
        page.Table(["Head", "Component", "Margin lost when set to 0", "q", "Picture", "Text", "At the instruction: picture", "text",
            "At the last position: picture", "text"],
            [.. d.Inside.SelectMany(head => head.Ranked.Select(c => new[]
            {
                $"{head.Layer}.{head.Head}", $"{c.Component}", Numbers.Interval(c.Effect.All, 3), Numbers.P(c.Test.Q),
                    Numbers.Of(c.Effect.Vision.Mean, 3), Numbers.Of(c.Effect.Text.Mean, 3),
                Numbers.Of(c.AtInstruction.Vision.Mean, 3), Numbers.Of(c.AtInstruction.Text.Mean, 3), Numbers.Of(c.AtLast.Vision.Mean, 3), Numbers.Of(c.AtLast.Text.Mean, 3),
            }))],
            $"The numbers of the most necessary heads' outputs, set to 0 one at a time on the ranking set's first conflicts (margin in logits), the strongest of each; last columns: their mean values. Of the sum of all magnitudes the strongest quarter holds {string.Join(", ", d.Inside.Select(h => $"{(h.ShareOfQuarter * 100).ToString("0", CultureInfo.InvariantCulture)} % in {h.Layer}.{h.Head} ({h.Size} numbers)"))}; "
            + "a quarter where all do the same. The basis is the model's own and no privileged one.",
            numeric: [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    public static void Edges(HtmlPage page, Diagnosis d) => page.Details("Which head reads which part", p => p.Table(
        ["Head", "Edge", "Margin lost when cut", "q", "Picture", "Text", "Estimate"],
        [.. d.HeadEdges.Ranked.Select(e => new[]
        {
            $"{e.Layer}.{e.Head}", DiagnosisFigures.Arrow(e.Edge), Numbers.Interval(e.Effect.All, 3), Numbers.P(e.Test.Q),
                Numbers.Of(e.Effect.Vision.Mean, 3), Numbers.Of(e.Effect.Text.Mean, 3), Numbers.Of(e.Estimate, 3),
        })],
        $"The edges with the strongest estimates, each cut in one head alone on the ranking set's first conflicts (margin in logits). Spearman correlation of effect and estimate over these: {d.HeadEdges.Correlation.ToString("0.00", CultureInfo.InvariantCulture)}. Estimates miss a head that reads nothing but the part that is cut. Estimates of every edge and head: diagnosis.json.",
        numeric: [2, 3, 4, 5, 6]));
}
