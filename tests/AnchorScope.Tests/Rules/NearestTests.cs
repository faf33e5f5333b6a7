namespace AnchorScope.Tests.Rules;

/// <summary>For a misspelt name, the intended name is suggested, and nothing far-fetched.</summary>
public sealed class NearestTests
{
    [Theory]
    [InlineData("qestion", "question")]
    [InlineData("quesiton", "question")]
    [InlineData("Question", "question")]
    [InlineData("anwers", "answers")]
    [InlineData("sead", "seed")]
    [InlineData("picture", null)]
    [InlineData("x", null)]
    [InlineData("", null)]
    public void TheNearestIsFound(string found, string? expected) =>
        Assert.Equal(expected, Nearest.Of(found, ["question", "answers", "seed", "instructions"]));
}
