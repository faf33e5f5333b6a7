namespace AnchorScope;

/// <summary>
/// An error in the user's input: a file, a field or an option. The message is one self-contained line. The command line prints it and exits
/// with code 2.
/// </summary>
/// <param name="message">Names file, field, what was expected and what was found.</param>
/// <param name="inner">The cause, or null.</param>
public sealed class InputException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The usual format: <c>file: field: expected X, found Y</c>.</summary>
    public static InputException At(string file, string field, string expected, string found) =>
        new($"{file}: {field}: expected {expected}, found {found}");
}
