using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Api;

/// <summary>An error that the client is told, in the form of the OpenAI API.</summary>
/// <param name="status">HTTP status.</param>
/// <param name="message">One self-contained line.</param>
/// <param name="parameter">The member of the request that is wrong, as a path such as <c>messages[0].content</c>; null for none.</param>
/// <param name="code">A fixed word for programs; null for none.</param>
internal sealed class ApiException(int status, string message, string? parameter = null, string? code = null) : Exception(message)
{
    public int Status => status;

    public string? Parameter => parameter;

    public string? Code => code;

    /// <summary>Seconds after which the same request may succeed; null: it will not.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>Whether the audit log has it.</summary>
    public bool IsRecorded { get; set; }

    /// <summary>The error of a wrong request.</summary>
    public static ApiException Wrong(InputException e) =>
        // The request as a whole is no member of itself.
        e.Field == JsonField.Whole ? new(400, $"{e.File}: expected {e.Expected}, found {e.Found}", null, "invalid_value")
        : new(400, e.Message, e.Field, "invalid_value");

    /// <summary>The error for a member that exists in the OpenAI API but not here.</summary>
    public static ApiException Unsupported(string parameter, string why) =>
        new(400, $"{parameter}: {why}", parameter, "unsupported_parameter");

    /// <summary>Writes <c>{"error": {"message", "type", "param", "code"}}</c>.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", Message);
        json.WriteString("type", status switch
        {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            >= 500 => "server_error",
            _ => "invalid_request_error",
        });
        json.WriteString("param", parameter);
        json.WriteString("code", code);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
