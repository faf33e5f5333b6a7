using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>Output streams: results on standard output; progress, notes and warnings on standard error.</summary>
internal static class Terminal
{
    // A file has no line width: hashes and sentences are not wrapped.
    private const int UnboundWidth = 4096;

    /// <summary>Standard error, with colours and progress bars if it is a terminal.</summary>
    public static IAnsiConsole Error { get; private set; } = AnsiConsole.Console;

    /// <summary>Whether progress and notes are left out.</summary>
    public static bool Quiet { get; private set; }

    /// <summary>Configures both streams. Only a terminal gets colours; a file or a pipe gets plain text.</summary>
    public static void Set(bool quiet)
    {
        Quiet = quiet;
        var plain = Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };
        AnsiConsole.Console = Console(System.Console.Out, plain || System.Console.IsOutputRedirected, System.Console.IsOutputRedirected);
        Error = Console(System.Console.Error, plain || System.Console.IsErrorRedirected, System.Console.IsErrorRedirected);
    }

    /// <summary>Prints a note that is not part of the result, for example what is opened or resumed.</summary>
    public static void Note(FormattableString markup)
    {
        if (!Quiet) Error.MarkupLineInterpolated(markup);
    }

    /// <summary>Prints a warning, also with --quiet.</summary>
    public static void Warn(string text) => Error.MarkupLineInterpolated($"ascope: [yellow]warning[/]: {text}");

    private static IAnsiConsole Console(TextWriter writer, bool plain, bool redirected)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = plain ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = plain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
        });
        if (redirected) console.Profile.Width = UnboundWidth;
        return console;
    }
}
