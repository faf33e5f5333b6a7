namespace AnchorScope.Engines;

/// <summary>Detects logits that are infinite or NaN, for which neither probabilities nor an arg-max are defined.</summary>
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

    /// <summary>Throws if a logit is not finite.</summary>
    /// <param name="condition">Name of the run's intervention, for the message.</param>
    /// <exception cref="InputException">A logit is infinite or NaN.</exception>
    public static void Check(ReadOnlySpan<float> logits, string condition)
    {
        if (!IsFinite(logits))
            throw new InputException(
                $"{condition}: a logit is not finite: the weights or the intervention exceed the range of float32");
    }
}
