using AnchorScope.Prompts.Jinja;

namespace AnchorScope.Prompts;

/// <summary>
/// A message as passed to a chat template: the members of its file in their order, with the origin of its texts recorded.
/// </summary>
internal static class TemplateMessage
{
    /// <param name="message">The message.</param>
    /// <param name="index">Its index in the conversation.</param>
    /// <param name="form">The form of its content: text, parts, or none.</param>
    /// <param name="imagePlaceholder">The text of a picture in content that is one string; a line end follows it.</param>
    public static Mapping Of(ChatMessage message, int index, ContentForm form, string imagePlaceholder)
    {
        var result = new Mapping();
        foreach (var (name, value) in message.Given)
            result[name] = name == "content" && form != ContentForm.None ? Content() : name == "role" ? new SourcedText(message.Role)
                : FromJson.Read(value);
        if (message.Given.Count > 0) return result;
        result["role"] = new SourcedText(message.Role);
        if (form != ContentForm.None) result["content"] = Content();
        return result;

        object Content() => form == ContentForm.Parts
            ? message.Content.Select((part, p) => (object?)Part(part, index, p)).ToList()
            : SourcedText.Concat(message.Content.Select((part, p) =>
                part is TextPart text ? SourcedText.OfPart(text.Text, index, p) : new SourcedText(imagePlaceholder + "\n")));
    }

    /// <summary>The message with its texts changed.</summary>
    public static ChatMessage WithTexts(ChatMessage message, Func<string, string> change) =>
        message with { Content = [.. message.Content.Select(part => part is TextPart text ? text with { Text = change(text.Text) }
            : part)] };

    private static Mapping Part(ContentPart part, int message, int index)
    {
        if (part is not (TextPart or ImagePart)) throw new ArgumentException($"message {message}, part {index}: neither text nor picture",
            nameof(part));
        var result = new Mapping();
        // The reference converts a part of type image_url to one of type image with only the address.
        if (part is ImagePart && part.Given.TryGetValue("image_url", out var address) && part.Given["type"].GetString() == "image_url")
        {
            result["type"] = new SourcedText("image");
            result["url"] = FromJson.Read(address) is Mapping given ? given.GetValueOrDefault("url", SourcedText.Empty)
                : FromJson.Read(address);
            return result;
        }
        foreach (var (name, value) in part.Given) result[name] = FromJson.Read(value);
        result["type"] = new SourcedText(part is TextPart ? "text" : "image");
        if (part is TextPart text) result["text"] = SourcedText.OfPart(text.Text, message, index);
        return result;
    }
}
