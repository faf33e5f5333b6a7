namespace AnchorScope.Studies;

/// <summary>A part of the positions at which activations are exchanged.</summary>
internal enum ExchangeScope
{
    /// <summary>All of them.</summary>
    Whole,

    /// <summary>The instruction's.</summary>
    Instruction,

    /// <summary>Those behind it.</summary>
    Behind,
}

/// <summary>A set of heads (or the MLPs of some layers) that is given a donor's values.</summary>
/// <param name="Factor">In what the donor differs.</param>
/// <param name="What">What is exchanged.</param>
/// <param name="Heads">The heads; for <see cref="HeadContent.Mlp"/> and <see cref="HeadContent.PassedOn"/> the layers, with head 0.</param>
/// <param name="At">At which of the aligned positions.</param>
internal sealed record Exchange(DonorFactor Factor, HeadContent What, IReadOnlyList<(int Layer, int Head)> Heads, ExchangeScope At = ExchangeScope.Whole)
{
    /// <summary>Its name in results.jsonl: "interchange/crossed/z/6.4,7.7", or with a place "interchange/instruction/query@behind/3.5".</summary>
    public string Condition { get; } = $"interchange/{EnumName.Of(Factor)}/{EnumName.Of(What)}{(At == ExchangeScope.Whole ? "" : $"@{EnumName.Of(At)}")}/"
        + string.Join(',', Heads.Order().Select(h => What is HeadContent.Mlp or HeadContent.PassedOn ? $"{h.Layer}" : $"{h.Layer}.{h.Head}"));

    /// <summary>The condition of a donor's own run.</summary>
    public static string DonorRun(DonorFactor factor) => $"donor/{EnumName.Of(factor)}";

    /// <summary>The receiver without exchange, with its logit of the donor's answer.</summary>
    public static string Receiver(DonorFactor factor) => $"receiver/{EnumName.Of(factor)}";
}
