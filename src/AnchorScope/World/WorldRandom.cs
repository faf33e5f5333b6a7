using System.Security.Cryptography;
using System.Text;

namespace AnchorScope.World;

/// <summary>
/// The random draws of one sample. They depend only on seed, split and index, so a sample is the same on every machine, with any number of
/// threads, and for any number of samples.
/// </summary>
internal sealed class WorldRandom
{
    private readonly SplitMix _draws;

    private WorldRandom(ulong key) => _draws = new SplitMix(key);

    /// <summary>The draws of sample <paramref name="index"/> of a split, from the first.</summary>
    public static WorldRandom Of(ulong seed, string split, long index) =>
        // Hashed, because neighbouring seeds of SplitMix give overlapping streams.
        new(BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\n{split}\n{index}"))));

    /// <summary>64 random bits.</summary>
    public ulong Bits() => _draws.Next();

    /// <summary>Uniform in 0 .. <paramref name="count"/> - 1.</summary>
    public int Below(int count) => _draws.Below(count);

    /// <summary>Uniform in [<paramref name="low"/>, <paramref name="high"/>).</summary>
    public double Uniform(double low, double high) => low + (high - low) * _draws.Uniform();

    /// <summary>True with this probability.</summary>
    public bool Chance(double probability) => _draws.Uniform() < probability;

    /// <summary>Uniform choice.</summary>
    public T Pick<T>(IReadOnlyList<T> choices) => choices[Below(choices.Count)];

    /// <summary>An index with probability proportional to its weight. Weights need not sum to 1; at least one is above 0.</summary>
    public int Weighted(IReadOnlyList<double> weights)
    {
        var left = Uniform(0, weights.Sum());
        var chosen = -1;
        // A remainder from rounding goes to the last index with a positive weight.
        for (var i = 0; i < weights.Count && left >= 0; i++)
        {
            if (weights[i] <= 0) continue;
            chosen = i;
            left -= weights[i];
        }
        return chosen;
    }
}
