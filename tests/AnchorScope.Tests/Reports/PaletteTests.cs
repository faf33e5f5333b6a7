using AnchorScope.Figures;

namespace AnchorScope.Tests.Reports;

public sealed class PaletteTests
{
    public static TheoryData<bool> Papers => [true, false];

    /// <summary>WCAG 2.2: 3 for graphics, 4.5 for text.</summary>
    [Theory]
    [MemberData(nameof(Papers))]
    public void Colours_StandOutFromThePaper(bool light)
    {
        var palette = light ? Palette.Light : Palette.Dark;
        for (var slot = 0; slot < Palette.Slots; slot++) AtLeast(3, $"c{slot}");
        AtLeast(3, "control");
        foreach (var name in new[] { "ink", "quiet", "link", "good", "bad", "warn" })
        {
            AtLeast(4.5, name);
            Assert.True(Colour.Contrast(palette[name], palette["raised"]) >= 4.5, name);
        }

        void AtLeast(double ratio, string name) => Assert.True(Colour.Contrast(palette[name], palette["paper"]) >= ratio, name);
    }

    [Theory]
    [MemberData(nameof(Papers))]
    public void DivergingScale_MovesAwayFromThePaperOnBothSides(bool light)
    {
        var palette = light ? Palette.Light : Palette.Dark;
        foreach (var side in new[] { -1, 1 })
        {
            var contrasts = Enumerable.Range(0, Palette.Steps + 1)
                .Select(step => Colour.Contrast(palette[$"v{Palette.Steps + side * step}"], palette["paper"])).ToArray();
            Assert.All(contrasts.Zip(contrasts.Skip(1)), pair => Assert.True(pair.Second > pair.First));
            Assert.True(contrasts[^1] > 4.5);
        }
    }

    [Fact]
    public void Contrast_OfBlackOnWhiteIs21() =>
        Assert.Equal(21, Colour.Contrast(Colour.Parse("#000000"), Colour.Parse("#ffffff")), 1e-9);

    [Fact]
    public void Mix_EndsAtItsEnds()
    {
        var (from, to) = (Colour.Parse("#f5f5f3"), Colour.Parse("#ad2b12"));
        Assert.Equal(from, Colour.Mix(from, to, 0));
        Assert.Equal(to, Colour.Mix(from, to, 1));
    }
}
