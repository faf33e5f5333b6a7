using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Readouts;

/// <summary>A token read by the logit lens.</summary>
/// <param name="Token">Id of the token.</param>
/// <param name="Probability">Softmax over the vocabulary.</param>
public readonly record struct LensToken(int Token, double Probability);

/// <summary>The logit lens: the model's own final norm and head, applied to the residual stream after any layer.</summary>
public static class LogitLens
{
    /// <summary>
    /// Logits [row, vocabulary] of residual rows [row, d_model]. With the final norm, those of the last layer are the model's output.
    /// </summary>
    public static float[] Logits(ISession session, ReadOnlySpan<float> resid, bool finalNorm = true) => session.Unembed(resid, finalNorm);

    /// <summary>The likeliest tokens at one position, likeliest first.</summary>
    /// <param name="session">A session of the traced model.</param>
    /// <param name="trace">Contains <see cref="Site.ResidPost"/> at the position.</param>
    /// <param name="layer">The residual stream after this layer is read.</param>
    /// <param name="position">Position in the prompt.</param>
    /// <param name="count">Number of tokens.</param>
    public static IReadOnlyList<LensToken> Top(ISession session, Trace trace, int layer, int position, int count = 5)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        var logits = Logits(session, trace.Row(Site.ResidPost, layer, position));
        var largest = logits.Max();
        var sum = logits.Sum(l => Math.Exp((double)l - largest));
        return
        [
            .. Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(count)
                .Select(i => new LensToken(i, Math.Exp((double)logits[i] - largest) / sum)),
        ];
    }
}
