using System.Security.Cryptography;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;
using Microsoft.Extensions.AI;
using PromptMessage = AnchorScope.Prompts.ChatMessage;

namespace AnchorScope.Extensions.AI;

/// <summary>
/// A call in the terms of the model. What it asks for and cannot be done is an error that names it: nothing is left out silently.
/// </summary>
internal sealed record ChatRequest
{
    /// <summary>The messages, with the kinds of their texts.</summary>
    public required IReadOnlyList<PromptMessage> Messages { get; init; }

    /// <summary>The pictures, in the order in which the messages have them.</summary>
    public required IReadOnlyList<Picture> Pictures { get; init; }

    public required Steering Steering { get; init; }

    public required IReadOnlyList<TextLabel> Labels { get; init; }

    public required Sampling Sampling { get; init; }

    /// <summary>Maximum number of tokens; null: the model's usual one.</summary>
    public required int? Tokens { get; init; }

    /// <summary>Texts that end the answer and are not part of it.</summary>
    public required IReadOnlyList<string> Stops { get; init; }

    /// <exception cref="NotSupportedException">It asks for something that does not exist here.</exception>
    /// <exception cref="InputException">A picture cannot be read, or a number is out of range.</exception>
    public static ChatRequest Of(
        IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions? options, VisionLanguageModel model, string name)
    {
        Refuse(options, name);
        var steering = ChatSteering.Of(options);
        var pictures = new List<Picture>();
        List<PromptMessage> given = [.. messages.Select((message, index) => MessageOf(message, index, pictures))];
        if (given.Count == 0) throw new ArgumentException("expected at least one message, found none", nameof(messages));
        var shift = 0;
        if (options?.Instructions is { Length: > 0 } instructions)
        {
            given.Insert(0, new PromptMessage("system", [new TextPart(instructions)]));
            shift = 1;
        }
        return new ChatRequest
        {
            Messages = PromptMessage.WithUsualKinds(given, !steering.Spans.Any(span => span.Kind == SpanKind.Instruction)),
            Pictures = pictures,
            Steering = steering,
            Labels = [.. steering.Spans.Select(span => span with { Message = span.Message + shift })],
            Sampling = SamplingOf(options, model.SamplingDefaults),
            Tokens = options?.MaxOutputTokens is { } most
                ? most >= 1 ? most : throw InputException.At("options", "MaxOutputTokens", "at least 1", $"{most}") : null,
            Stops = options?.StopSequences is null ? [] : options.StopSequences.All(stop => stop.Length > 0) ? [.. options.StopSequences]
                : throw InputException.At("options", "StopSequences", "texts of at least one character", "an empty one"),
        };
    }

    private static void Refuse(ChatOptions? options, string name)
    {
        if (options is null) return;
#pragma warning disable MEAI001 // experimental there; asked only whether they are set
        (string Name, bool Asked)[] unsupported =
        [
            ("Tools", options.Tools is { Count: > 0 }),
            ("ToolMode", options.ToolMode is RequiredChatToolMode),
            ("ResponseFormat", options.ResponseFormat is not (null or ChatResponseFormatText)),
            ("FrequencyPenalty", options.FrequencyPenalty is not (null or 0)),
            ("PresencePenalty", options.PresencePenalty is not (null or 0)),
            ("ConversationId", options.ConversationId is not null),
            ("Reasoning", options.Reasoning is not null),
            ("AllowBackgroundResponses", options.AllowBackgroundResponses is true),
            ("ContinuationToken", options.ContinuationToken is not null),
            ("RawRepresentationFactory", options.RawRepresentationFactory is not null),
        ];
#pragma warning restore MEAI001
        foreach (var (what, asked) in unsupported)
        {
            if (asked) throw new NotSupportedException($"ChatOptions.{what} is not supported");
        }
        if (options.ModelId is { } model && model != name)
            throw new NotSupportedException($"ChatOptions.ModelId: expected {name}, the model of this client, found {model}");
        if (options.AdditionalProperties?.Keys.FirstOrDefault(key => key != Steering.Key) is { } unknown)
            throw new NotSupportedException($"ChatOptions.AdditionalProperties: expected {Steering.Key} only, found {unknown}");
    }

    private static PromptMessage MessageOf(Microsoft.Extensions.AI.ChatMessage message, int index, List<Picture> pictures)
    {
        var role = message.Role.Value switch
        {
            "system" or "user" or "assistant" => message.Role.Value,
            "developer" => "system",
            _ => throw new NotSupportedException($"messages[{index}]: expected a role of system, user and assistant, found {message.Role}"),
        };
        var parts = new List<ContentPart>();
        for (var i = 0; i < message.Contents.Count; i++)
        {
            var place = $"messages[{index}].Contents[{i}]";
            switch (message.Contents[i])
            {
                case TextContent text:
                    parts.Add(new TextPart(text.Text));
                    break;
                case DataContent data when data.HasTopLevelMediaType("image"):
                    if (role != "user") throw new NotSupportedException($"{place}: pictures are supported in messages of the user only");
                    parts.Add(new ImagePart());
                    pictures.Add(Picture.Decode(data.Data.Span, place));
                    break;
                case UsageContent:
                    // What an earlier answer cost is not part of the conversation.
                    break;
                case UriContent:
                    throw new NotSupportedException($"{place}: nothing is fetched; give the picture's bytes as {nameof(DataContent)}");
                case DataContent data:
                    throw new NotSupportedException($"{place}: expected a picture, found {data.MediaType}");
                case var other:
                    throw new NotSupportedException($"{place}: {other.GetType().Name} is not supported");
            }
        }
        return new PromptMessage(role, parts);
    }

    private static Sampling SamplingOf(ChatOptions? options, SamplingDefaults usual)
    {
        var temperature = Written(options?.Temperature) ?? usual.Temperature;
        var (topK, topP) = (options?.TopK, Written(options?.TopP));
        // The likeliest token is always chosen: a seed changes nothing, other restrictions are an error of the sampler.
        if (temperature == 0) return new Sampling(0, topK ?? 0, topP ?? 1);
        var seed = options?.Seed is { } given ? unchecked((ulong)given) : (ulong)RandomNumberGenerator.GetInt32(int.MaxValue);
        return new Sampling(temperature, topK ?? usual.TopK, topP ?? usual.TopP, seed);
    }

    // 0.7f is meant as 0.7, not as the number of 32 bits next to it.
    private static double? Written(float? number) =>
        number is not { } value ? null : float.IsFinite(value) && Math.Abs(value) < 1e6f ? (double)(decimal)value : value;
}
