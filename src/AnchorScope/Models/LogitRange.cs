namespace AnchorScope.Models;

/// <summary>Refuses logits that are no numbers: no probability and no arg-max of them means anything.</summary>
public static class LogitRange
{
    /// <param name="condition">What the run carries, for the message.</param>
    /// <exception cref="InputException">A logit is infinite or not a number.</exception>
    public static void Check(ReadOnlySpan<float> logits, string condition)
    {
        foreach (var logit in logits)
        {
            if (!float.IsFinite(logit))
                throw new InputException($"{condition}: a logit is {logit}: the weights, or what was done to a run, go beyond the range of float32");
        }
    }
}
