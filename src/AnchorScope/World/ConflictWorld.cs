using System.Globalization;
using AnchorScope.Conflicts;
using AnchorScope.Prompts;

namespace AnchorScope.World;

/// <summary>The purpose of a set of samples.</summary>
internal enum WorldSplit
{
    /// <summary>Conflicts for ranking heads.</summary>
    Rank,

    /// <summary>Conflicts for testing, from the same distribution.</summary>
    Test,

    /// <summary>The same with instructions of verb-noun pairs that training never uses.</summary>
    HeldOut,

    /// <summary>The same with words after the instruction, alternating between few and many, and noisier pictures.</summary>
    Hard,

    /// <summary>Conflicts about the colour of one thing, which is typical on only one side; noisier pictures.</summary>
    Inertia,

    /// <summary>No conflict: both sides agree, or there is only one.</summary>
    Control,
}

/// <summary>A sample and its picture. The sample refers to the picture as "images/ID.png".</summary>
internal sealed record WorldSample(ConflictSample Sample, Picture? Picture);

/// <summary>Draws the samples of conflict sets. Thread-safe.</summary>
/// <param name="seed">Samples depend only on the seed, their split and their index.</param>
/// <param name="sigma">Noise of all pictures; null: that of each split.</param>
internal sealed class ConflictWorld(ulong seed, NoiseRange? sigma = null)
{
    private const double Typical = 0.3;
    private const double TypicalInInertia = 0.6;
    private const double TypicalInControl = 0.5;

    private static readonly NoiseRange Noisy = new(0.06, 0.14);

    // "trust the picture", sometimes "trust the picture not the note"; never "ignore the note".
    private static readonly double[] Forms = [0.85, 0, 0.15, 0];

    // Each kind is used for one sample of every aspect: 44, 28 and 28 per cent.
    private static readonly SampleKind[] Controls =
        [SampleKind.Agree, SampleKind.ImageOnly, SampleKind.TextOnly, SampleKind.Agree, SampleKind.ImageOnly,
            SampleKind.TextOnly, SampleKind.Agree];

    private static readonly int Aspects = Enum.GetValues<Aspect>().Length;

    private readonly PictureRenderer _renderer = new();

    /// <summary>Name of a split's file and prefix of its ids: "rank", "heldout", …</summary>
    public static string NameOf(WorldSplit split) => split.ToString().ToLowerInvariant();

    /// <summary>Sample <paramref name="index"/> (from 0) of a split.</summary>
    public WorldSample Draw(WorldSplit split, int index)
    {
        var random = WorldRandom.Of(seed, NameOf(split), index);
        // Aspects alternate, and other properties change after each round of them, so that all combinations are equally frequent.
        var (round, aspect) = (index / Aspects, split == WorldSplit.Inertia ? Aspect.Colour : (Aspect)(index % Aspects));
        var kind = split == WorldSplit.Control ? Controls[round % Controls.Length] : SampleKind.Conflict;
        var isLong = round % 2 == 1;
        var untypical = index % 2 == 0 ? Modality.Vision : Modality.Text;
        var worlds = split switch
        {
            WorldSplit.Control => TwoWorlds.Agreeing(WorldState.Draw(random, TypicalInControl)),
            WorldSplit.Inertia => OneUntypical(random, untypical),
            _ => About(random, aspect),
        };
        var question = Phrases.Question(random, aspect);
        var note = Phrases.Note(random, worlds.Note);
        Modality[] sides = kind switch
        {
            SampleKind.ImageOnly => [Modality.Vision],
            SampleKind.TextOnly => [Modality.Text],
            _ => [Modality.Vision, Modality.Text],
        };
        var instructions = sides.ToDictionary(side => side,
            side => Instructions.Draw(random, side, Forms, heldOut: split == WorldSplit.HeldOut));
        if (split == WorldSplit.Hard)
        {
            // The same words for both, so that they differ only in the modality.
            var trail = Instructions.Trail(random, isLong);
            foreach (var side in sides) instructions[side] += " " + trail;
        }
        var id = $"{NameOf(split)}-{index.ToString("D4", CultureInfo.InvariantCulture)}";
        var sample = new ConflictSample
        {
            Id = id,
            Image = kind == SampleKind.TextOnly ? null : $"images/{id}.png",
            Question = question,
            TextContext = kind == SampleKind.ImageOnly ? null : note,
            Instructions = instructions,
            Answers = sides.ToDictionary(side => side,
                side => (IReadOnlyList<string>)[Phrases.Word(side == Modality.Vision ? worlds.Picture : worlds.Note, aspect)]),
            Category = aspect.ToString().ToLowerInvariant(),
            Kind = kind,
            Tags = split switch
            {
                WorldSplit.HeldOut => ["held_out_instruction"],
                WorldSplit.Hard => isLong ? ["trailing_words", "long_trail"] : ["trailing_words"],
                WorldSplit.Inertia => ["inertia", untypical == Modality.Vision ? "untypical_vision" : "untypical_text"],
                WorldSplit.Control => [SampleReader.NameOf(kind)],
                _ => [],
            },
        };
        var noise = sigma ?? (split is WorldSplit.Hard or WorldSplit.Inertia ? Noisy : NoiseRange.Clear);
        return new WorldSample(sample, sample.Image is null ? null : _renderer.Render(worlds.Picture, noise.Draw(random), random));
    }

    private static TwoWorlds About(WorldRandom random, Aspect aspect)
    {
        while (true)
        {
            var worlds = TwoWorlds.Conflict(random, Typical);
            if (worlds.Differs(aspect)) return worlds;
        }
    }

    private static TwoWorlds OneUntypical(WorldRandom random, Modality side)
    {
        while (true)
        {
            var worlds = TwoWorlds.Conflict(random, TypicalInInertia);
            if (!worlds.Differs(Aspect.Shape) && worlds.Picture.IsTypical == (side == Modality.Text)
                && worlds.Note.IsTypical == (side == Modality.Vision))
                return worlds;
        }
    }
}
