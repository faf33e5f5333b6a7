using System.CommandLine;
using System.Globalization;

namespace AnchorScope.Cli;

/// <summary>
/// Options that are counts. A value below the minimum is refused when the command line is parsed, before anything is opened.
/// </summary>
internal static class Counts
{
    /// <summary><c>--threads</c>, identical in every command that computes.</summary>
    public static Option<int> Threads() => new Option<int>("--threads")
    {
        Description = "threads; changes no number", DefaultValueFactory = _ => Environment.ProcessorCount, HelpName = "N",
    }.AtLeast(1).AtMost(Engines.SessionOptions.MostThreads);

    /// <summary>Refuses values below <paramref name="least"/>.</summary>
    /// <returns>The same option.</returns>
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

    /// <summary>Refuses values above <paramref name="most"/>.</summary>
    /// <returns>The same option.</returns>
    public static TOption AtMost<TOption>(this TOption option, int most)
        where TOption : Option
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [.., { } last] && int.TryParse(last.Value, CultureInfo.InvariantCulture, out var value) && value > most)
                result.AddError(ParseErrors.Expected($"at most {most}"));
        });
        return option;
    }
}
