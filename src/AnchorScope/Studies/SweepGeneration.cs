using AnchorScope.Engines;

namespace AnchorScope.Studies;

/// <summary>
/// Continues a prompt under many interventions. Positions before a variant's corner share the keys and values of the recorded run. Every
/// step is one pass of all variants that have not ended. Decoding is greedy, with the same tokens as <see cref="Generation"/> gives for
/// each alone.
/// </summary>
public static class SweepGeneration
{
    /// <summary>Generates up to <paramref name="count"/> tokens for each of <paramref name="items"/>.</summary>
    /// <param name="stop">Tokens that end a text and are its last token; null: always <paramref name="count"/> tokens.</param>
    /// <param name="rowsPerPass">Maximum number of prompt rows per pass. A larger variant gets its own pass.</param>
    /// <returns>Token ids [variant][token].</returns>
    /// <exception cref="InputException">An intervention does not fit the model or the prompt, or has no effect.</exception>
    public static IReadOnlyList<IReadOnlyList<int>> Run(
        ISession session, IReadOnlyList<SweepItem> items, int count, IReadOnlySet<int>? stop = null, int rowsPerPass = Sweep.DefaultRows,
        CancellationToken cancel = default)
    {
        foreach (var (recorded, intervention) in items)
            recorded.Prompt.Steered(intervention).Validate(session.Engine.Shape, recorded.Prompt.Length, count - 1);
        var texts = new IReadOnlyList<int>[items.Count];
        foreach (var (first, variants) in Sweep.Passes([.. items.Select(Rows)], rowsPerPass))
        {
            var sequences = new List<Sequence>();
            try
            {
                for (var i = first; i < first + variants; i++)
                {
                    var options = new SequenceOptions(count) { Intervention = items[i].Intervention, Stop = stop ?? new HashSet<int>() };
                    sequences.Add(new Sequence(session, items[i].Recorded.Prompt, options, items[i].Recorded));
                }
                do cancel.ThrowIfCancellationRequested();
                while (SequenceBatch.Step(session, sequences) > 0);
                for (var i = 0; i < variants; i++)
                    texts[first + i] = sequences[i].Error is { } error
                        ? throw new InputException(error.Message, error) : sequences[i].Tokens;
            }
            finally
            {
                foreach (var sequence in sequences) sequence.Dispose();
            }
        }
        return texts;
    }

    /// <summary>Number of prompt positions that are computed. Before them, recorded keys and values are used.</summary>
    private static int Rows(SweepItem item) =>
        item.Recorded.Prompt.Length - Math.Min(item.Intervention.FirstPosition, item.Recorded.Prompt.Length - 1);
}
