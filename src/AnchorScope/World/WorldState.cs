namespace AnchorScope.World;

/// <summary>The properties of a world that can be asked about.</summary>
internal enum Aspect
{
    /// <summary>The kind of thing.</summary>
    Shape,

    /// <summary>Their common colour.</summary>
    Colour,

    /// <summary>Their number.</summary>
    Count,

    /// <summary>Their place.</summary>
    Place,
}

/// <summary>
/// One to four things of one shape and one colour at a place. Numbers are indices into the words of <see cref="Phrases"/>.
/// </summary>
/// <param name="Shape">0 to 7.</param>
/// <param name="Colour">0 to 7.</param>
/// <param name="Count">0 to 3, for one to four things.</param>
/// <param name="Place">0 to 3.</param>
internal readonly record struct WorldState(int Shape, int Colour, int Count, int Place)
{
    /// <summary>Number of shapes, and of colours.</summary>
    public const int Shapes = 8;

    /// <summary>Number of counts, and of places.</summary>
    public const int Counts = 4;

    /// <summary>The i-th colour is typical of the i-th shape: a red heart, a yellow star, a green leaf.</summary>
    public bool IsTypical => Colour == Shape;

    /// <summary>The index of one aspect.</summary>
    public int this[Aspect aspect] => aspect switch { Aspect.Shape => Shape, Aspect.Colour => Colour, Aspect.Count => Count, _ => Place };

    /// <summary>
    /// Draws all properties uniformly, except that the colour is the typical one with probability <paramref name="typical"/> and uniform
    /// otherwise.
    /// </summary>
    public static WorldState Draw(WorldRandom random, double typical)
    {
        var shape = random.Below(Shapes);
        var colour = random.Chance(typical) ? shape : random.Below(Shapes);
        return new WorldState(shape, colour, random.Below(Counts), random.Below(Counts));
    }
}

/// <summary>The contents of a picture and a note.</summary>
/// <param name="Picture">Content of the picture.</param>
/// <param name="Note">Content of the note.</param>
internal readonly record struct TwoWorlds(WorldState Picture, WorldState Note)
{
    private const double SameShape = 0.3;

    /// <summary>Whether the two sides answer a question about <paramref name="aspect"/> differently.</summary>
    public bool Differs(Aspect aspect) => Picture[aspect] != Note[aspect];

    /// <summary>Two equal contents.</summary>
    public static TwoWorlds Agreeing(WorldState world) => new(world, world);

    /// <summary>
    /// Draws a conflict: colour, count and place differ, the shape may be equal. The note's world takes the picture's shape in three of ten
    /// draws, and is drawn again until the rest differs.
    /// </summary>
    /// <param name="typical">Probability of the typical colour, for both.</param>
    public static TwoWorlds Conflict(WorldRandom random, double typical)
    {
        var picture = WorldState.Draw(random, typical);
        while (true)
        {
            var note = WorldState.Draw(random, typical);
            if (random.Chance(SameShape)) note = note with { Shape = picture.Shape };
            var both = new TwoWorlds(picture, note);
            if (both.Differs(Aspect.Colour) && both.Differs(Aspect.Count) && both.Differs(Aspect.Place)) return both;
        }
    }
}
