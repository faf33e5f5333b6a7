using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using Microsoft.Extensions.AI;

namespace AnchorScope.Extensions.AI;

/// <summary>Puts <see cref="Steering"/> into the options of a call, and finds what came of it in the response.</summary>
public static class ChatSteering
{
    /// <summary>Changes the model inside for this call.</summary>
    /// <returns>The same options.</returns>
    public static ChatOptions WithIntervention(this ChatOptions options, Intervention intervention) =>
        options.WithIntervention(_ => intervention);

    /// <summary>The same, at parts of the prompt: <c>prompt.Positions(SpanKind.Instruction)</c>.</summary>
    /// <param name="make">Makes the intervention once the prompt is known.</param>
    /// <returns>The same options.</returns>
    public static ChatOptions WithIntervention(this ChatOptions options, Func<Prompt, Intervention> make) =>
        options.With(steering => steering with { Intervention = make });

    /// <summary>Says which characters of which texts are what.</summary>
    /// <returns>The same options.</returns>
    public static ChatOptions WithSpans(this ChatOptions options, params IReadOnlyList<TextLabel> spans) =>
        options.With(steering => steering with { Spans = spans });

    /// <summary>Has the response say which of two answers the model follows.</summary>
    /// <param name="vision">What the picture would have it answer, with other forms.</param>
    /// <param name="text">What the text would have it answer, with other forms.</param>
    /// <returns>The same options.</returns>
    public static ChatOptions WithAnswers(this ChatOptions options, IReadOnlyList<string> vision, IReadOnlyList<string> text) =>
        options.With(steering => steering with { VisionAnswers = vision, TextAnswers = text });

    /// <summary>Keeps the logits of every token.</summary>
    /// <returns>The same options.</returns>
    public static ChatOptions WithLogits(this ChatOptions options) => options.With(steering => steering with { KeepLogits = true });

    /// <summary>What a response was computed from; null if another client made it.</summary>
    public static ModelAnswer? ModelAnswer(this ChatResponse response)
    {
        ArgumentNullException.ThrowIfNull(response);
        // Gathered from a stream, it is with the message.
        return response.Messages.Select(message => message.AdditionalProperties).Prepend(response.AdditionalProperties)
            .Select(properties => properties?.GetValueOrDefault(Steering.Key)).OfType<ModelAnswer>().FirstOrDefault();
    }

    internal static Steering Of(ChatOptions? options) => options?.AdditionalProperties?.GetValueOrDefault(Steering.Key) switch
    {
        null => new Steering(),
        Steering steering => steering,
        { } other => throw new ArgumentException(
            $"AdditionalProperties[\"{Steering.Key}\"]: expected {typeof(Steering).FullName}, found {other.GetType().FullName}",
            nameof(options)),
    };

    private static ChatOptions With(this ChatOptions options, Func<Steering, Steering> change)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.AdditionalProperties ??= [];
        options.AdditionalProperties[Steering.Key] = change(Of(options));
        return options;
    }
}
