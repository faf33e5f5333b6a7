using System.Globalization;
using System.Text;
using AnchorScope.Metrics;

namespace AnchorScope.Tuning;

/// <summary>The section of a model card about measured effects.</summary>
internal static class TuningCard
{
    /// <summary>Results before and after on every test set, in Markdown.</summary>
    public static string Effects(IReadOnlyList<TuningSet> sets)
    {
        var text = new StringBuilder("""
            ## Measured effects and side effects

            Share of runs whose likeliest next token begins the instructed answer (without a conflict: the right answer), on samples that were not learnt from; change with its 95 % score interval over samples.

            | set | runs | before | after | change |
            |---|---|---|---|---|

            """);
        foreach (var set in sets)
        {
            var (before, after) = (set.Rates[0], set.Rates[1]);
            text.Append(CultureInfo.InvariantCulture,
                $"| {Baking.ModelCard.Cell(set.Name)}{(set.Conflict ? "" : ", no conflict")} | {set.Runs} | "
                    + $"{before.Follows.All.Mean:0.000} | {after.Follows.All.Mean:0.000} | {Interval(after.Change.All)} |\n");
        }
        return text.Append('\n').ToString();
    }

    private static string Interval(Estimate e) =>
        string.Create(
            CultureInfo.InvariantCulture, $"{e.Mean:+0.000;-0.000;0.000} [{e.Low:+0.000;-0.000;0.000}, {e.High:+0.000;-0.000;0.000}]");
}
