namespace AnchorScope;

/// <summary>SplitMix64 (Steele, Lea and Flood, 2014): a small generator whose draws do not depend on the runtime version.</summary>
/// <param name="after">Number of draws to skip.</param>
internal sealed class SplitMix(ulong seed, ulong after = 0)
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    private ulong _state = seed + after * Step;

    /// <summary>64 random bits.</summary>
    public ulong Next() => Mix(_state += Step);

    /// <summary>Draw <paramref name="index"/> (from 0) of a generator with this seed, without the draws before it.</summary>
    public static ulong At(ulong seed, ulong index) => Mix(seed + (index + 1) * Step);

    /// <summary>Uniform in [0, 1).</summary>
    public double Uniform() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform in 0 .. <paramref name="count"/> - 1.</summary>
    public int Below(int count) => (int)Math.BigMul(Next(), (ulong)count, out _);

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
