using AnchorScope.Engines;

namespace AnchorScope.Studies;

/// <summary>
/// Continues a prompt under many interventions: what lies before a variant's corner is the recorded run's and shared, and every step is one
/// pass of all variants that have not ended. Greedy, token for token what <see cref="Generation"/> gives for each alone.
/// </summary>
public static class SweepGeneration
{
    /// <summary>Generates up to <paramref name="count"/> tokens for each of <paramref name="items"/>.</summary>
    /// <param name="stop">Tokens that end a text (they are its last); none: always <paramref name="count"/>.</param>
    /// <param name="rowsPerPass">Rows of the prompts that one pass may carry; a larger variant gets a pass of its own.</param>
    /// <returns>Token ids [variant][token].</returns>
    public static IReadOnlyList<IReadOnlyList<int>> Run(
        ISession session, IReadOnlyList<SweepItem> items, int count, IReadOnlySet<int>? stop = null, int rowsPerPass = Sweep.DefaultRows,
        CancellationToken cancel = default)
    {
        foreach (var (recorded, intervention) in items) intervention.Validate(session.Engine.Shape, recorded.Prompt.Length, count - 1);
        var texts = new IReadOnlyList<int>[items.Count];
        foreach (var (first, together) in Sweep.Passes([.. items.Select(Rows)], rowsPerPass))
        {
            var sequences = new List<Sequence>();
            try
            {
                for (var i = first; i < first + together; i++)
                {
                    var options = new SequenceOptions(count) { Intervention = items[i].Intervention, Stop = stop ?? new HashSet<int>() };
                    sequences.Add(new Sequence(session, items[i].Recorded.Prompt, options, items[i].Recorded));
                }
                do cancel.ThrowIfCancellationRequested();
                while (SequenceBatch.Step(session, sequences) > 0);
                for (var i = 0; i < together; i++) texts[first + i] = sequences[i].Tokens;
            }
            finally
            {
                foreach (var sequence in sequences) sequence.Dispose();
            }
        }
        return texts;
    }

    /// <summary>Positions of the prompt that are computed: before them keys and values are the recorded ones.</summary>
    private static int Rows(SweepItem item) => item.Recorded.Prompt.Length - Math.Min(item.Intervention.FirstPosition, item.Recorded.Prompt.Length - 1);
}
