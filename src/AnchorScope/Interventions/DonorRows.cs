using System.Runtime.InteropServices;

namespace AnchorScope.Interventions;

/// <summary>
/// Values of a donor run: one row for each position that an edit replaces or, along an edge, for each key position. Immutable.
/// </summary>
public sealed class DonorRows : IEquatable<DonorRows>
{
    private readonly float[] _values;
    private readonly int _hash;

    /// <summary>Rows over an array of values.</summary>
    /// <param name="values">[count, width]; copied.</param>
    /// <param name="count">Number of rows.</param>
    /// <exception cref="InputException">There are no rows, the rows differ in width, or a value is not finite.</exception>
    public DonorRows(float[] values, int count)
    {
        if (count < 1) throw new InputException($"donor: expected at least one row, found {count}");
        if (values.Length == 0 || values.Length % count != 0)
            throw new InputException($"donor: expected {count} rows of one width, found {values.Length} values");
        if (Array.Exists(values, v => !float.IsFinite(v))) throw new InputException("donor: expected finite values");
        (_values, Count, Width) = ([.. values], count, values.Length / count);
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes(values.AsSpan()));
        _hash = hash.ToHashCode();
    }

    /// <summary>Number of rows.</summary>
    public int Count { get; }

    /// <summary>Number of values per row.</summary>
    public int Width { get; }

    /// <summary>Row <paramref name="index"/> [width].</summary>
    public ReadOnlySpan<float> this[int index] => _values.AsSpan(index * Width, Width);

    /// <summary>The first <paramref name="count"/> rows.</summary>
    internal DonorRows First(int count) => count == Count ? this : new DonorRows(_values[..(count * Width)], count);

    /// <summary>Selects columns of some rows of a recorded matrix.</summary>
    /// <param name="matrix">[rows, columns].</param>
    /// <param name="columns">Number of columns of the matrix.</param>
    /// <param name="rows">Rows to take, in the order of the edit's positions.</param>
    /// <param name="parts">Indices of the blocks of <paramref name="width"/> columns to take, in the order of the edit's heads; null for
    /// all columns.</param>
    /// <param name="width">Width of a block.</param>
    public static DonorRows Of(
        ReadOnlySpan<float> matrix, int columns, IReadOnlyList<int> rows, IReadOnlyList<int>? parts = null, int width = 0)
    {
        var wide = parts is null ? columns : parts.Count * width;
        var values = new float[rows.Count * wide];
        for (var i = 0; i < rows.Count; i++)
        {
            var row = matrix.Slice(rows[i] * columns, columns);
            if (parts is null) row.CopyTo(values.AsSpan(i * wide));
            for (var part = 0; part < (parts?.Count ?? 0); part++)
                row.Slice(parts![part] * width, width).CopyTo(values.AsSpan(i * wide + part * width));
        }
        return new DonorRows(values, rows.Count);
    }

    /// <summary>Whether both have the same shape and the same bits.</summary>
    public bool Equals(DonorRows? other) =>
        other is not null
            && (ReferenceEquals(this, other)
                || (Count == other.Count && _hash == other._hash
                    && MemoryMarshal.AsBytes(_values.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(other._values.AsSpan()))));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as DonorRows);

    /// <inheritdoc/>
    public override int GetHashCode() => _hash;
}
