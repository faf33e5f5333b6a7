using AnchorScope.Conflicts;

namespace AnchorScope.Tests.Conflicts;

public sealed class AnswerMatchTests
{
    [Theory]
    [InlineData("red", Verdict.Following)]
    [InlineData("The answer is RED.", Verdict.Following)]
    [InlineData("réd", Verdict.Following)]
    [InlineData("re\u0301d", Verdict.Following)]
    [InlineData("ｒｅｄ", Verdict.Following)]
    [InlineData("它是红色的", Verdict.Following)]
    [InlineData("colored", Verdict.Neither)]
    [InlineData("red or blue", Verdict.Neither)]
    [InlineData("It is the navy blue one", Verdict.Competing)]
    [InlineData("navy", Verdict.Neither)]
    [InlineData("2", Verdict.Competing)]
    [InlineData("two!", Verdict.Competing)]
    [InlineData("", Verdict.Neither)]
    [InlineData("\uD800", Verdict.Neither)]
    public void Judge_ComparesWholeWords(string text, object expectedGiven)
    {
        var expected = (Verdict)expectedGiven;
        var sample = new ConflictSample
        {
            Id = "s", Question = "q", Instructions = new Dictionary<Modality, string> { [Modality.Vision] = "v" },
            Answers = new Dictionary<Modality, IReadOnlyList<string>>
                { [Modality.Vision] = ["red", "红色"], [Modality.Text] = ["blue", "two"] },
        };
        Assert.Equal(expected, AnswerMatch.Judge(text, new ConflictRun(sample, Modality.Vision)));
    }
}
