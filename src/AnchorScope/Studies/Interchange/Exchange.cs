namespace AnchorScope.Studies;

/// <summary>A subset of the aligned positions, at which activations are exchanged.</summary>
internal enum ExchangeScope
{
    /// <summary>All of them.</summary>
    Whole,

    /// <summary>Those of the instruction.</summary>
    Instruction,

    /// <summary>Those after the instruction.</summary>
    Behind,
}

/// <summary>A set of heads (or the MLPs of some layers) that receives a donor's values.</summary>
/// <param name="Factor">The factor in which the donor differs.</param>
/// <param name="What">What is exchanged.</param>
/// <param name="Heads">The heads; for <see cref="HeadContent.Mlp"/> and <see cref="HeadContent.PassedOn"/> the layers, with head 0.</param>
/// <param name="At">The subset of the aligned positions.</param>
internal sealed record Exchange(DonorFactor Factor, HeadContent What, IReadOnlyList<(int Layer, int Head)> Heads,
    ExchangeScope At = ExchangeScope.Whole)
{
    /// <summary>
    /// The name in results.jsonl: "interchange/crossed/z/6.4,7.7", or with a subset of positions
    /// "interchange/instruction/query@behind/3.5".
    /// </summary>
    public string Condition { get; } =
        $"interchange/{EnumName.Of(Factor)}/{EnumName.Of(What)}{(At == ExchangeScope.Whole ? "" : $"@{EnumName.Of(At)}")}/"
            + string.Join(
                ',', Heads.Order().Select(h => What is HeadContent.Mlp or HeadContent.PassedOn ? $"{h.Layer}" : $"{h.Layer}.{h.Head}"));

    /// <summary>The condition of the donor's own run.</summary>
    public static string DonorRun(DonorFactor factor) => $"donor/{EnumName.Of(factor)}";

    /// <summary>The condition of the receiver without exchange, which includes its logit of the donor's answer.</summary>
    public static string Receiver(DonorFactor factor) => $"receiver/{EnumName.Of(factor)}";
}
