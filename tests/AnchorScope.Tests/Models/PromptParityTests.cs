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
        AssertInputs(tiny, tiny.Model, name);
    }

    /// <summary>InternVL's original layout with the template of its text model, which takes strings: the native layout's goldens.</summary>
    [Theory]
    [InlineData("tiled_image")]
    [InlineData("two_images")]
    [InlineData("text_only")]
    public void OriginalLayout_WithATemplateOfStrings_GivesTheSameInputs(string @case)
    {
        using var temp = new TempFolder();
        using var tiny = Tiny.Open("internvl3", @case);
        using var model = VisionLanguageModel.Open(RemoteWithTemplate(temp));
        AssertInputs(tiny, model, "internvl3");
    }

    /// <summary>A copy of the checkpoint in InternVL's original layout, with the chat template of a text model.</summary>
    internal static string RemoteWithTemplate(TempFolder temp)
    {
        const string Template = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
            + "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
        var folder = Directory.CreateDirectory(temp.File("internvl3-remote")).FullName;
        foreach (var file in Directory.GetFiles(Fixtures.Path("internvl3-remote")))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), Template);
        return folder;
    }

    private static void AssertInputs(Tiny tiny, VisionLanguageModel model, string name)
    {
        using var temp = new TempFolder();
        var messages = ChatMessage.LoadAll(
            temp.Write("messages.json", Encoding.UTF8.GetBytes(tiny.Golden.Manifest.GetProperty("messages").GetRawText())));
        Picture[] pictures = [.. tiny.Golden.Manifest.GetProperty("images").EnumerateArray()
            .Select(f => Picture.Load(Fixtures.Path(name, "golden", f.GetString()!)))];
        var pixels = pictures.Length == 0 ? null : model.Preprocess(pictures);
        var prompt = model.Prompt(messages, pixels, pixels is null ? null : model.Engine.On(tiny.Compute).Features(pixels));
        Assert.Equal(tiny.Golden.Manifest.GetProperty("prompt").GetString(), prompt.Rendered);
        Assert.Equal(tiny.Golden.Ints("inputs.input_ids"), prompt.Tokens);
        Assert.Equal(tiny.Prompt.Coordinates, prompt.Coordinates);
        Assert.Equal(tiny.Golden.ImagePositions, prompt.Span(SpanKind.Image));
        if (pixels is null) return;
        Assert.Equal(tiny.Golden.Shape("inputs.pixel_values"), pixels.Shape);
        Close.AssertAbsolute("pixel_values", tiny.Golden.Singles("inputs.pixel_values"), pixels.Values, 1e-5);
        Assert.Equal(tiny.Golden.ImagePositions.Length, pixels.Pictures.Sum(model.ImageTokens));
    }
}
