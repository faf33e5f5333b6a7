using System.CommandLine;
using AnchorScope.Wired;

namespace AnchorScope.Cli;

/// <summary><c>ascope wire</c>: writes models whose weights are set by code, not trained, and their conflict set.</summary>
internal static class WireCommand
{
    public static Command Create()
    {
        var output = new Option<string>("--out")
        {
            Description = "folder to write models/NAME and data/wired-conflicts into; neither may exist",
            HelpName = "DIR", Required = true,
        };
        var names = new Argument<string[]>("NAME") { Description = $"which models (all): {Names}", Arity = ArgumentArity.ZeroOrMore };
        const string does = "Writes models whose weights are set by code, so that every head is known, and their conflict set.";
        var command = new Command("wire", does)
        {
            output, names,
        };
        command.SetAction(parsed =>
        {
            var folder = parsed.GetValue(output)!;
            var given = parsed.GetValue(names) ?? [];
            IReadOnlyList<WiredModel> chosen =
                given.Length > 0 ? [.. given.Distinct(StringComparer.Ordinal).Select(Model)] : WiredModel.All;
            var data = Path.Combine(folder, "data", WiredConflicts.Name);
            foreach (var target in chosen.Select(m => Path.Combine(folder, "models", m.Name)).Append(data)) OutputPath.CheckFolder(target);
            foreach (var model in chosen)
            {
                var path = Path.Combine(folder, "models", model.Name);
                WiredCheckpoint.Write(model, path);
                Console.WriteLine($"{path}: {model.Shows}");
            }
            WiredConflicts.Write(data);
            Console.WriteLine($"{data}: the conflict set of these models");
            return 0;
        });
        return command;
    }

    private static string Names => string.Join(", ", WiredModel.All.Select(m => m.Name));

    private static WiredModel Model(string name) => WiredModel.All.FirstOrDefault(m => m.Name == name)
        ?? throw new InputException($"NAME: expected one of {Names}, found {name}");
}
