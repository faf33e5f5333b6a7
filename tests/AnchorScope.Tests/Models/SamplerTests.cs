using AnchorScope.Engines;

namespace AnchorScope.Tests.Models;

/// <summary>Laws of sampling a token.</summary>
public sealed class SamplerTests
{
    private static readonly float[] Logits = [0.5f, 2, -1, 1.5f, 2, float.NegativeInfinity, 0];

    [Fact]
    public void WithoutCuts_ItIsTheSoftmax()
    {
        var total = Logits.Sum(l => Math.Exp(l / 0.8));
        var drawn = new Sampler(new Sampling(0.8)).Probabilities(Logits).ToDictionary(d => d.Token, d => d.Probability);
        Assert.Equal(6, drawn.Count);
        foreach (var (token, probability) in drawn) Assert.Equal(Math.Exp(Logits[token] / 0.8) / total, probability, 1e-12);
    }

    [Theory]
    [InlineData(1, new[] { 1, 4 })] // as likely as the first
    [InlineData(2, new[] { 1, 4 })]
    [InlineData(3, new[] { 1, 4, 3 })]
    [InlineData(100, new[] { 1, 4, 3, 0, 6, 2 })]
    public void TopK_KeepsTheLikeliest_AndThoseAsLikelyAsTheLast(int k, int[] kept) =>
        Assert.Equal(kept, new Sampler(new Sampling(1, k)).Probabilities(Logits).Select(d => d.Token));

    [Theory]
    [InlineData(1e-9)]
    [InlineData(0.3)]
    [InlineData(0.61)]
    [InlineData(0.9)]
    [InlineData(1.0)]
    public void TopP_KeepsTheFewestThatReachP_AndTheyAddUpToOne(double p)
    {
        var all = new Sampler(new Sampling(1)).Probabilities(Logits);
        var kept = new Sampler(new Sampling(1, 0, p)).Probabilities(Logits);
        Assert.Equal(all.Take(kept.Count).Select(d => d.Token), kept.Select(d => d.Token));
        var mass = all.Take(kept.Count).Sum(d => d.Probability);
        Assert.True(mass >= p - 1e-12, $"{mass} of {p}");
        Assert.True(kept.Count == 1 || all.Take(kept.Count - 1).Sum(d => d.Probability) < p, "one token fewer reaches p too");
        Assert.Equal(1, kept.Sum(d => d.Probability), 1e-12);
        foreach (var (whole, part) in all.Zip(kept)) Assert.Equal(whole.Probability / mass, part.Probability, 1e-12);
    }

    [Fact]
    public void TopK_ComesBeforeTopP()
    {
        // Of two tokens left with probabilities 2/3 and 1/3, 0.6 takes one; of all four with 0.4, 0.2, 0.2, 0.2 it takes two.
        float[] logits = [MathF.Log(4), MathF.Log(2), MathF.Log(1.999f), MathF.Log(1.998f)];
        Assert.Single(new Sampler(new Sampling(1, 2, 0.6)).Probabilities(logits));
        Assert.Equal(2, new Sampler(new Sampling(1, 0, 0.6)).Probabilities(logits).Count);
    }

    [Fact]
    public void Temperature_GoingDown_BecomesTheArgMax()
    {
        float[] logits = [0.5f, 2, -1, 1.75f, 1];
        Assert.Equal(1, new Sampler(Sampling.Greedy).Choose(logits));
        var last = 0.0;
        foreach (var temperature in new[] { 10, 1, 0.1, 0.01, 1e-6 })
        {
            var first = new Sampler(new Sampling(temperature)).Probabilities(logits)[0];
            Assert.Equal(1, first.Token);
            Assert.True(first.Probability > last);
            last = first.Probability;
        }
        Assert.Equal(1, last);
        var sampler = new Sampler(new Sampling(1e-6, Seed: 3));
        for (var i = 0; i < 200; i++) Assert.Equal(1, sampler.Choose(logits));
    }

    [Fact]
    public void Frequencies_AreTheProbabilities()
    {
        const int Times = 20_000;
        var sampling = new Sampling(1.3, 5, 0.95, Seed: 11);
        var expected = new Sampler(sampling).Probabilities(Logits);
        var sampler = new Sampler(sampling);
        var counts = new int[Logits.Length];
        for (var i = 0; i < Times; i++) counts[sampler.Choose(Logits)]++;
        Assert.Equal(Times, expected.Sum(d => counts[d.Token]));
        // Five standard deviations of a count: fewer than one seed in a million would fail.
        foreach (var (token, probability) in expected) Assert.InRange(Math.Abs(counts[token] - Times * probability), 0,
            5 * Math.Sqrt(Times * probability * (1 - probability)));
        Assert.True(expected.Count > 2);
    }

    [Fact]
    public void TheSameSeed_GivesTheSameTokens()
    {
        int[] Drawn(ulong seed)
        {
            var sampler = new Sampler(new Sampling(2, Seed: seed));
            return [.. Enumerable.Range(0, 50).Select(_ => sampler.Choose(Logits))];
        }
        Assert.Equal(Drawn(5), Drawn(5));
        Assert.NotEqual(Drawn(5), Drawn(6));
    }

    [Fact]
    public void NoTokenLeft_IsSaid() =>
        Assert.Contains("no token is left to follow", Assert.Throws<InputException>(() => new Sampler(new Sampling(1))
            .Choose([float.NegativeInfinity, float.NegativeInfinity])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(-1, 0, 1, "Temperature: expected 0 (the arg-max) or above, found -1")]
    [InlineData(double.NaN, 0, 1, "Temperature: expected 0")]
    [InlineData(double.PositiveInfinity, 0, 1, "Temperature: expected 0")]
    [InlineData(1, -1, 1, "TopK: expected 0 (all tokens) or above, found -1")]
    [InlineData(1, 0, 0, "TopP: expected above 0 and at most 1, found 0")]
    [InlineData(1, 0, 1.1, "TopP: expected above 0 and at most 1, found 1.1")]
    [InlineData(0, 3, 1, "TopK: has no effect with greedy decoding; expected Temperature above 0 beside it")]
    [InlineData(0, 0, 0.5, "TopP: has no effect with greedy decoding")]
    public void NumbersOutOfRange_AreNamed(double temperature, int topK, double topP, string message) =>
        Assert.StartsWith(message, Assert.Throws<InputException>(() => new Sampling(temperature, topK, topP).Validate(name => name))
            .Message, StringComparison.Ordinal);
}
