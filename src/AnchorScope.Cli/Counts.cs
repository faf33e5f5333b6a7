using System.CommandLine;
using System.Globalization;

namespace AnchorScope.Cli;

/// <summary>Options that are counts. One that is too small is refused where the command line is read, before anything is opened.</summary>
internal static class Counts
{
    /// <summary><c>--threads</c>, the same in every command that computes.</summary>
    public static Option<int> Threads() => new Option<int>("--threads")
    {
        Description = "threads; changes no number", DefaultValueFactory = _ => Environment.ProcessorCount, HelpName = "N",
    }.AtLeast(1);

    /// <summary>Refuses what is below <paramref name="least"/>.</summary>
    /// <returns>The option itself.</returns>
    public static TOption AtLeast<TOption>(this TOption option, int least)
        where TOption : Option
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [.., { } last] && int.TryParse(last.Value, CultureInfo.InvariantCulture, out var value) && value < least)
                result.AddError(ParseErrors.Expected($"at least {least}"));
        });
        return option;
    }
}
