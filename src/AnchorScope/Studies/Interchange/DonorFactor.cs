namespace AnchorScope.Studies;

/// <summary>In what a donor run differs from the run that receives its activations.</summary>
internal enum DonorFactor
{
    /// <summary>The instruction names the other modality; picture, note and question are the same.</summary>
    Instruction,

    /// <summary>Another phrasing of the same instruction; the same answer is asked for.</summary>
    Phrasing,

    /// <summary>Another question.</summary>
    Question,

    /// <summary>Another picture.</summary>
    Picture,

    /// <summary>Another note.</summary>
    Note,

    /// <summary>The other instruction and another picture and note: the answer given tells the choice from the content.</summary>
    Crossed,
}

/// <summary>Positions of the receiver and, one for one, those of the donor.</summary>
public sealed record AlignedPositions(int[] Receiver, int[] Donor)
{
    /// <summary>Those whose position in the receiver is one of some.</summary>
    public AlignedPositions Where(Func<int, bool> receiver) => new(
        [.. Receiver.Where(receiver)], [.. Donor.Where((_, i) => receiver(Receiver[i]))]);
}
