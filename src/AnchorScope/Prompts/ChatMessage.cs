namespace AnchorScope.Prompts;

/// <summary>A part of a message: a picture or a text.</summary>
public abstract record ContentPart;

/// <summary>The place of a picture; pictures are given in the order of these parts.</summary>
public sealed record ImagePart : ContentPart;

/// <summary>Text of a message.</summary>
public sealed record TextPart(string Text) : ContentPart;

/// <summary>A turn of a conversation.</summary>
/// <param name="Role">What the template knows: "user", "assistant", "system".</param>
/// <param name="Content">Parts in the order in which they are written down; a template may reorder them.</param>
public sealed record ChatMessage(string Role, IReadOnlyList<ContentPart> Content)
{
    /// <summary>
    /// Reads a JSON array of <c>{"role": ..., "content": ...}</c>, the content a string, which is one text part, or an array of
    /// <c>{"type": "image"}</c> and <c>{"type": "text", "text": ...}</c>.
    /// </summary>
    /// <exception cref="InputException">The file cannot be read or is not such an array.</exception>
    public static IReadOnlyList<ChatMessage> LoadAll(string path) => [.. JsonField.Read(path).Items().Select(Read)];

    /// <summary>The same from bytes; <paramref name="name"/> stands in messages.</summary>
    public static IReadOnlyList<ChatMessage> Parse(ReadOnlyMemory<byte> utf8, string name) => [.. JsonField.Parse(name, utf8).Items().Select(Read)];

    private static ChatMessage Read(JsonField message)
    {
        var content = message.Get("content");
        return new(message.Get("role").Text(), content.IsText ? [new TextPart(content.Text())] : [.. content.Items().Select(ReadPart)]);
    }

    private static ContentPart ReadPart(JsonField part) => part.Get("type").Text() switch
    {
        "image" => new ImagePart(),
        "text" => new TextPart(part.Get("text").Text()),
        _ => throw part.Get("type").Unsupported("types image, text"),
    };
}
