using System.Security.Cryptography;
using System.Text;

namespace AnchorScope.World;

/// <summary>
/// The draws of one sample. They follow from seed, split and index alone, so a sample is the same on every machine, on any number of
/// threads, and however many others there are.
/// </summary>
internal sealed class WorldRandom
{
    private readonly SplitMix _draws;

    private WorldRandom(ulong key) => _draws = new SplitMix(key);

    /// <summary>The draws of sample <paramref name="index"/> of a split, from the first.</summary>
    public static WorldRandom Of(ulong seed, string split, long index) =>
        // A hash, since neighbouring seeds of SplitMix give streams that overlap.
        new(BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\n{split}\n{index}"))));

    /// <summary>64 random bits.</summary>
    public ulong Bits() => _draws.Next();

    /// <summary>Uniform in 0 .. <paramref name="count"/> - 1.</summary>
    public int Below(int count) => _draws.Below(count);

    /// <summary>Uniform in [<paramref name="low"/>, <paramref name="high"/>).</summary>
    public double Uniform(double low, double high) => low + (high - low) * _draws.Uniform();

    /// <summary>True with this probability.</summary>
    public bool Chance(double probability) => _draws.Uniform() < probability;

    /// <summary>Each with the same probability.</summary>
    public T Pick<T>(IReadOnlyList<T> choices) => choices[Below(choices.Count)];

    /// <summary>An index with probability in proportion to its weight; weights need not add up to 1, one is above 0.</summary>
    public int Weighted(IReadOnlyList<double> weights)
    {
        var left = Uniform(0, weights.Sum());
        var chosen = -1;
        // What rounding may leave over falls to the last one that has a weight.
        for (var i = 0; i < weights.Count && left >= 0; i++)
        {
            if (weights[i] <= 0) continue;
            chosen = i;
            left -= weights[i];
        }
        return chosen;
    }
}
