using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Api;

/// <summary>
/// Reads requests of the OpenAI API strictly: a member that is unknown or that would change the answer and is not supported is an error;
/// members that change nothing here are accepted and listed.
/// </summary>
internal static class RequestReader
{
    private const string Name = "request";
    private const int MostTokens = 1 << 20;
    private const int MostAnswers = 128;
    private const int MostLikeliest = 20;
    private const int MostStops = 4;
    private const int LongestStop = 256;

    private static readonly string[] Common =
    [
        "model", "max_tokens", "temperature", "top_p", "seed", "stop", "n", "stream", "stream_options", "user", "logprobs", "anchorscope",
        "frequency_penalty", "presence_penalty", "logit_bias",
    ];

    private static readonly string[] Chat =
    [
        .. Common, "messages", "max_completion_tokens", "top_logprobs", "response_format", "modalities", "tools", "tool_choice",
    ];

    private static readonly string[] Completion = [.. Common, "prompt", "echo", "best_of", "suffix"];

    /// <summary>Members that clients send and that change no token here.</summary>
    private static readonly string[] Harmless =
        ["metadata", "store", "service_tier", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"];

    /// <summary>Members of the OpenAI API that would change the answer and do not exist here.</summary>
    private static readonly string[] Foreign =
        ["functions", "function_call", "audio", "prediction", "web_search_options", "reasoning_effort", "verbosity"];

    /// <summary>Reads a request for a chat completion.</summary>
    /// <exception cref="ApiException">It is wrong, or asks for something that does not exist here.</exception>
    public static ApiRequest ReadChat(ReadOnlyMemory<byte> body) => Guarded(() =>
    {
        var root = Root(body, Chat);
        var messages = Messages(root.Get("messages"));
        Neutral(root, "tools", field => field.Value.ValueKind == JsonValueKind.Array && field.Value.GetArrayLength() == 0,
            "tools are not supported");
        Neutral(root, "tool_choice", field => field.IsText && field.Text() is "none" or "auto", "tools are not supported");
        Neutral(root, "modalities", field => field.Items().All(item => item.IsText && item.Text() == "text"),
            "only text can be generated");
        if (root.Find("response_format") is { } format && format.Get("type").Text() != "text")
            throw ApiException.Unsupported("response_format.type", "only text is supported");
        var likeliest = root.Find("top_logprobs")?.Integer(0, MostLikeliest);
        var probabilities = root.Flag("logprobs", false);
        if (likeliest is not null && !probabilities)
            throw InputException.At(Name, "top_logprobs", "logprobs true beside it", root.Find("logprobs") is null ? "none" : "false");
        return Shared(root) with
        {
            IsChat = true,
            Messages = messages,
            Pictures = [.. Pictures(root.Get("messages"))],
            MaxTokens = MaxTokens(root),
            Likeliest = probabilities ? likeliest ?? 0 : null,
        };
    });

    /// <summary>Reads a request for a text completion.</summary>
    /// <exception cref="ApiException">It is wrong, or asks for something that does not exist here.</exception>
    public static ApiRequest ReadCompletion(ReadOnlyMemory<byte> body) => Guarded(() =>
    {
        var root = Root(body, Completion);
        Neutral(root, "echo", field => !field.Flag(), "the prompt is not repeated");
        Neutral(root, "best_of", field => field.Integer(1, MostAnswers) == 1, "answers are not selected");
        Neutral(root, "suffix", field => field.IsText && field.Text().Length == 0, "text cannot be inserted");
        var prompt = root.Get("prompt");
        if (!prompt.IsText) throw prompt.Expected("a string: one text for each request");
        return Shared(root) with
        {
            IsChat = false,
            Text = prompt.Text(),
            MaxTokens = root.Find("max_tokens")?.Integer(1, MostTokens),
            Likeliest = root.Find("logprobs")?.Integer(0, MostLikeliest),
        };
    });

    private static ApiRequest Guarded(Func<ApiRequest> read)
    {
        try
        {
            return read();
        }
        catch (InputException e)
        {
            throw ApiException.Wrong(e);
        }
    }

    private static JsonField Root(ReadOnlyMemory<byte> body, string[] known)
    {
        var root = new JsonField(Name, "", StrictJson.Parse(body.Span, Name));
        foreach (var (name, field) in root.Members())
        {
            if (known.Contains(name) || Harmless.Contains(name)) continue;
            if (Foreign.Contains(name)) throw ApiException.Unsupported(name, "is not supported");
            throw new ApiException(400, $"{Name}: {Quoted.Line(name)}: is unknown{Nearest.Hint(name, [.. known, .. Harmless])}",
                name, "unknown_parameter");
        }
        return root;
    }

    private static ApiRequest Shared(JsonField root)
    {
        Neutral(root, "frequency_penalty", IsZero, "penalties are not supported");
        Neutral(root, "presence_penalty", IsZero, "penalties are not supported");
        Neutral(root, "logit_bias", field => !field.Members().Any(), "biases of logits are not supported");
        var stream = root.Flag("stream", false);
        var options = root.Find("stream_options");
        foreach (var (name, field) in options?.Members() ?? [])
        {
            if (name is not ("include_usage" or "include_obfuscation"))
                throw InputException.At(Name, field.Path, "include_usage", "an unknown member");
        }
        if (options is { } given && !stream) throw InputException.At(Name, "stream_options", "stream true beside it", given.Found);
        return new ApiRequest
        {
            IsChat = false,
            Model = root.Get("model").Text(),
            Temperature = Number(root, "temperature", 0, 2),
            TopP = Number(root, "top_p", 0, 1) is { } p ? p > 0 ? p : throw root.Get("top_p").Expected("a number above 0") : null,
            Seed = Seed(root),
            Answers = root.Find("n")?.Integer(1, MostAnswers) ?? 1,
            Stop = Stops(root),
            Stream = stream,
            StreamUsage = options?.Flag("include_usage", false) ?? false,
            Ignored = [.. root.Members().Select(m => m.Name).Where(name => Harmless.Contains(name))],
            Steering = root.Find("anchorscope") is { } steering ? SteeringReader.Read(steering) : new SteeringRequest(),
        };
    }

    private static int? MaxTokens(JsonField root)
    {
        var (old, now) = (root.Find("max_tokens"), root.Find("max_completion_tokens"));
        if (old is not null && now is not null)
            throw InputException.At(Name, "max_tokens", "one of max_tokens and max_completion_tokens", "both");
        return (old ?? now)?.Integer(1, MostTokens);
    }

    private static ulong? Seed(JsonField root)
    {
        if (root.Find("seed") is not { } seed) return null;
        if (seed.Value.ValueKind == JsonValueKind.Number)
        {
            if (seed.Value.TryGetUInt64(out var positive)) return positive;
            if (seed.Value.TryGetInt64(out var negative)) return unchecked((ulong)negative);
        }
        throw seed.Expected("an integer of 64 bits");
    }

    private static string[] Stops(JsonField root)
    {
        if (root.Find("stop") is not { } stop) return [];
        string[] stops = stop.IsText ? [stop.Text()] : [.. stop.Items().Select(item => item.Text())];
        return stops.Length <= MostStops && stops.All(s => s.Length is > 0 and <= LongestStop)
            ? stops : throw stop.Expected($"at most {MostStops} texts of 1 to {LongestStop} characters");
    }

    private static double? Number(JsonField root, string name, double least, double most) =>
        root.Find(name) is not { } field ? null
        : field.Value.ValueKind == JsonValueKind.Number && field.Value.TryGetDouble(out var number) && number >= least && number <= most
            ? number : throw field.Expected($"a number from {least} to {most}");

    private static bool IsZero(JsonField field) =>
        field.Value.ValueKind == JsonValueKind.Number && field.Value.TryGetDouble(out var number) && number == 0;

    /// <summary>A member that is accepted only with the value that has no effect.</summary>
    private static void Neutral(JsonField root, string name, Func<JsonField, bool> hasNoEffect, string why)
    {
        if (root.Find(name) is { } field && !hasNoEffect(field)) throw ApiException.Unsupported(name, why);
    }

    private static ChatMessage[] Messages(JsonField list)
    {
        ChatMessage[] messages = [.. list.Items().Select(Message)];
        return messages.Length > 0 ? messages : throw list.Expected("at least one message");
    }

    private static ChatMessage Message(JsonField message)
    {
        foreach (var (name, field) in message.Members())
        {
            if (name is not ("role" or "content" or "name" or "refusal"))
                throw ApiException.Unsupported(field.Path, "is not supported");
        }
        var role = message.Get("role").Text() switch
        {
            "developer" => "system",
            "system" or "user" or "assistant" => message.Get("role").Text(),
            _ => throw message.Get("role").Expected("system, developer, user or assistant"),
        };
        var content = message.Get("content");
        ContentPart[] parts = content.IsText ? [new TextPart(content.Text())] : [.. content.Items().Select(Part)];
        if (role != "user" && parts.Any(part => part is ImagePart)) throw content.Expected("pictures in messages of the user only");
        return new ChatMessage(role, parts) { Form = content.IsText ? ContentForm.Text : ContentForm.Parts };
    }

    private static ContentPart Part(JsonField part) => part.Get("type").Text() switch
    {
        "text" => new TextPart(part.Get("text").Text()),
        "image_url" => new ImagePart(),
        _ => throw part.Get("type").Expected("text or image_url"),
    };

    private static IEnumerable<(string Address, string Place)> Pictures(JsonField messages) =>
        from message in messages.Items()
        where !message.Get("content").IsText
        from part in message.Get("content").Items()
        where part.Get("type").Text() == "image_url"
        let picture = part.Get("image_url")
        // Some clients send the address itself.
        let address = picture.IsText ? picture : picture.Get("url")
        select (address.Text(), address.Path);
}
