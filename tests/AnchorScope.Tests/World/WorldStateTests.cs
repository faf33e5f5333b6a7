using AnchorScope.World;

namespace AnchorScope.Tests.World;

public sealed class WorldStateTests
{
    private const int Draws = 20_000;

    [Theory]
    [InlineData(0.3)]
    [InlineData(0.8)]
    public void Draw_IsUniformButForTheTypicalColour(double typical)
    {
        var worlds = Enumerable.Range(0, Draws).Select(i => WorldState.Draw(WorldRandom.Of(1, "worlds", i), typical)).ToList();
        for (var i = 0; i < 8; i++)
        {
            Frequency.Is($"shape {i}", 1 / 8.0, worlds.Count(w => w.Shape == i), Draws);
            Frequency.Is($"colour {i}", 1 / 8.0, worlds.Count(w => w.Colour == i), Draws);
            Frequency.Is($"colour {i} of the next shape", (1 - typical) / 64,
                worlds.Count(w => w.Colour == i && w.Shape == (i + 1) % 8), Draws);
        }
        for (var i = 0; i < 4; i++)
        {
            Frequency.Is($"count {i}", 0.25, worlds.Count(w => w.Count == i), Draws);
            Frequency.Is($"place {i}", 0.25, worlds.Count(w => w.Place == i), Draws);
        }
        // The uniform colour may be the typical one as well.
        Frequency.Is("typical", typical + (1 - typical) / 8, worlds.Count(w => w.IsTypical), Draws);
    }

    [Theory]
    [InlineData(0.3)]
    [InlineData(0.6)]
    public void Conflict_DiffersInColourCountAndPlace(double typical)
    {
        var sameShape = 0;
        for (var i = 0; i < Draws; i++)
        {
            var both = TwoWorlds.Conflict(WorldRandom.Of(2, "conflicts", i), typical);
            Assert.NotEqual(both.Picture.Colour, both.Note.Colour);
            Assert.NotEqual(both.Picture.Count, both.Note.Count);
            Assert.NotEqual(both.Picture.Place, both.Note.Place);
            if (both.Picture.Shape == both.Note.Shape) sameShape++;
        }
        Frequency.Is("same shape", SameShape(typical), sameShape, Draws);
    }

    /// <summary>
    /// Counted over all pairs of shape and colour: the picture's is drawn once, the note's again until the colours differ.
    /// </summary>
    private static double SameShape(double typical)
    {
        double Weight(int shape, int colour) => ((shape == colour ? typical : 0) + (1 - typical) / 8) / 8;
        var share = 0.0;
        foreach (var (shape, colour) in Pairs())
        {
            double same = 0, all = 0;
            foreach (var (other, otherColour) in Pairs().Where(p => p.Colour != colour))
            {
                var weight = Weight(other, otherColour);
                all += weight;
                same += weight * (other == shape ? 1 : 0.3);
            }
            share += Weight(shape, colour) * same / all;
        }
        return share;

        static IEnumerable<(int Shape, int Colour)> Pairs() => Enumerable.Range(0, 64).Select(i => (i / 8, i % 8));
    }
}
