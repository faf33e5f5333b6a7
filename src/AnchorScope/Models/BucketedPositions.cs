namespace AnchorScope.Models;

/// <summary>
/// Which learned position each patch of a SmolVLM or Idefics3 tower gets. The reference sorts a patch's place, as a fraction of the
/// picture, into buckets of float32 numbers. Rounding puts some rows and columns into the bucket of their neighbour: with 25 patches
/// along a side, row 5 gets the position of row 4.
/// </summary>
internal static class BucketedPositions
{
    // The reference's sequence of boundaries is computed eight numbers at a time, two such groups a step, the rest one by one.
    private const int Lanes = 8, Step = 2 * Lanes;

    /// <summary>Index into the table of positions for each patch, row by row [side x side].</summary>
    /// <param name="side">Patches along one side, at least 1.</param>
    public static int[] Of(int side)
    {
        var buckets = Buckets(side);
        return [.. buckets.SelectMany(row => buckets.Select(column => row * side + column))];
    }

    /// <summary>Bucket of each row, and of each column [side].</summary>
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
            // Within a group the first number is rounded to float32 before the others are counted from it.
            boundaries[i] = i < grouped ? (float)((float)(step + step * (i / Lanes * Lanes)) + i % Lanes * step) : (float)(step + step * i);
        }
        return boundaries;
    }
}
