namespace AnchorScope;

/// <summary>
/// Something the user gave is wrong: a file, a field, an option. The message is one line that stands alone; the command line
/// prints it and ends with exit code 2.
/// </summary>
/// <param name="message">Names file, field, what was expected and what was found.</param>
/// <param name="inner">The cause, where there is one.</param>
public sealed class InputException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The usual form: <c>file: field: expected X, found Y</c>.</summary>
    public static InputException At(string file, string field, string expected, string found) =>
        new($"{file}: {field}: expected {expected}, found {found}");
}
