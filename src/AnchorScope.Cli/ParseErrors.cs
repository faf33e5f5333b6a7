using System.CommandLine;
using System.CommandLine.Parsing;

namespace AnchorScope.Cli;

/// <summary>Turns parse errors of a command line into plain sentences.</summary>
internal static class ParseErrors
{
    private const string OwnError = "expected ";

    /// <summary>The message of an option's own check: the values that it accepts.</summary>
    public static string Expected(string what) => OwnError + what;

    /// <summary>A sentence on the first error, or null if there is none.</summary>
    public static string? First(ParseResult parsed)
    {
        if (parsed.Errors.Count == 0) return null;
        var command = parsed.CommandResult;
        if (parsed.UnmatchedTokens is [var unknown, ..]) return Unknown(unknown, command);
        foreach (var error in parsed.Errors)
        {
            if (error.SymbolResult is OptionResult option)
            {
                var found = string.Join(' ', option.Tokens.Select(t => t.Value));
                return option is { Implicit: true } or { Tokens.Count: 0 }
                    ? $"{option.Option.Name}: expected {Article(option.Option.HelpName)}, found nothing{Help(command)}"
                    : $"{option.Option.Name}: {Expected(error.Message, option.Option)}, found {found}{Help(command)}";
            }
            if (error.SymbolResult is ArgumentResult argument)
                return $"{argument.Argument.Name} is missing: {argument.Argument.Description}{Help(command)}";
        }
        var missing = command.Command.Options.FirstOrDefault(o => o.Required && command.GetResult(o) is null or { Implicit: true });
        if (missing is not null) return $"{missing.Name}: expected {Article(missing.HelpName)}, found nothing{Help(command)}";
        return command.Command.Subcommands.Count > 0
            ? $"expected one of {string.Join(", ", command.Command.Subcommands.Select(c => c.Name))}{Help(command)}"
            : parsed.Errors[0].Message + Help(command);
    }

    private static string Unknown(string found, CommandResult command)
    {
        var isOption = found.StartsWith('-');
        string[] known = isOption ? [.. Options(command)] : [.. command.Command.Subcommands.Select(c => c.Name)];
        var near = Nearest.Hint(found, known);
        var (what, place) = (isOption ? "option" : command.Command.Subcommands.Count > 0 ? "command" : "argument", Path(command));
        return $"{found}: {(place.Length > 0 ? $"ascope {place} has no such {what}" : $"there is no such {what}")}{near}{Help(command)}";
    }

    private static IEnumerable<string> Options(CommandResult command) =>
        command.Command.Options.Select(o => o.Name).Concat(
            command.Parent is CommandResult above ? above.Command.Options.Where(o => o.Recursive).Select(o => o.Name) : []);

    private static string Expected(string message, Option option) =>
        message.StartsWith(OwnError, StringComparison.Ordinal) ? message : $"expected {Kind(option)}";

    private static string Kind(Option option)
    {
        var type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
        if (type.IsEnum) return string.Join(" or ", Enum.GetNames(type).Select(n => n.ToLowerInvariant()));
        return Type.GetTypeCode(type) switch
        {
            TypeCode.Int32 or TypeCode.Int64 => "a whole number",
            TypeCode.UInt64 => "a whole number of at least 0",
            TypeCode.Single or TypeCode.Double => "a number",
            TypeCode.Boolean => "no value",
            _ => "one value",
        };
    }

    private static string Article(string? help) => help switch
    {
        "DIR" => "a folder",
        "FILE" => "a file",
        "DIR|FILE" => "a folder or a file",
        "SET" => "a conflict set or a folder of some",
        "TEXT" => "a text",
        "N" or "K" or "S" or "R" or "STEPS" => "a whole number",
        "F" or "X" or "T" or "P" => "a number",
        "LIST" or "IDS" => "values joined by commas",
        _ => "a value",
    };

    private static string Help(CommandResult command) =>
        Path(command) is { Length: > 0 } path ? $" (ascope {path} --help says more)" : " (ascope --help lists commands)";

    private static string Path(CommandResult command) =>
        command.Parent is CommandResult above ? $"{Path(above)} {command.Command.Name}".Trim() : "";
}
