using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Sequences that share passes: a step is one pass of a row of every sequence that decodes, and of pieces of prompts.</summary>
public static class SequenceBatch
{
    /// <summary>Takes every sequence that has not ended one step on, as far as the rows go.</summary>
    /// <param name="sequences">In the order in which their prompts get rows; those that decode always have theirs.</param>
    /// <param name="rows">Rows of the pass at most; a prompt that does not fit goes through in pieces. Sequences that decode are counted first.</param>
    /// <returns>Rows of the pass; 0 where all sequences have ended.</returns>
    public static int Step(Decoder decoder, IReadOnlyList<Sequence> sequences, Compute compute, int rows = int.MaxValue)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        var mark = compute.Arena.Here();
        var left = rows;
        for (var i = 0; i < sequences.Count; i++)
        {
            if (sequences[i] is { Finished: null, IsDecoding: true }) left--;
        }
        var runs = new List<Run>(sequences.Count);
        for (var i = 0; i < sequences.Count; i++)
        {
            if (sequences[i].Finished is not null) continue;
            if (sequences[i].IsDecoding) runs.Add(sequences[i].Next(1, compute.Arena));
            else if (left > 0 || runs.Count == 0)
            {
                runs.Add(sequences[i].Next(Math.Max(1, left), compute.Arena));
                left -= runs[^1].Count;
            }
        }
        if (runs.Count == 0) return 0;
        var pass = new Pass(decoder.Shape, runs, compute);
        Choose(decoder, pass, decoder.ForwardLast(pass));
        compute.Arena.Release(mark);
        return pass.Rows;
    }

    /// <summary>Logits of the runs that end where a token is chosen, each to its sequence.</summary>
    /// <param name="last">Residual stream of the last row of every run.</param>
    private static void Choose(Decoder decoder, Pass pass, Tensor last)
    {
        var awaiting = 0;
        foreach (var run in pass.Runs)
        {
            if (run.Owner!.AwaitsLogits) awaiting++;
        }
        var resid = last;
        if (awaiting < pass.Runs.Count)
        {
            // A piece of a prompt that goes on has nothing to choose.
            resid = pass.Compute.Arena.Take(Math.Max(1, awaiting), last.Columns);
            for (int i = 0, to = 0; i < pass.Runs.Count; i++)
            {
                if (pass.Runs[i].Owner!.AwaitsLogits) last[i].CopyTo(resid[to++]);
            }
        }
        var logits = awaiting > 0 ? decoder.Unembed(resid, pass.Compute) : default;
        for (int i = 0, row = 0; i < pass.Runs.Count; i++)
        {
            var sequence = pass.Runs[i].Owner!;
            sequence.Advance(sequence.AwaitsLogits ? logits[row++] : default);
        }
    }
}
