namespace AnchorScope.World;

/// <summary>Draws training samples. Thread-safe.</summary>
/// <param name="seed">Samples depend only on the seed, their split and their index.</param>
internal sealed class TrainingWorld(ulong seed)
{
    private const double TypicalInConflict = 0.6;
    private const double TypicalElsewhere = 0.8;
    private const double TypicalInClassification = 0.3;

    private readonly PictureRenderer _renderer = new();

    /// <summary>Packed sample <paramref name="index"/> of a split. Another mixture gives another sample from the same draws.</summary>
    /// <param name="split">Any name, for instance that of a training stage.</param>
    /// <exception cref="InputException">The mixture has a number out of range.</exception>
    public PackedSample Packed(string split, long index, MixtureOptions mixture)
    {
        mixture.Check();
        var random = WorldRandom.Of(seed, split, index);
        var kind = (PackedKind)random.Weighted(mixture.Kinds);
        var worlds = kind == PackedKind.Conflict
            ? TwoWorlds.Conflict(random, TypicalInConflict) : TwoWorlds.Agreeing(WorldState.Draw(random, TypicalElsewhere));
        var text = new PackedText(random, mixture, kind, worlds);
        text.Write();
        var picture = kind == PackedKind.TextOnly ? null : _renderer.Render(worlds.Picture, mixture.Sigma.Draw(random), random);
        return new PackedSample(kind, text.Tokens, text.Turns, picture);
    }

    /// <summary>Labelled picture <paramref name="index"/> of a split.</summary>
    /// <param name="split">Any name.</param>
    /// <param name="sigma">Noise of the picture.</param>
    public ClassificationSample Classification(string split, long index, NoiseRange sigma)
    {
        var random = WorldRandom.Of(seed, split, index);
        var world = WorldState.Draw(random, TypicalInClassification);
        return new ClassificationSample(_renderer.Render(world, sigma.Draw(random), random), world);
    }
}
