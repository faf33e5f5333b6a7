using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Training;

/// <summary>The gradient with respect to each site, compared with runs in which the site is changed a little.</summary>
public sealed class SiteGradientTests
{
    private const int Token = 5, Other = 9;

    public static TheoryData<Site, string, string> Sites
    {
        get
        {
            var all = new TheoryData<Site, string, string>();
            // There is no gradient with respect to attention probabilities: Trace.ForGradients.
            foreach (var site in Enum.GetValues<Site>().Where(site => site != Site.AttnPattern))
            {
                all.Add(site, "llava15-gqa-f16-sharded", "one_image");
                all.Add(site, "qwen25vl", "one_image_nonsquare");
            }
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Sites))]
    public void TheGradient_IsTheSlopeOfSmallEdits(Site site, string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var gradient = Trace.ForGradients([site]);
        tiny.Session.Differentiate([new GradientPlan(tiny.Prompt, Intervention.None, gradient)], LossGradient.Margin(Token, Other));
        double Margin(Edit edit)
        {
            var logits = tiny.LastAlone(new Intervention("a step", edit));
            return (double)logits[Token] - logits[Other];
        }
        for (var layer = 0; layer < tiny.Decoder.Shape.Layers; layer++)
        {
            var ways = Ways(tiny, site, layer, gradient[site, layer]);
            var largest = ways.Max(way => Math.Abs(way.Slope));
            Assert.True(largest > 1e-3, $"layer {layer}: {largest}");
            foreach (var (slope, edit) in ways)
            {
                // Changes the margin by about .002: float32 rounds that to about a ten-thousandth of itself, and far larger steps bend.
                var step = (float)(0.002 / largest);
                double Across(float by) => (Margin(edit with { Factor = by }) - Margin(edit with { Factor = -by })) / (2 * by);
                Assert.Equal((4 * Across(step) - Across(2 * step)) / 3, slope, 5e-3 * largest);
            }
        }
    }

    [Fact]
    public void AttentionProbabilities_HaveNone() => Assert.Contains("record AttnScores",
        Assert.Throws<ArgumentException>(() => Trace.ForGradients([Site.AttnPattern])).Message, StringComparison.Ordinal);

    /// <summary>
    /// Directions in which the values change, with the slope that the gradient gives: for scores one in each head, elsewhere along the
    /// gradient at the last positions and a little across.
    /// </summary>
    private static List<(double Slope, Edit Edit)> Ways(Tiny tiny, Site site, int layer, float[] gradient)
    {
        var (shape, length) = (tiny.Decoder.Shape, tiny.Prompt.Length);
        int[] at = [.. Enumerable.Range(length - 4, 4)], keys = [1, 3, length - 4];
        var edit = new Edit(site, layer, Operation.Add) { Positions = Positions.Of(at) };
        if (site == Site.AttnScores)
        {
            return [.. Enumerable.Range(0, shape.Heads).Select(head => (
                at.Sum(query => keys.Sum(key => (double)gradient[(head * length + query) * length + key])),
                edit with { Heads = [head], Keys = Positions.Of(keys) }))];
        }
        var random = new Random(3);
        var slope = gradient[(at[0] * shape.Width(site))..];
        var size = Math.Sqrt(slope.Sum(d => (double)d * d));
        var way = slope.Select(d => (float)(d / size + 0.3 * (random.NextDouble() - 0.5) / Math.Sqrt(slope.Length))).ToArray();
        return [(slope.Zip(way, (a, b) => (double)a * b).Sum(), edit with { Rows = new DonorRows(way, at.Length) })];
    }
}
