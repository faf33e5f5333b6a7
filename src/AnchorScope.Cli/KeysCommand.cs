using System.CommandLine;
using AnchorScope.Server.Security;

namespace AnchorScope.Cli;

/// <summary><c>ascope keys</c>: the keys of a server.</summary>
internal static class KeysCommand
{
    private static readonly Argument<string> FileArgument = new("FILE") { Description = "file of the keys" };

    public static Command Create() => new("keys", "Makes and lists the keys of a server.") { Add(), List() };

    private static Command Add()
    {
        var name = new Option<string>("--name") { Description = "who holds the key", HelpName = "NAME", Required = true };
        var role = new Option<string>("--role")
        {
            Description = $"what the holder may do: {string.Join(", ", Enum.GetValues<Role>().Select(EnumName.Of))}", HelpName = "ROLE",
            Required = true,
        };
        var command = new Command("add", "Makes a key, shows it once, and keeps its hash.") { FileArgument, name, role };
        command.SetAction(parsed =>
        {
            Console.WriteLine(KeyRing.Add(
                parsed.GetValue(FileArgument)!, parsed.GetValue(name)!, EnumName.Parse<Role>("--role", parsed.GetValue(role)!)));
            return 0;
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "Lists names and roles.") { FileArgument };
        command.SetAction(parsed =>
        {
            foreach (var key in KeyRing.Load(parsed.GetValue(FileArgument)!).Keys)
                Console.WriteLine($"{EnumName.Of(key.Role),-8}  {key.Name}");
            return 0;
        });
        return command;
    }
}
