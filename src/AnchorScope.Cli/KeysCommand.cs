using System.CommandLine;
using AnchorScope.Server.Security;

namespace AnchorScope.Cli;

/// <summary><c>ascope keys</c>: the keys of a server.</summary>
internal static class KeysCommand
{
    private static readonly Argument<string> FileArgument = new("FILE") { Description = "file of the keys" };

    public static Command Create() => new("keys", "Makes, lists and removes the keys of a server.") { Add(), List(), Remove() };

    private static Command Add()
    {
        var name = new Option<string>("--name") { Description = "who holds the key", HelpName = "NAME", Required = true };
        var role = new Option<string>("--role")
        {
            Description = $"what the holder may do: {string.Join(", ", Enum.GetValues<Role>().Select(EnumName.Of))}", HelpName = "ROLE",
            Required = true,
        };
        var days =
            new Option<int?>("--days") { Description = "days after which it stops to count (default: never)", HelpName = "N" }.AtLeast(1);
        var rate = new Option<int?>("--rate")
            { Description = "requests for text that it may send a minute (default: what the server says)", HelpName = "N" }.AtLeast(1);
        var command = new Command("add", "Makes a key, shows it once, and keeps its hash.") { FileArgument, name, role, days, rate };
        command.SetAction(parsed =>
        {
            var key = new ServerKey(parsed.GetValue(name)!, EnumName.Parse<Role>("--role", parsed.GetValue(role)!), "")
            {
                Expires = parsed.GetValue(days) is { } count ? DateTimeOffset.UtcNow.AddDays(count) : null,
                RequestsPerMinute = parsed.GetValue(rate),
            };
            Console.WriteLine(KeyRing.Add(parsed.GetValue(FileArgument)!, key));
            return 0;
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "Lists names, roles, and what limits them.") { FileArgument };
        command.SetAction(parsed =>
        {
            foreach (var key in KeyRing.Load(parsed.GetValue(FileArgument)!).Keys)
            {
                Console.WriteLine($"{EnumName.Of(key.Role),-8}  {key.Name}"
                    + (key.Expires is { } until ? $"  until {until.UtcDateTime:yyyy-MM-dd HH:mm} UTC" : "")
                    + (key.RequestsPerMinute is { } most ? $"  {Plural.Of(most, "request")} a minute" : ""));
            }
            return 0;
        });
        return command;
    }

    private static Command Remove()
    {
        var name = new Option<string>("--name") { Description = "whose key", HelpName = "NAME", Required = true };
        var command = new Command("remove", "Removes a key. A server that runs refuses it from the next second on.") { FileArgument, name };
        command.SetAction(parsed =>
        {
            KeyRing.Remove(parsed.GetValue(FileArgument)!, parsed.GetValue(name)!);
            return 0;
        });
        return command;
    }
}
