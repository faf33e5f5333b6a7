namespace AnchorScope.Engines;

/// <summary>Sequences that share passes: a step is one pass of a row of every sequence that decodes, and of pieces of prompts.</summary>
public static class SequenceBatch
{
    /// <summary>Takes every sequence that has not ended one step on, as far as the rows go.</summary>
    /// <param name="session">Where they are computed.</param>
    /// <param name="sequences">In the order in which their prompts get rows; those that decode always have theirs.</param>
    /// <param name="rows">Rows of the pass at most; a prompt that does not fit goes through in pieces. Sequences that decode are counted first.</param>
    /// <returns>Rows of the pass; 0 where all sequences have ended.</returns>
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
