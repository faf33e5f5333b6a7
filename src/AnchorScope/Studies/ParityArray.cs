using System.Globalization;

namespace AnchorScope.Studies;

/// <summary>An array of a golden file, or one layer of it, and how closely the model's must agree with it.</summary>
internal sealed record ParityArray
{
    /// <summary>Name of the golden file.</summary>
    public required string Case { get; init; }

    /// <summary>Name of the array, with the layer if it has a layer axis.</summary>
    public required string Name { get; init; }

    /// <summary>Shape of the values compared.</summary>
    public required long[] Shape { get; init; }

    /// <summary>Largest error allowed.</summary>
    public required double Tolerance { get; init; }

    /// <summary>Whether errors are relative to the largest magnitude of their row, the last axis of <see cref="Shape"/>.</summary>
    public required bool Relative { get; init; }

    /// <summary>Compares the model's values with the golden ones.</summary>
    public ParityRow Compare(ReadOnlySpan<float> want, ReadOnlySpan<float> got)
    {
        if (want.Length != got.Length)
            return new ParityRow(Case, Name, 1, Tolerance, $"expected {Plural.Of(want.Length, "value")}, found {got.Length}");
        var (scale, largest, where) = (1.0, 0.0, -1);
        // The scale is taken per row. With the scale of the whole array, one outlier would hide errors of several per cent in other rows.
        var row = Relative && Shape.Length > 0 ? (int)Shape[^1] : want.Length;
        for (var i = 0; i < want.Length; i++)
        {
            if (Relative && i % row == 0) scale = Largest(want.Slice(i, row));
            var difference = Math.Abs((double)want[i] - got[i]);
            var error = difference == 0 ? 0 : difference / scale;
            if (!(error <= Tolerance) && where < 0) where = i;
            largest = double.IsNaN(error) ? double.PositiveInfinity : Math.Max(largest, error);
        }
        return new ParityRow(Case, Name, largest, Tolerance,
            where < 0
                ? null
                : string.Create(CultureInfo.InvariantCulture,
                    $"[{Index(where, Shape)}]: expected {want[where]:g6}, found {got[where]:g6}"));
    }

    private static double Largest(ReadOnlySpan<float> row)
    {
        var largest = 0.0;
        foreach (var value in row) largest = Math.Max(largest, Math.Abs(value));
        return largest;
    }

    private static string Index(int flat, long[] shape)
    {
        var parts = new long[shape.Length];
        for (var axis = shape.Length - 1; axis >= 0; axis--) (flat, parts[axis]) = ((int)(flat / shape[axis]), flat % shape[axis]);
        return string.Join(", ", parts);
    }
}
