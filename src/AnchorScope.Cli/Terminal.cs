using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>Where things are said: results on standard output; progress, notes and warnings on standard error.</summary>
internal static class Terminal
{
    // A file has no edge: hashes and sentences stay whole.
    private const int UnboundWidth = 4096;

    /// <summary>Standard error, with colours and bars where a person watches.</summary>
    public static IAnsiConsole Error { get; private set; } = AnsiConsole.Console;

    /// <summary>Whether progress and notes are left out.</summary>
    public static bool Quiet { get; private set; }

    /// <summary>Sets both streams up. Colours are for people: a file or a pipe gets plain text.</summary>
    public static void Set(bool quiet)
    {
        Quiet = quiet;
        var plain = Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };
        AnsiConsole.Console = Console(System.Console.Out, plain || System.Console.IsOutputRedirected, System.Console.IsOutputRedirected);
        Error = Console(System.Console.Error, plain || System.Console.IsErrorRedirected, System.Console.IsErrorRedirected);
    }

    /// <summary>A line that is not part of the result: what is opened, what is gone on with.</summary>
    public static void Note(FormattableString markup)
    {
        if (!Quiet) Error.MarkupLineInterpolated(markup);
    }

    /// <summary>A line that must be seen, quiet or not.</summary>
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
