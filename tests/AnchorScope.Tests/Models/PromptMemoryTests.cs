using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Models;

/// <summary>A prompt does not retain the memory in which its picture's features were computed.</summary>
public sealed class PromptMemoryTests
{
    [Fact]
    public void ManyPrompts_TakeTheMemoryOfOne()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Path("llava15"));
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var picture = new Picture(32, 24, new byte[32 * 24 * 3]);
        Prompt Once() =>
            model.Prompt([new ChatMessage("user", [new ImagePart(), new TextPart("what is it ?")])], [picture], model.Engine.On(compute));
        var first = Once();
        var bytes = arena.Bytes;
        for (var i = 0; i < 40; i++) Assert.Equal(first.Embeddings, Once().Embeddings);
        Assert.Equal(bytes, arena.Bytes);
    }
}
