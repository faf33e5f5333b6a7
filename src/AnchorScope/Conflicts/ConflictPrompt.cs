using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Conflicts;

/// <summary>Builds the prompt of a run of a conflict sample, with the span of every part.</summary>
public static class ConflictPrompt
{
    /// <summary>
    /// Builds one user message, with picture (if any) and text in the order of <paramref name="layout"/>, after the system message (if
    /// any).
    /// </summary>
    /// <param name="pixels">The sample's picture, preprocessed, or null.</param>
    /// <param name="features">Its image features [image token, d_model], row-major, or null.</param>
    public static Prompt Build(VisionLanguageModel model, ConflictRun run, PromptLayout layout, PixelValues? pixels, float[]? features)
    {
        var (messages, labels) = Messages(run, layout, pixels is not null);
        var prompt = model.Prompt(messages, pixels, features, labels);
        return layout.Steering is { } steering
            ? prompt with { Steering = steering.Direction.At("steering", steering.Strength, prompt.Span) } : prompt;
    }

    /// <summary>The messages of a run, and the span of each part of their text.</summary>
    internal static (List<ChatMessage> Messages, List<TextLabel> Labels) Messages(ConflictRun run, PromptLayout layout, bool pictured)
    {
        var messages = new List<ChatMessage>();
        var labels = new List<TextLabel>();
        if (run.Sample.System is { } system)
        {
            messages.Add(new ChatMessage("system", [new TextPart(system)]));
            labels.Add(new TextLabel(0, 0, 0, system.Length, SpanKind.System));
        }
        var (text, part) = ("", pictured ? 1 : 0);
        foreach (var piece in layout.Pieces(run))
        {
            if (piece.Kind is { } kind) labels.Add(new TextLabel(messages.Count, part, text.Length, piece.Text.Length, kind));
            text += piece.Text;
        }
        IEnumerable<ContentPart> picture = pictured ? [new ImagePart()] : [];
        messages.Add(new ChatMessage("user", [.. picture, new TextPart(text)]));
        return (messages, labels);
    }
}
