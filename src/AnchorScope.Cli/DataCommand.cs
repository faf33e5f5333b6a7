using System.CommandLine;
using System.Globalization;
using AnchorScope.World;

namespace AnchorScope.Cli;

/// <summary><c>ascope data world</c>: conflict sets of the bundled organism's world.</summary>
internal static class DataCommand
{
    // Default number of samples for each split, equal to the bundled sets where those contain the split.
    private static readonly (WorldSplit Split, int Count, string Description)[] Splits =
    [
        (WorldSplit.Rank, 200, "conflicts to rank heads on"),
        (WorldSplit.Test, 400, "conflicts to test on"),
        (WorldSplit.HeldOut, 100, "conflicts with instructions that training never uses"),
        (WorldSplit.Hard, 200, "conflicts with words after the instruction"),
        (WorldSplit.Inertia, 100, "conflicts about a colour that is typical of only one side"),
        (WorldSplit.Control, 100, "samples without a conflict"),
    ];

    public static Command Create()
    {
        var output =
            new Option<string>("--out") { Description = "folder to write; must not exist, or be empty", HelpName = "DIR", Required = true };
        var seed = new Option<string>("--seed") { Description = "seed of the samples", DefaultValueFactory = _ => "0", HelpName = "S" };
        var sigma = new Option<string?>("--sigma")
            { Description = "standard deviation of the pictures' noise, one number or A-B (0.02-0.08; hard and inertia 0.06-0.14)",
                HelpName = "A-B" };
        var counts = Splits.Select(s => (s.Split, Option: new Option<string>("--" + ConflictWorld.NameOf(s.Split))
        {
            Description = s.Description, DefaultValueFactory = _ => s.Count.ToString(CultureInfo.InvariantCulture), HelpName = "N",
        })).ToList();
        var world = new Command("world", "Generates conflict sets of the bundled organism's world: small pictures, notes that contradict "
            + "them, instructions.") { output, seed, sigma };
        foreach (var (_, option) in counts) world.Add(option);
        world.SetAction(parsed =>
        {
            var options = new WorldFolderOptions
            {
                Seed = ulong.TryParse(parsed.GetValue(seed), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                    ? number : throw new InputException($"--seed: expected a whole number of at least 0, found {parsed.GetValue(seed)}"),
                Samples = counts.ToDictionary(c => c.Split, c => Count(c.Option.Name, parsed.GetValue(c.Option)!)),
                Sigma = parsed.GetValue(sigma) is { } range ? Noise(range) : null,
            };
            var folder = parsed.GetValue(output)!;
            using var interrupt = new Interruption();
            var pictures = Write(folder, options, interrupt.Token);
            Console.WriteLine(
                $"{folder}: "
                    + $"{string.Join(", ", options.Samples.Where(s => s.Value > 0).Select(s =>
                        $"{ConflictWorld.NameOf(s.Key)} {s.Value}"))} samples, {Plural.Of(pictures, "picture")}");
            return 0;
        });
        return new Command("data", "Generates data for a study.") { world };
    }

    private static int Write(string folder, WorldFolderOptions options, CancellationToken cancel)
    {
        try
        {
            return WorldFolder.Write(folder, options, cancel);
        }
        catch (OperationCanceledException e)
        {
            throw new OperationCanceledException($"stopped; {folder} was not written", e);
        }
    }

    private static int Count(string option, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count
            : throw new InputException($"{option}: expected a number of samples, found {text}");

    private static NoiseRange Noise(string text)
    {
        var ends = text.Split('-');
        return ends.Length <= 2 && Number(ends[0], out var low) && Number(ends[^1], out var high)
            && new NoiseRange(low, high) is { IsPlausible: true } range ? range
            : throw new InputException($"--sigma: expected one number or two as A-B, ascending, from 0 to {NoiseRange.Most}, found {text}");

        static bool Number(string end, out double number) =>
            double.TryParse(end, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number);
    }
}
