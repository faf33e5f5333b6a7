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
        ArgumentNullException.ThrowIfNull(trace);
        return Top(Logits(session, trace.Row(Site.ResidPost, layer, position)), count);
    }

    /// <summary>The likeliest tokens of some logits [vocabulary], likeliest first; of equal ones, the lower id first.</summary>
    /// <param name="logits">Of a recorded run, a variant of a sweep, or a step of a sequence.</param>
    /// <param name="count">Number of tokens; at most the vocabulary is returned.</param>
    /// <exception cref="InputException">A logit is infinite or NaN.</exception>
    public static IReadOnlyList<LensToken> Top(ReadOnlySpan<float> logits, int count = 5)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        LogitRange.Check(logits, "logits");
        var top = new List<int>(Math.Min(count, logits.Length) + 1);
        var largest = float.NegativeInfinity;
        for (var i = 0; i < logits.Length; i++)
        {
            largest = Math.Max(largest, logits[i]);
            if (top.Count == count && logits[i] <= logits[top[^1]]) continue;
            var place = top.Count;
            while (place > 0 && logits[top[place - 1]] < logits[i]) place--;
            top.Insert(place, i);
            if (top.Count > count) top.RemoveAt(count);
        }
        var sum = Sum(logits, largest);
        var tokens = new LensToken[top.Count];
        for (var i = 0; i < tokens.Length; i++) tokens[i] = new LensToken(top[i], Math.Exp((double)logits[top[i]] - largest) / sum);
        return tokens;
    }

    /// <summary>Softmax probability of one token.</summary>
    /// <param name="logits">Logits [vocabulary].</param>
    public static double Probability(ReadOnlySpan<float> logits, int token)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)token, (uint)logits.Length, nameof(token));
        var largest = float.NegativeInfinity;
        foreach (var logit in logits) largest = Math.Max(largest, logit);
        return Math.Exp((double)logits[token] - largest) / Sum(logits, largest);
    }

    private static double Sum(ReadOnlySpan<float> logits, float largest)
    {
        var sum = 0.0;
        foreach (var logit in logits) sum += Math.Exp((double)logit - largest);
        return sum;
    }
}
