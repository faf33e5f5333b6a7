using AnchorScope.Conflicts;
using AnchorScope.World;

namespace AnchorScope.Tests.World;

public sealed class InstructionsTests
{
    private const int Draws = 20_000;

    private static readonly double[] NounWeights = [0.5, 0.25, 0.15, 0.1];

    [Theory]
    [InlineData(Modality.Vision, false)]
    [InlineData(Modality.Vision, true)]
    [InlineData(Modality.Text, false)]
    [InlineData(Modality.Text, true)]
    public void EveryForm_MeansTheModality(Modality modality, bool heldOut)
    {
        for (var form = 0; form < Instructions.Forms; form++)
        {
            var weights = new double[Instructions.Forms];
            weights[form] = 1;
            foreach (var text in Some(modality, weights, heldOut, 2000))
            {
                Assert.Equal(form, text.Form);
                Assert.Equal(modality, text.Followed);
                Assert.All(text.Pairs, pair => Assert.Equal(heldOut, pair.IsHeldOut));
                Assert.All(text.Pairs, pair => Assert.Equal(pair.IsNegative ? Other(modality) : modality, pair.Of));
                if (form == 2) Assert.Contains(text.NotThe, modality == Modality.Vision ? InstructionText.Note : InstructionText.Picture);
                Assert.Equal("", text.Trail);
            }
        }
    }

    [Theory]
    [InlineData(Modality.Vision)]
    [InlineData(Modality.Text)]
    public void VerbsAndNouns_HaveTheirWeights(Modality modality)
    {
        foreach (var (form, verbs, of) in new[] { (0, InstructionText.Positive, modality), (1, InstructionText.Negative, Other(modality)) })
        {
            double[] forms = form == 0 ? [1, 0, 0, 0] : [0, 1, 0, 0];
            var nouns = of == Modality.Vision ? InstructionText.Picture : InstructionText.Note;
            // 1/(i+1) times the noun's weight, the held-out pairs left out.
            var weights = verbs.SelectMany(
                (verb, i) => nouns.Select((noun, j) => (Pair: new InstructionText.Pair(verb, noun), Weight: NounWeights[j] / (i + 1))))
                .Where(p => !p.Pair.IsHeldOut).ToList();
            var total = weights.Sum(p => p.Weight);
            var drawn = Some(modality, forms, heldOut: false, Draws).Select(text => text.Pairs[0]).ToList();
            foreach (var (pair, weight) in weights) Frequency.Is($"{pair}", weight / total, drawn.Count(p => p == pair), Draws);
        }
    }

    [Fact]
    public void HeldOutPairs_AreAllAlike()
    {
        var drawn = Some(Modality.Text, [1, 0, 0, 0], heldOut: true, Draws).Select(text => text.Pairs[0]).ToList();
        Assert.Equal(8, drawn.Distinct().Count());
        foreach (var pair in drawn.Distinct()) Frequency.Is($"{pair}", 1 / 8.0, drawn.Count(p => p == pair), Draws);
    }

    [Fact]
    public void FormsOpeningsAndOtherNouns_HaveTheirWeights()
    {
        double[] forms = [0.76, 0.08, 0.12, 0.04];
        var drawn = Some(Modality.Vision, forms, heldOut: false, Draws).ToList();
        for (var form = 0; form < forms.Length; form++) Frequency.Is($"form {form}", forms[form], drawn.Count(t => t.Form == form), Draws);
        Frequency.Is("no opening", 0.5, drawn.Count(t => t.Opening.Length == 0), Draws);
        foreach (var opening in new[] { "please ", "now ", "this time " })
            Frequency.Is(opening, 1 / 6.0, drawn.Count(t => t.Opening == opening), Draws);
        var others = drawn.Where(t => t.Form == 2).ToList();
        foreach (var noun in InstructionText.Note) Frequency.Is($"not the {noun}", 0.25, others.Count(t => t.NotThe == noun), others.Count);
    }

    [Theory]
    [InlineData(false, 6, 2, 3)]
    [InlineData(true, 8, 5, 8)]
    public void Trails_AreShortOrLong(bool isLong, int different, int fewest, int most)
    {
        var trails = Enumerable.Range(0, 400).Select(i => Instructions.Trail(WorldRandom.Of(3, "trails", i), isLong)).Distinct().ToList();
        Assert.Equal(different, trails.Count);
        Assert.All(trails, trail => Assert.InRange(trail.Split(' ').Length, fewest, most));
    }

    private static IEnumerable<InstructionText> Some(Modality modality, double[] forms, bool heldOut, int count) =>
        Enumerable.Range(0, count).Select(
            i => InstructionText.Parse(Instructions.Draw(WorldRandom.Of(5, "instructions", i), modality, forms, heldOut)));

    private static Modality Other(Modality modality) => modality == Modality.Vision ? Modality.Text : Modality.Vision;
}
