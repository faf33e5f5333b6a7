using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>What System.Text.Json leaves to its callers when the JSON may be hostile.</summary>
internal static class JsonText
{
    /// <summary>The string or property name at the reader.</summary>
    /// <exception cref="JsonException">An escape names half of a surrogate pair, which is no character.</exception>
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

    /// <summary>The message without the position that System.Text.Json appends to it, which is wrong for a part of a file.</summary>
    public static string Reason(JsonException e)
    {
        int position = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return Quoted.Line(position < 0 ? e.Message : e.Message[..position]);
    }
}
