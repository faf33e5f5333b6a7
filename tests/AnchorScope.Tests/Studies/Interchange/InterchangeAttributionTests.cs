using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Studies;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies.Interchange;

/// <summary>Estimates of query exchanges against differences of whole runs.</summary>
public sealed class InterchangeAttributionTests
{
    private const int Own = 5, Other = 9;

    /// <summary>
    /// A single step is taken at the middle of the path: there the gradient equals that of the margin when all heads are exchanged
    /// together.
    /// </summary>
    [Theory]
    [InlineData("llava15", "one_image")]
    [InlineData("llava15-gqa-f16-sharded", "one_image")]
    public void OneStep_IsTheSlopeAtTheMiddleOfTheWay(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (shape, last) = (tiny.Decoder.Shape, tiny.Prompt.Length - 1);
        int[] positions = [last - 3, last - 1, last], tokens = [.. tiny.Prompt.Tokens];
        for (var i = last - 3; i < last; i++) tokens[i] += 7;
        var otherPrompt = tiny.Model.Prompt(tokens, tiny.Pixels, tiny.Session.Features(tiny.Pixels!));
        using var receiver = tiny.Session.Record(tiny.Prompt, new RecordOptions { Sites = [Site.QueryProj], Positions = [.. positions] });
        using var donor = tiny.Session.Record(otherPrompt, new RecordOptions { Sites = [Site.QueryProj], Positions = [.. positions] });
        double Margin(float share)
        {
            var logits = tiny.LastAlone(new Intervention("on the way", [.. Enumerable.Range(0, shape.Layers).Select(layer =>
                new Edit(Site.QueryProj, layer, Operation.Set)
                {
                    Positions = Positions.Of(positions),
                    Rows = new DonorRows([.. receiver.Trace![Site.QueryProj, layer].Zip(donor.Trace![Site.QueryProj, layer],
                        (from, to) => from + share * (to - from))], positions.Length),
                })]));
            return (double)logits[Own] - logits[Other];
        }
        double Across(float at, float step) => (Margin(at + step) - Margin(at - step)) / (2 * step);
        double Slope(float at) => (4 * Across(at, 1f / 64) - Across(at, 1f / 32)) / 3;
        var falls = InterchangeAttribution.Of(tiny.Session, receiver, donor.Trace!,
            new AlignedPositions(positions, positions), Own, Other, steps: 1);
        Assert.Equal(-Slope(0.5f), falls.Sum(f => (double)f), 0.01 * Math.Abs(Slope(0.5f)));
        // Elsewhere on the path the gradient differs, so this shows where the step was taken.
        Assert.True(Math.Abs(Slope(1) - Slope(0.5f)) > 0.05 * Math.Abs(Slope(0.5f)), $"{Slope(0)} {Slope(0.5f)} {Slope(1)}");
    }
}
