namespace AnchorScope.Engines;

/// <summary>
/// Runs sequences in shared passes. One step is one pass with a row of every sequence that decodes, and with pieces of prompts.
/// </summary>
public static class SequenceBatch
{
    /// <summary>Advances every sequence that has not ended by one step, as far as the number of rows allows.</summary>
    /// <param name="session">The session that computes them.</param>
    /// <param name="sequences">Their prompts are given rows in this order. Sequences that decode always get their row.</param>
    /// <param name="rows">Maximum number of rows of the pass. Sequences that decode are counted first; a prompt that does not fit is
    /// processed in pieces.</param>
    /// <returns>Number of rows of the pass; 0 if all sequences have ended.</returns>
    public static int Step(ISession session, IReadOnlyList<Sequence> sequences, int rows = int.MaxValue)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        var left = rows;
        for (var i = 0; i < sequences.Count; i++)
        {
            if (sequences[i] is { Finished: null, IsDecoding: true }) left--;
        }
        var (going, next, passed) = (new List<Sequence>(sequences.Count), new List<SequenceRows>(sequences.Count), 0);
        for (var i = 0; i < sequences.Count; i++)
        {
            var sequence = sequences[i];
            if (sequence.Finished is not null || (!sequence.IsDecoding && left <= 0 && going.Count > 0)) continue;
            next.Add(sequence.Next(Math.Max(1, left)));
            going.Add(sequence);
            passed += next[^1].Count;
            if (!sequence.IsDecoding) left -= next[^1].Count;
        }
        if (going.Count > 0) session.Step(next, (i, _, logits) => going[i].Take(logits));
        return passed;
    }
}
