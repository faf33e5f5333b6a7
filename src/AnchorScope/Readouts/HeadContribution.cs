using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Readouts;

/// <summary>
/// Direct logit attribution: the contribution of each head's output to the margin of two tokens through final norm and head only.
/// </summary>
public static class HeadContribution
{
    /// <summary>
    /// c_h . (w_a - w_b) for every head [layer x head], with c_h = W_O[:, h] z_h and the scale of the final norm fixed at its value in this
    /// run.
    /// </summary>
    /// <param name="trace">Contains <see cref="Site.HeadOut"/> at the position.</param>
    /// <param name="row">Row of the trace with that position.</param>
    /// <param name="final">Residual stream after the last layer at the same position [d_model].</param>
    public static float[] ToMargin(VisionLanguageModel model, Trace trace, int row, ReadOnlySpan<float> final, int tokenA, int tokenB)
    {
        var shape = model.Engine.Shape;
        var direction = model.MarginDirection(final, tokenA, tokenB);                  // [d_model]
        var contributions = new float[shape.Layers * shape.Heads];
        var width = shape.Width(Site.HeadOut);
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var through = model.ThroughOutput(layer, direction);                         // [head x d_head]
            var z = trace[Site.HeadOut, layer].AsSpan(row * width, width);
            for (var head = 0; head < shape.Heads; head++)
            {
                var sum = 0.0;
                for (var i = head * shape.HeadSize; i < (head + 1) * shape.HeadSize; i++) sum += through[i] * z[i];
                contributions[layer * shape.Heads + head] = (float)sum;
            }
        }
        return contributions;
    }
}
