namespace AnchorScope.Metrics;

/// <summary>
/// Phi_m(H): how strongly a layer's instruction positions favour an answer, as the mean of the K largest logit-lens values over those
/// positions. TopK aggregation with K = 2 is printed in the paper; norm and reduction over entities are reconstructed.
/// </summary>
internal static class SignalExtraction
{
    /// <summary>Combines the values of an answer's token forms at one position.</summary>
    public static double Reduce(EntityReduction reduction, ReadOnlySpan<double> forms)
    {
        var largest = double.NegativeInfinity;
        var sum = 0.0;
        foreach (var form in forms)
        {
            largest = Math.Max(largest, form);
            sum += form;
        }
        if (reduction == EntityReduction.Max) return largest;
        if (reduction == EntityReduction.Mean) return sum / forms.Length;
        var exponentials = 0.0;
        foreach (var form in forms) exponentials += Math.Exp(form - largest);
        return largest + Math.Log(exponentials);
    }

    /// <summary>
    /// Mean of the K largest values, or of all if there are fewer. The positions are selected separately for each answer.
    /// </summary>
    public static double TopK(ReadOnlySpan<double> positions, int k)
    {
        if (positions.IsEmpty) return double.NaN;
        var sorted = positions.ToArray();
        Array.Sort(sorted);
        var count = Math.Min(k, sorted.Length);
        var sum = 0.0;
        for (var i = 0; i < count; i++) sum += sorted[^(i + 1)];
        return sum / count;
    }
}
