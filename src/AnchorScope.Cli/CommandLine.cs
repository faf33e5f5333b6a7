using System.CommandLine;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>Runs a command; what the user got wrong is one line on standard error and exit code 2.</summary>
internal static class CommandLine
{
    private const int WrongInput = 2;
    private const int Interrupted = 130;

    // A file has no edge: hashes and sentences stay whole.
    private const int UnboundWidth = 4096;

    /// <summary>The work is done, without some samples that were listed.</summary>
    public const int SomeLeftOut = 3;

    public static int Run(RootCommand root, string[] args)
    {
        // Colours are for people: a file or a pipe gets plain text.
        if (Console.IsOutputRedirected || Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 })
            AnsiConsole.Console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors });
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = UnboundWidth;
        var parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            Console.Error.WriteLine($"ascope: {parsed.Errors[0].Message} (ascope --help lists commands and options)");
            return WrongInput;
        }
        try
        {
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (InputException e)
        {
            Console.Error.WriteLine($"ascope: {e.Message}");
            return WrongInput;
        }
        catch (OperationCanceledException e)
        {
            Console.Error.WriteLine($"ascope: {e.Message}");
            return Interrupted;
        }
        catch (Exception e) when (Cause(e) is IOException or UnauthorizedAccessException)
        {
            // A full disk, a file that another program holds: the message names the file.
            Console.Error.WriteLine($"ascope: {Cause(e).Message}");
            return WrongInput;
        }
    }

    /// <summary>What happened on one of several threads.</summary>
    private static Exception Cause(Exception e) => e is AggregateException { InnerException: { } inner } ? Cause(inner) : e;
}
