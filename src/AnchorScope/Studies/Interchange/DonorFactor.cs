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
public sealed record AlignedPositions(int[] Receiver, int[] Donor)
{
    /// <summary>The pairs whose receiver position satisfies a condition.</summary>
    public AlignedPositions Where(Func<int, bool> receiver) => new(
        [.. Receiver.Where(receiver)], [.. Donor.Where((_, i) => receiver(Receiver[i]))]);
}
