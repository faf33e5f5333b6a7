namespace AnchorScope.Models;

/// <summary>
/// The learned position of each patch in a SmolVLM or Idefics3 tower. The reference sorts a patch's row and column, as fractions of the
/// picture, into float32 buckets. Rounding puts some rows and columns into a neighbouring bucket: with 25 patches per side, row 5 gets the
/// position of row 4.
/// </summary>
internal static class BucketedPositions
{
    // The reference computes its boundaries in vectors of eight, two vectors per step, and the rest one by one.
    private const int Lanes = 8, Step = 2 * Lanes;

    /// <summary>Row of the position table for each patch [side x side], row-major.</summary>
    /// <param name="side">Patches per side, at least 1.</param>
    public static int[] Of(int side)
    {
        var buckets = Buckets(side);
        return [.. buckets.SelectMany(row => buckets.Select(column => row * side + column))];
    }

    /// <summary>Bucket of each row, and equally of each column [side].</summary>
    public static int[] Buckets(int side)
    {
        var boundaries = Boundaries(side);
        var step = 1f / side;
        const float Last = (float)(1.0 - 1e-6);
        return [.. Enumerable.Range(0, side).Select(i => boundaries.Count(boundary => boundary <= MathF.Min(i * step, Last)))];
    }

    /// <summary>1/side, 2/side, ... below 1, with the reference's rounding.</summary>
    private static float[] Boundaries(int side)
    {
        var step = 1.0 / side;
        var boundaries = new float[(int)Math.Ceiling((1.0 - step) / step)];
        var grouped = boundaries.Length / Step * Step;
        for (var i = 0; i < boundaries.Length; i++)
        {
            // Within a vector, the first element is rounded to float32 before the others are computed from it.
            boundaries[i] = i < grouped ? (float)((float)(step + step * (i / Lanes * Lanes)) + i % Lanes * step) : (float)(step + step * i);
        }
        return boundaries;
    }
}
