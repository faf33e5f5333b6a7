using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Readouts;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Readouts;

/// <summary>Direct contributions of heads, embedding and MLPs to a margin add up to the margin.</summary>
public sealed class HeadContributionTests
{
    private const int A = 5, B = 40;

    [Theory]
    [InlineData("llava15")]
    [InlineData("llava15-gqa-f16-sharded")]
    public void AllThatIsWritten_AddsUpToTheMargin(string name)
    {
        using var tiny = Tiny.Open(name);
        var (shape, last) = (tiny.Decoder.Shape, tiny.Prompt.Length - 1);
        var trace = new Trace([Site.HeadOut, Site.MlpOut, Site.ResidPost], [last - 3, last]);
        var logits = tiny.Alone(Intervention.None, trace)[^tiny.Decoder.VocabularySize..];
        var final = Row(Site.ResidPost, shape.Layers - 1);
        var direction = tiny.Decoder.MarginDirection(final, A, B);
        double Along(ReadOnlySpan<float> written)
        {
            var sum = 0.0;
            for (var i = 0; i < written.Length; i++) sum += (double)written[i] * direction[i];
            return sum;
        }
        ReadOnlySpan<float> Row(Site site, int layer) => trace[site, layer].AsSpan(shape.ModelSize, shape.ModelSize);
        var heads = HeadContribution.ToMargin(tiny.Model, trace, 1, final, A, B);
        Assert.Equal(shape.Layers * shape.Heads, heads.Length);
        var rest = Along(tiny.Prompt.Embeddings.AsSpan(last * shape.ModelSize, shape.ModelSize));
        for (var layer = 0; layer < shape.Layers; layer++) rest += Along(Row(Site.MlpOut, layer));
        var margin = (double)logits[A] - logits[B];
        Assert.Equal(margin, Along(final), 1e-4);
        Assert.Equal(margin, rest + heads.Sum(h => (double)h), 1e-4);
        Assert.True(Math.Abs(heads.Sum(h => (double)h)) > 1e-2);
        // Another token of the two: the same with the other sign.
        Assert.Equal(heads.Select(h => -h), HeadContribution.ToMargin(tiny.Model, trace, 1, final, B, A));
    }
}
