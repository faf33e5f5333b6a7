using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>
/// Estimates how much exchanging the queries of each head would lower the margin, for all heads at once, from a few backward passes:
/// integrated gradients along the straight path from the receiver's queries to the donor's. All heads move together, so that heads which
/// can replace each other share their effect.
/// </summary>
internal static class InterchangeAttribution
{
    /// <summary>Number of points on the path, at the midpoints of equal steps.</summary>
    public const int Steps = 5;

    /// <summary>Estimated fall of the margin of <paramref name="own"/> over <paramref name="other"/> by head [layer x head].</summary>
    /// <param name="receiver">The recorded run, with <see cref="Site.QueryProj"/> at the receiver's positions.</param>
    /// <param name="donor">The donor's queries at its positions.</param>
    /// <param name="steps">Number of points on the path. With more points, the sum over all heads is closer to the exact effect of
    /// exchanging all of them.</param>
    public static float[] Of(ISession session, IRecordedRun receiver, Trace donor, AlignedPositions at, int own,
        int other, int steps = Steps)
    {
        var (shape, width) = (session.Engine.Shape, session.Engine.Shape.Width(Site.QueryProj));
        var differences = Enumerable.Range(0, shape.Layers).Select(
            layer => Difference(receiver.Trace![Site.QueryProj, layer], donor[Site.QueryProj, layer], at, donor.Positions!, width))
            .ToList();
        var derivatives = Enumerable.Range(0, steps).Select(_ => Trace.ForGradients([Site.QueryProj], at.Receiver)).ToList();
        session.Differentiate(
            [
                .. derivatives.Select(
                    (derivative, step) => new GradientPlan(receiver.Prompt,
                        Exchanged(shape, receiver.Trace!, differences, at, (step + 0.5f) / steps), derivative)
                    {
                        Position = at.Receiver[0], Past = receiver,
                    }),
            ],
            LossGradient.Margin(own, other));
        var falls = new float[shape.Layers * shape.Heads];
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            for (var head = 0; head < shape.Heads; head++)
            {
                var sum = 0.0;
                foreach (var derivative in derivatives)
                {
                    for (var row = 0; row < at.Receiver.Count; row++)
                    {
                        for (var k = row * width + head * shape.HeadSize; k < row * width + (head + 1) * shape.HeadSize; k++)
                            sum += (double)differences[layer][k] * derivative[Site.QueryProj, layer][k];
                    }
                }
                falls[layer * shape.Heads + head] = (float)(-sum / steps);
            }
        }
        return falls;
    }

    private static float[] Difference(float[] receiver, float[] donor, AlignedPositions at, IReadOnlyList<int> donorPositions, int width)
    {
        var difference = new float[at.Receiver.Count * width];
        for (var row = 0; row < at.Receiver.Count; row++)
        {
            var from = donorPositions.ToList().IndexOf(at.Donor[row]) * width;
            for (var k = 0; k < width; k++) difference[row * width + k] = donor[from + k] - receiver[row * width + k];
        }
        return difference;
    }

    private static Intervention Exchanged(
        DecoderShape shape, Trace receiver, List<float[]> differences, AlignedPositions at, float share) =>
        new($"queries {share}", [.. Enumerable.Range(0, shape.Layers).Select(layer => new Edit(Site.QueryProj, layer, Operation.Set)
        {
            Positions = Positions.Of(at.Receiver),
            Rows = new DonorRows([.. receiver[Site.QueryProj, layer].Zip(differences[layer], (q, d) => q + share * d)], at.Receiver.Count),
        })]);
}
