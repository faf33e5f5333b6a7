namespace AnchorScope.Tests.Rules;

/// <summary>A misspelt name is answered with the one that was meant, and nothing far-fetched.</summary>
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
