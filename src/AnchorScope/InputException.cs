namespace AnchorScope;

/// <summary>
/// An error in the user's input: a file, a field or an option. The message is one self-contained line. The command line prints it and exits
/// with code 2.
/// </summary>
public sealed class InputException : Exception
{
    private readonly string? _file, _field, _expected, _found;

    /// <param name="message">Names file, field, what was expected and what was found.</param>
    /// <param name="inner">The cause, or null.</param>
    public InputException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    private InputException(string file, string field, string expected, string found)
        : base($"{file}: {field}: expected {expected}, found {found}") =>
        (_file, _field, _expected, _found) = (file, field, expected, found);

    /// <summary>The file or the option that is wrong; null where the message names none apart from its text.</summary>
    public string? File => _file ?? Cause?.File;

    /// <summary>The field in it, as a path such as <c>text_config.rope_scaling.factor</c>.</summary>
    public string? Field => _field ?? Cause?.Field;

    /// <summary>What was expected there.</summary>
    public string? Expected => _expected ?? Cause?.Expected;

    /// <summary>What was found there.</summary>
    public string? Found => _found ?? Cause?.Found;

    private InputException? Cause => InnerException as InputException;

    /// <summary>The usual format: <c>file: field: expected X, found Y</c>.</summary>
    public static InputException At(string file, string field, string expected, string found) => new(file, field, expected, found);
}
