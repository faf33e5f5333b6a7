using System.Text.Json.Serialization;

namespace AnchorScope.World;

/// <summary>Standard deviation of a picture's noise, in units of white, drawn uniformly for each picture.</summary>
/// <param name="Low">At least 0.</param>
/// <param name="High">At least <paramref name="Low"/>; equal to it for fixed noise.</param>
internal readonly record struct NoiseRange([property: JsonPropertyName("low")] double Low, [property: JsonPropertyName("high")] double High)
{
    /// <summary>Largest useful noise, because pixels have values from 0 to 1.</summary>
    public const double Most = 1;

    /// <summary>Noise of clear pictures.</summary>
    public static NoiseRange Clear { get; } = new(0.02, 0.08);

    /// <summary>Whether 0 &lt;= low &lt;= high &lt;= <see cref="Most"/>.</summary>
    [JsonIgnore]
    public bool IsPlausible => Low >= 0 && High >= Low && High <= Most;

    /// <summary>Draws a standard deviation from the range.</summary>
    public double Draw(WorldRandom random) => random.Uniform(Low, High);
}
