using System.CommandLine;
using System.CommandLine.Parsing;

namespace AnchorScope.Cli;

/// <summary>Runs a command. A user's mistake becomes one line on standard error and exit code 2.</summary>
internal static class CommandLine
{
    private const int WrongInput = 2;
    private const int Interrupted = 130;

    /// <summary>Exit code: the work is done except for some samples, which were listed.</summary>
    public const int SomeLeftOut = 3;

    /// <summary>The arguments as typed.</summary>
    public static IReadOnlyList<string> Arguments { get; private set; } = [];

    /// <summary>
    /// The command as it can be pasted into a shell, without options that change no number: a report is the same for every output folder
    /// and number of threads, and whether or not the run was resumed.
    /// </summary>
    public static string Typed => Shell(Lasting(Arguments));

    private static IEnumerable<string> Lasting(IReadOnlyList<string> arguments)
    {
        for (var i = 0; i < arguments.Count; i++)
        {
            if (arguments[i] is "--resume" or "--quiet" or "--json") continue;
            if (arguments[i] is "--out" or "--threads") i++;
            else if (!arguments[i].StartsWith("--out=", StringComparison.Ordinal)
                && !arguments[i].StartsWith("--threads=", StringComparison.Ordinal))
                yield return arguments[i];
        }
    }

    /// <summary>A command with these arguments, quoted for a shell.</summary>
    public static string Shell(IEnumerable<string> arguments) => $"ascope {string.Join(' ', arguments.Select(Quoted))}";

    private static string Quoted(string argument) =>
        argument.Length > 0 && argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_./=,:+@%".Contains(c, StringComparison.Ordinal))
            ? argument : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    public static int Run(RootCommand root, string[] args)
    {
        Arguments = args;
        var quiet = new Option<bool>("--quiet") { Description = "no progress and no notes; warnings and results only", Recursive = true };
        root.Options.Add(quiet);
        var parsed = root.Parse(args);
        Terminal.Set(parsed.GetValue(quiet));
        if (args.Length == 0 && root.Action is null) return root.Parse("--help").Invoke();
        if (ParseErrors.First(parsed) is { } wrong)
        {
            Console.Error.WriteLine($"ascope: {wrong}");
            return WrongInput;
        }
        if (EmptyPath(parsed) is { } empty)
        {
            Console.Error.WriteLine($"ascope: {empty}: expected a path, found an empty one");
            return WrongInput;
        }
        try
        {
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (Exception e) when (Said(Cause(e)) is { } said)
        {
            Console.Error.WriteLine($"ascope: {said.Line}");
            return said.ExitCode;
        }
    }

    /// <summary>The message and exit code of an expected exception; null for an exception that is an error of the program.</summary>
    private static (string Line, int ExitCode)? Said(Exception cause) => cause switch
    {
        InputException => (cause.Message, WrongInput),
        // Without an inner exception, it is the runtime's own message from the middle of a pass.
        OperationCanceledException => (cause.InnerException is null ? "stopped" : cause.Message, Interrupted),
        // For example a full disk or a file locked by another program: the message names the file.
        IOException or UnauthorizedAccessException => (cause.Message, WrongInput),
        _ => null,
    };

    /// <summary>The option or argument whose path is empty, for example because a script's variable is not set.</summary>
    private static string? EmptyPath(ParseResult parsed)
    {
        foreach (var symbol in parsed.CommandResult.Children)
        {
            var (name, what) = symbol switch
            {
                OptionResult option => (option.Option.Name, option.Option.HelpName),
                ArgumentResult argument => (argument.Argument.Name, "DIR"),
                _ => ("", ""),
            };
            if (what is "DIR" or "FILE" or "SET" or "DIR|FILE" && symbol.Tokens.Any(token => string.IsNullOrWhiteSpace(token.Value)))
                return name;
        }
        return null;
    }

    /// <summary>The exception of one thread inside an AggregateException.</summary>
    private static Exception Cause(Exception e) => e is AggregateException { InnerException: { } inner } ? Cause(inner) : e;
}
