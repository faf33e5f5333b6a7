namespace AnchorScope.Engines;

/// <summary>Tells logits that are no numbers: no probability and no arg-max of them means anything.</summary>
internal static class LogitRange
{
    /// <summary>Whether every logit is a finite number.</summary>
    public static bool IsFinite(ReadOnlySpan<float> logits)
    {
        foreach (var logit in logits)
        {
            if (!float.IsFinite(logit)) return false;
        }
        return true;
    }

    /// <param name="condition">What the run carries, for the message.</param>
    /// <exception cref="InputException">A logit is infinite or not a number.</exception>
    public static void Check(ReadOnlySpan<float> logits, string condition)
    {
        if (!IsFinite(logits))
            throw new InputException($"{condition}: a logit is no finite number: the weights, or what was done to a run, go beyond the range of float32");
    }
}
