using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>A part of a message: a picture or a text.</summary>
public abstract record ContentPart
{
    /// <summary>
    /// The members of the part as written in a file, in order; empty for a part made in code. The chat template receives all members other
    /// than kind and text.
    /// </summary>
    public IReadOnlyDictionary<string, JsonElement> Given { get; init; } = ChatMessage.NothingGiven;
}

/// <summary>The position of a picture in a message. Pictures are passed in the order of these parts.</summary>
public sealed record ImagePart : ContentPart;

/// <summary>Text of a message.</summary>
public sealed record TextPart(string Text) : ContentPart
{
    /// <summary>What the text is, for <see cref="Engines.Prompt.Positions"/>; null: nothing in particular.</summary>
    public SpanKind? Kind { get; init; }
}

/// <summary>How a message's content is passed to the chat template.</summary>
internal enum ContentForm
{
    /// <summary>As a list of parts or as one string, whichever the template accepts.</summary>
    Either,

    /// <summary>One string.</summary>
    Text,

    /// <summary>A list of parts.</summary>
    Parts,

    /// <summary>Not at all: the message has no content, or null.</summary>
    None,
}

/// <summary>One message of a conversation.</summary>
/// <param name="Role">A role that the template knows: "user", "assistant", "system".</param>
/// <param name="Content">Parts in the order in which they are written. A template may reorder them.</param>
public sealed record ChatMessage(string Role, IReadOnlyList<ContentPart> Content)
{
    internal static readonly IReadOnlyDictionary<string, JsonElement> NothingGiven = new Dictionary<string, JsonElement>();

    /// <summary>The form of the content; in a file, whether it is a string or a list.</summary>
    internal ContentForm Form { get; init; }

    /// <summary>
    /// The members of the message as written in a file, in order: role, content and any other, such as tool_calls or name. The chat
    /// template receives all of them. Empty for a message made in code.
    /// </summary>
    public IReadOnlyDictionary<string, JsonElement> Given { get; init; } = NothingGiven;

    /// <summary>
    /// Reads a JSON array of <c>{"role": ..., "content": ...}</c>. The content is a string, which is one text part, or an array of
    /// <c>{"type": "image"}</c> (or the equivalent <c>"image_url"</c>) and <c>{"type": "text", "text": ...}</c>. Any other member of a
    /// message or part is kept for the template; a message with such a member needs no content.
    /// </summary>
    /// <exception cref="InputException">The file cannot be read or is not such an array.</exception>
    public static IReadOnlyList<ChatMessage> LoadAll(string path) => Read(new JsonField(path, "", StrictJson.Read(path)), path);

    /// <summary>The same from bytes. <paramref name="name"/> replaces the path in messages.</summary>
    /// <exception cref="InputException">The bytes are not such an array.</exception>
    public static IReadOnlyList<ChatMessage> Parse(ReadOnlyMemory<byte> utf8, string name) =>
        Read(new JsonField(name, "", StrictJson.Parse(utf8.Span, name)), name);

    /// <summary>
    /// Gives text parts without a kind the one they usually are: system messages, and the last text part of the last user message as the
    /// instruction.
    /// </summary>
    /// <param name="instruction">Whether to name the instruction; false if something else does.</param>
    public static IReadOnlyList<ChatMessage> WithUsualKinds(IReadOnlyList<ChatMessage> messages, bool instruction = true)
    {
        var last = messages.ToList().FindLastIndex(message => message.Role == "user");
        return [.. messages.Select((message, index) => message with
        {
            Content = [.. message.Content.Select((part, i) => part is not TextPart { Kind: null } text ? part
                : message.Role == "system" ? text with { Kind = SpanKind.System }
                : instruction && index == last && i == message.Content.ToList().FindLastIndex(p => p is TextPart)
                    ? text with { Kind = SpanKind.Instruction } : text)],
        })];
    }

    private static IReadOnlyList<ChatMessage> Read(JsonField list, string name)
    {
        ChatMessage[] messages = [.. list.Items().Select(Read)];
        return messages.Length > 0 ? messages : throw InputException.At(name, "messages", "at least one", "an empty list");
    }

    private static ChatMessage Read(JsonField message)
    {
        var given = Members(message);
        // A message with only tool calls has no content.
        var silent = message.Find("content") is null && given.Keys.Any(name => name is not ("role" or "content"));
        var content = silent ? (JsonField?)null : message.Get("content");
        return new(message.Get("role").Text(), content switch
        {
            null => [],
            { IsText: true } text => [new TextPart(text.Text())],
            { Value.ValueKind: JsonValueKind.Array } list => [.. list.Items().Select(ReadPart)],
            { } other => throw other.Expected("a string or an array of parts"),
        })
        {
            Form = content switch { null => ContentForm.None, { IsText: true } => ContentForm.Text, _ => ContentForm.Parts },
            Given = given,
        };
    }

    private static ContentPart ReadPart(JsonField part) => part.Get("type").Text() switch
    {
        "image" or "image_url" => new ImagePart { Given = Members(part) },
        "text" => new TextPart(part.Get("text").Text()) { Given = Members(part) },
        _ => throw part.Get("type").Unsupported("types image, image_url, text"),
    };

    /// <summary>All members. A member that cannot be passed to a template unchanged is an error here, where its path is known.</summary>
    private static OrderedDictionary<string, JsonElement> Members(JsonField field)
    {
        var members = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var (name, member) in field.Members())
        {
            Jinja.FromJson.Check(member);
            if (!members.TryAdd(name, member.Value)) throw member.Expected("every member once");
        }
        return members;
    }
}
