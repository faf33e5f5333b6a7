using AnchorScope.Conflicts;

namespace AnchorScope.World;

/// <summary>
/// Sentences that name the modality to trust. One verb-noun pair in four is held out: training never uses it, so an instruction with it
/// shows whether the words were understood or the sentences memorised.
/// </summary>
internal static class Instructions
{
    /// <summary>
    /// Number of forms of a sentence: 0 "trust the picture", 1 "ignore the note", 2 "trust the picture not the note", 3 "ignore the note ,
    /// trust the picture".
    /// </summary>
    public const int Forms = 4;

    private static readonly string[] Positive = ["trust", "follow", "use", "believe", "answer from", "rely on", "go by", "take"];
    private static readonly string[] Negative = ["ignore", "distrust", "do not trust", "do not use", "forget", "never mind"];
    private static readonly string[] PictureNouns = ["picture", "image", "photo", "scene"];
    private static readonly string[] NoteNouns = ["note", "text", "message", "sentence"];
    private static readonly double[] NounWeights = [0.5, 0.25, 0.15, 0.1];
    private static readonly double[] PositiveWeights = [.. Positive.Select((_, i) => 1.0 / (i + 1))];
    private static readonly double[] NegativeWeights = [.. Negative.Select((_, i) => 1.0 / (i + 1))];

    // Half of the sentences have no opening.
    private static readonly string[] Openings = ["", "", "", "please ", "now ", "this time "];

    private static readonly string[] ShortTrails = ["now please", ", please answer", ". answer now", "please answer now",
        ", now please", ", answer please"];

    private static readonly string[] LongTrails =
    [
        ". now please answer it", ". please answer it now", ". please answer this time", ". it is time , please answer now",
        ". someone says please answer now",
        ". there is time , please answer", ". please answer now , this time", ". all is here , please answer",
    ];

    /// <summary>An instruction to follow <paramref name="modality"/>.</summary>
    /// <param name="forms">Weight of each form.</param>
    /// <param name="heldOut">Whether only held-out pairs are used, with uniform verbs and nouns. Otherwise only other pairs, with common
    /// words more frequent than rare ones.</param>
    public static string Draw(WorldRandom random, Modality modality, IReadOnlyList<double> forms, bool heldOut = false)
    {
        var other = modality == Modality.Vision ? Modality.Text : Modality.Vision;
        var sentence = random.Weighted(forms) switch
        {
            0 => Pair(random, negative: false, modality, heldOut),
            1 => Pair(random, negative: true, other, heldOut),
            2 => $"{Pair(random, negative: false, modality, heldOut)} not the {random.Pick(Nouns(other))}",
            _ => $"{Pair(random, negative: true, other, heldOut)} , {Pair(random, negative: false, modality, heldOut)}",
        };
        return random.Pick(Openings) + sentence;
    }

    /// <summary>
    /// Words without content after an instruction, two or three or with <paramref name="isLong"/> five to eight, including punctuation.
    /// Training has none.
    /// </summary>
    public static string Trail(WorldRandom random, bool isLong) => random.Pick(isLong ? LongTrails : ShortTrails);

    /// <summary>A pair such as "trust the picture", drawn again until it is held out or not, as required.</summary>
    private static string Pair(WorldRandom random, bool negative, Modality of, bool heldOut)
    {
        var (verbs, weights) = negative ? (Negative, NegativeWeights) : (Positive, PositiveWeights);
        while (true)
        {
            var verb = heldOut ? random.Below(verbs.Length) : random.Weighted(weights);
            var noun = heldOut ? random.Below(NounWeights.Length) : random.Weighted(NounWeights);
            var held = (verb + (negative ? 2 : 0) + (of == Modality.Text ? 1 : 0)) % NounWeights.Length;
            if (noun == held == heldOut) return $"{verbs[verb]} the {Nouns(of)[noun]}";
        }
    }

    private static string[] Nouns(Modality of) => of == Modality.Vision ? PictureNouns : NoteNouns;
}
