namespace AnchorScope.Tests;

/// <summary>None, one, some and all.</summary>
public sealed class PluralTests
{
    [Theory]
    [InlineData(0, "0 heads", "0 heads carry")]
    [InlineData(1, "1 head", "1 head carries")]
    [InlineData(2, "2 heads", "2 heads carry")]
    public void Counts(int count, string noun, string clause)
    {
        Assert.Equal(noun, Plural.Of(count, "head"));
        Assert.Equal(clause, Plural.Of(count, "head", "carries", "carry"));
    }

    [Theory]
    [InlineData(0, 8, "none of 8 heads")]
    [InlineData(1, 8, "1 of 8 heads")]
    [InlineData(8, 8, "all 8 heads")]
    [InlineData(1, 1, "1 of 1 head")]
    [InlineData(0, 1, "none of 1 head")]
    public void Shares(int count, int of, string expected) => Assert.Equal(expected, Plural.OutOf(count, of, "head"));

    [Theory]
    [InlineData(0, "none")]
    [InlineData(3, "3")]
    public void Few(int count, string expected) => Assert.Equal(expected, Plural.Few(count));
}
