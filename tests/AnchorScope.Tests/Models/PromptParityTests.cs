using System.Text;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>From messages and picture files to token ids, pixel values and coordinates, against the reference's processors.</summary>
public sealed class PromptParityTests
{
    public static TheoryData<string, string> Cases => ParityTests.Own;

    [Theory]
    [MemberData(nameof(Cases))]
    public void MessagesAndPictures_BecomeTheReferencesInputs(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        using var temp = new TempFolder();
        var messages = ChatMessage.LoadAll(temp.Write("messages.json", Encoding.UTF8.GetBytes(tiny.Golden.Manifest.GetProperty("messages").GetRawText())));
        Picture[] pictures = [.. tiny.Golden.Manifest.GetProperty("images").EnumerateArray().Select(f => Picture.Load(Fixtures.Path(name, "golden", f.GetString()!)))];
        var pixels = pictures.Length == 0 ? null : tiny.Model.Preprocess(pictures);
        var prompt = tiny.Model.Prompt(messages, pixels, pixels is null ? null : tiny.Model.Features(pixels, tiny.Compute));
        Assert.Equal(tiny.Golden.Manifest.GetProperty("prompt").GetString(), prompt.Rendered);
        Assert.Equal(tiny.Golden.Ints("inputs.input_ids"), prompt.Tokens);
        Assert.Equal(tiny.Prompt.Coordinates, prompt.Coordinates);
        Assert.Equal(tiny.Golden.ImagePositions, prompt.Span(SpanKind.Image));
        if (pixels is null) return;
        Assert.Equal(tiny.Golden.Shape("inputs.pixel_values"), pixels.Shape);
        Close.AssertAbsolute("pixel_values", tiny.Golden.Singles("inputs.pixel_values"), pixels.Values, 1e-5);
        Assert.Equal(tiny.Golden.ImagePositions.Length, pixels.Pictures.Sum(tiny.Model.ImageTokens));
    }
}
