using AnchorScope.Conflicts;

namespace AnchorScope.World;

/// <summary>
/// Assigns donors to the conflicts of a generated set: for each part the nearest earlier sample that fits both of its runs. Later samples
/// are not used, so that a longer set begins with the lines of a shorter one.
/// </summary>
internal static class WorldDonors
{
    private static readonly (string Factor, Func<ConflictSample, ConflictSample, bool> Fits)[] Rules =
    [
        ("instruction", (own, from) => !Crosses(own, own) && Crosses(own, from)),
        ("phrasing", (own, from) => Enum.GetValues<Modality>().All(m => IsOther(own.Instructions[m], from.Instructions[m]))),
        ("question", (own, from) => own.Category != from.Category && IsOther(own.Question, from.Question)),
        ("picture", (own, from) => IsNew(own, from, Modality.Vision)),
        ("note", (own, from) => IsNew(own, from, Modality.Text) && IsOther(own.TextContext!, from.TextContext!)),
        ("crossed", (own, from) => Crosses(own, from) && IsNew(own, from, Modality.Vision) && IsNew(own, from, Modality.Text)
            && IsOther(own.TextContext!, from.TextContext!) && Words(own.Question) == Words(from.Question)),
    ];

    /// <summary>The samples, with donors for each conflict.</summary>
    public static List<ConflictSample> In(IReadOnlyList<ConflictSample> samples)
    {
        var named = new List<ConflictSample>(samples.Count);
        for (var i = 0; i < samples.Count; i++)
        {
            var own = samples[i];
            var before = samples.Take(i).Reverse();
            named.Add(own.Kind != SampleKind.Conflict ? own : own with
            {
                Donors = Rules.Select(rule => (rule.Factor, From: before.FirstOrDefault(s => s.Kind == SampleKind.Conflict
                    && rule.Fits(own, s))))
                    .Where(d => d.From is not null).ToDictionary(d => d.Factor, d => d.From!.Id, StringComparer.Ordinal),
            });
        }
        return named;
    }

    /// <summary>Whether each instruction of one sample has the length of the opposite instruction of the second.</summary>
    private static bool Crosses(ConflictSample own, ConflictSample from) =>
        Words(own.Instructions[Modality.Vision]) == Words(from.Instructions[Modality.Text])
        && Words(own.Instructions[Modality.Text]) == Words(from.Instructions[Modality.Vision]);

    /// <summary>Whether the second sample asks for the same aspect, and its answer for a modality is not an answer of the first.</summary>
    private static bool IsNew(ConflictSample own, ConflictSample from, Modality modality) =>
        own.Category == from.Category && !own.Answers.Values.Any(answers => answers.Contains(from.Answers[modality][0]));

    private static bool IsOther(string own, string from) => own != from && Words(own) == Words(from);

    /// <summary>Number of words, each of which is a token of the organism.</summary>
    private static int Words(string text) => text.Split(' ').Length;
}
