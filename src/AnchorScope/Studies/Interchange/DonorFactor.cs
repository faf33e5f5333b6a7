namespace AnchorScope.Studies;

/// <summary>The factor in which a donor run differs from the run that receives its activations.</summary>
internal enum DonorFactor
{
    /// <summary>The instruction names the other modality; picture, note and question are the same.</summary>
    Instruction,

    /// <summary>Another phrasing of the same instruction, which asks for the same answer.</summary>
    Phrasing,

    /// <summary>Another question.</summary>
    Question,

    /// <summary>Another picture.</summary>
    Picture,

    /// <summary>Another note.</summary>
    Note,

    /// <summary>
    /// The other instruction and another picture and note. The answer then distinguishes a transferred choice from transferred content.
    /// </summary>
    Crossed,
}

/// <summary>Positions of the receiver and the corresponding positions of the donor, in the same order.</summary>
public sealed record AlignedPositions
{
    /// <param name="receiver">Positions of the receiver's run, each once, in any order.</param>
    /// <param name="donor">The corresponding positions of the donor's run.</param>
    /// <exception cref="InputException">The lists differ in length, or a receiver's position appears twice.</exception>
    public AlignedPositions(IReadOnlyList<int> receiver, IReadOnlyList<int> donor)
    {
        if (receiver.Count != donor.Count)
            throw new InputException(
                $"aligned positions: expected as many of the donor as of the receiver, {receiver.Count}, found {donor.Count}");
        if (receiver.Distinct().Count() < receiver.Count)
            throw new InputException("aligned positions: expected each position of the receiver once, found one twice");
        // Edits have sorted positions, and their rows in that order.
        var pairs = receiver.Zip(donor).OrderBy(pair => pair.First).ToList();
        (Receiver, Donor) = ([.. pairs.Select(pair => pair.First)], [.. pairs.Select(pair => pair.Second)]);
    }

    /// <summary>Positions of the receiver's run, sorted.</summary>
    public IReadOnlyList<int> Receiver { get; }

    /// <summary>The corresponding positions of the donor's run.</summary>
    public IReadOnlyList<int> Donor { get; }

    /// <summary>The pairs whose receiver position satisfies a condition.</summary>
    public AlignedPositions Where(Func<int, bool> receiver) => new(
        [.. Receiver.Where(receiver)], [.. Donor.Where((_, i) => receiver(Receiver[i]))]);
}
