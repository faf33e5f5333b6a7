using AnchorScope.Engines;
using AnchorScope.Metrics;
using AnchorScope.Prompts;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies.Interchange;

/// <summary>Which position of the donor corresponds to which position of the recipient.</summary>
public sealed class HeadInterchangeTests
{
    private static readonly SpanKind[] Kinds = [SpanKind.Suffix, SpanKind.Question];

    private static Prompt With(int[] question, int[] suffix) => new(
        new int[20], [], [], new Dictionary<SpanKind, int[]> { [SpanKind.Question] = question, [SpanKind.Suffix] = suffix }, "");

    [Theory]
    [InlineData(SpanAlignment.Equal)]
    [InlineData(SpanAlignment.End)]
    public void EqualSpans_AreMatchedInOrder(SpanAlignment alignment)
    {
        var at = HeadInterchange.Align(With([3, 4, 5], [8, 9]), With([4, 5, 6], [11, 12]), Kinds, alignment)!;
        Assert.Equal([3, 4, 5, 8, 9], at.Receiver);
        Assert.Equal([4, 5, 6, 11, 12], at.Donor);
    }

    [Fact]
    public void UnequalSpans_AreMatchedFromTheirEnds_OrNotAtAll()
    {
        var (receiver, donor) = (With([3, 4, 5], [8]), With([4, 5], [11]));
        Assert.Null(HeadInterchange.Align(receiver, donor, Kinds, SpanAlignment.Equal));
        var at = HeadInterchange.Align(receiver, donor, Kinds, SpanAlignment.End)!;
        Assert.Equal([4, 5, 8], at.Receiver);
        Assert.Equal([4, 5, 11], at.Donor);
        Assert.Equal([3, 4, 8], HeadInterchange.Align(donor, With([2, 3, 4], [8]), Kinds, SpanAlignment.End)!.Donor);
    }
}
