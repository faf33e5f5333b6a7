namespace AnchorScope.Prompts.Tokenization;

/// <summary>What happens to the delimiters when text is split at them.</summary>
internal enum Cut
{
    /// <summary>They are dropped.</summary>
    Removed,

    /// <summary>Each is a separate piece.</summary>
    Isolated,

    /// <summary>Each ends the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>Each begins the piece after it.</summary>
    MergedWithNext,

    /// <summary>Adjacent ones are one piece.</summary>
    Contiguous,
}

/// <summary>Splits text at delimiters. No piece is empty.</summary>
internal static class Cutting
{
    /// <param name="piece">The text to split.</param>
    /// <param name="matches">Ranges in ascending order, disjoint; an empty one only splits.</param>
    /// <param name="cut">What happens to the delimiters.</param>
    /// <param name="invert">Whether the delimiters are the ranges between the matches.</param>
    public static IEnumerable<AlignedText> Apply(AlignedText piece, IEnumerable<(int Start, int Length)> matches, Cut cut, bool invert)
    {
        var (start, end) = (0, 0); // the piece that is still growing
        var previousWasDelimiter = false;
        foreach (var (from, length, isDelimiter) in Alternate(matches, piece.Length, invert))
        {
            var joins = cut switch
            {
                Cut.MergedWithPrevious => isDelimiter && !previousWasDelimiter,
                Cut.MergedWithNext => previousWasDelimiter && !isDelimiter,
                Cut.Contiguous => isDelimiter == previousWasDelimiter,
                _ => false,
            };
            if (!joins)
            {
                if (end > start) yield return piece.Slice(start, end - start);
                start = from;
            }
            end = from + length;
            if (cut == Cut.Removed && isDelimiter) start = end;
            previousWasDelimiter = isDelimiter;
        }
        if (end > start) yield return piece.Slice(start, end - start);
    }

    private static IEnumerable<(int From, int Length, bool IsDelimiter)> Alternate(
        IEnumerable<(int Start, int Length)> matches, int length, bool invert)
    {
        var from = 0;
        foreach (var match in matches)
        {
            if (match.Start > from) yield return (from, match.Start - from, invert);
            yield return (match.Start, match.Length, !invert);
            from = match.Start + match.Length;
        }
        if (from < length) yield return (from, length - from, invert);
    }
}
