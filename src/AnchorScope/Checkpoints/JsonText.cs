using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>Handles cases of hostile JSON that System.Text.Json leaves to its callers.</summary>
internal static class JsonText
{
    /// <summary>The string or property name at the reader's position.</summary>
    /// <exception cref="JsonException">An escape is half of a surrogate pair, which is not a character.</exception>
    public static string Read(ref Utf8JsonReader json)
    {
        try
        {
            return json.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("a string holds half of a surrogate pair.", e);
        }
    }

    /// <summary>
    /// The message of an exception without the position that System.Text.Json appends, which is wrong if only a part of a file was parsed.
    /// </summary>
    public static string Reason(JsonException e)
    {
        int position = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return Quoted.Line(Plain(position < 0 ? e.Message : e.Message[..position]));
    }

    /// <summary>Rephrases the message for the author of the file instead of the caller of the reader.</summary>
    private static string Plain(string message)
    {
        if (message.StartsWith("Duplicate property ", StringComparison.Ordinal))
            return $"the key {message["Duplicate property ".Length..].Split(" encountered")[0]} stands twice in one object";
        if (message.Contains("trailing comma", StringComparison.Ordinal)) return "there is a comma after the last item";
        if (message.Contains("isFinalBlock", StringComparison.Ordinal)) return "it is empty, or ends before it is complete";
        if (message.Contains("is an invalid JSON literal", StringComparison.Ordinal))
            return $"{message.Split(" is an invalid")[0].Replace("\\u000a", "", StringComparison.Ordinal)} is no JSON";
        return message;
    }
}
