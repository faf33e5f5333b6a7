using System.CommandLine;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Cli;

/// <summary>The options that define the input of a single run.</summary>
internal sealed class PromptOptions
{
    public Option<string?> Inputs { get; } = new("--inputs") { Description =
        "safetensors with input_ids [1, T] and the other outputs of the family's processor", HelpName = "FILE" };

    public Option<string[]> Images { get; } =
        new("--image") { Description = "a picture; may be given several times", HelpName = "FILE", AllowMultipleArgumentsPerToken = true };

    public Option<string?> Text { get; } = new("--prompt")
        { Description = "text of one user message, after the pictures; for a model without chat template, the raw text",
            HelpName = "TEXT" };

    public Option<string?> Messages { get; } =
        new("--messages") { Description = "JSON list of messages in the format of chat templates", HelpName = "FILE" };

    /// <summary>The input files.</summary>
    public IEnumerable<string?> Files(ParseResult parsed) =>
        [parsed.GetValue(Inputs), parsed.GetValue(Messages), .. parsed.GetValue(Images) ?? []];

    /// <summary>The prompt and its pictures. The text of --prompt becomes the instruction. Prints the prompt's warnings.</summary>
    public (Prompt Prompt, PixelValues? Pixels) Read(ParseResult parsed, VisionLanguageModel model, ISession session)
    {
        var (prompt, pixels) = ReadPrompt(parsed, model, session);
        Opening.Warn(model.Tokenizer.Warnings.Concat(prompt.Warnings));
        return (prompt, pixels);
    }

    private (Prompt Prompt, PixelValues? Pixels) ReadPrompt(ParseResult parsed, VisionLanguageModel model, ISession session)
    {
        string[] said = [.. new[] { (Inputs.Name, parsed.GetValue(Inputs)), (Text.Name, parsed.GetValue(Text)),
            (Messages.Name, parsed.GetValue(Messages)) }.Where(o => o.Item2 is not null).Select(o => o.Name)];
        if (said.Length != 1)
            throw new InputException("say what to run with one of --inputs, --prompt and --messages, "
                + $"found {(said.Length == 0 ? "none" : string.Join(" and ", said))}");
        if (parsed.GetValue(Inputs) is not null && parsed.GetValue(Images) is { Length: > 0 })
            throw new InputException("--image: --inputs brings its own pixel_values; expected no picture beside it, found one");
        if (parsed.GetValue(Inputs) is { } file) return InputFile.Read(model, file, session);
        var images = parsed.GetValue(Images)!;
        var pixels = images.Length == 0 ? null : model.Preprocess([.. images.Select(path => Picture.Load(path))]);
        var features = pixels is null ? null : session.Features(pixels);
        // A base model continues raw text: it has no chat template.
        if (model is { ImageToken: null, HasTemplate: false } && parsed.GetValue(Text) is { } plain) return (model.Prompt(plain), null);
        return parsed.GetValue(Text) is { } text
            ? (model.Prompt([new ChatMessage("user", [.. Enumerable.Repeat(new ImagePart(), images.Length), new TextPart(text)])], pixels,
                features, [new TextLabel(0, images.Length, 0, text.Length, SpanKind.Instruction)]), pixels)
            : (model.Prompt(ChatMessage.LoadAll(parsed.GetValue(Messages)!), pixels, features), pixels);
    }
}
