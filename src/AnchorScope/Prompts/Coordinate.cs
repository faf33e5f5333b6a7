namespace AnchorScope.Prompts;

/// <summary>
/// The coordinates of a position for the rotary embedding. Text has the same number on all axes. In families with a multimodal rotary
/// embedding, image tokens have their row and column in the picture.
/// </summary>
/// <param name="Time">Axis 0; the only one that plain rotary embeddings use.</param>
/// <param name="Row">Axis 1.</param>
/// <param name="Column">Axis 2.</param>
public readonly record struct Coordinate(int Time, int Row, int Column)
{
    /// <summary>The largest of the three. Later positions have larger coordinates.</summary>
    public int Highest => Math.Max(Time, Math.Max(Row, Column));

    /// <summary>The same number on all axes.</summary>
    public static Coordinate At(int position) => new(position, position, position);

    /// <summary>The coordinate on an axis: 0, 1 or 2.</summary>
    public int this[int axis] => axis == 0 ? Time : axis == 1 ? Row : Column;
}
