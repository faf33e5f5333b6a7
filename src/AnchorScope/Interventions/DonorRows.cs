using System.Runtime.InteropServices;

namespace AnchorScope.Interventions;

/// <summary>Values of a donor run: a row for each position that an edit replaces, or for each key along an edge. Immutable.</summary>
public sealed class DonorRows : IEquatable<DonorRows>
{
    private readonly float[] _values;
    private readonly int _hash;

    /// <param name="values">[count, width]; kept, not copied.</param>
    /// <param name="count">Rows.</param>
    /// <exception cref="InputException">No rows, rows of different widths, or a value that is no finite number.</exception>
    public DonorRows(float[] values, int count)
    {
        if (count < 1 || values.Length == 0 || values.Length % count != 0) throw new InputException($"donor: expected {count} rows of one width, found {values.Length} values");
        if (Array.Exists(values, v => !float.IsFinite(v))) throw new InputException("donor: expected finite values");
        (_values, Count, Width) = (values, count, values.Length / count);
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes(values.AsSpan()));
        _hash = hash.ToHashCode();
    }

    /// <summary>Number of rows.</summary>
    public int Count { get; }

    /// <summary>Values in a row.</summary>
    public int Width { get; }

    /// <summary>Row <paramref name="index"/> [width].</summary>
    public ReadOnlySpan<float> this[int index] => _values.AsSpan(index * Width, Width);

    /// <summary>Some columns of some rows of a recorded matrix.</summary>
    /// <param name="matrix">[rows, columns].</param>
    /// <param name="rows">Rows to take, in the order of the edit's positions.</param>
    /// <param name="parts">Blocks of <paramref name="width"/> columns to take, in the order of the edit's heads; null: all columns.</param>
    public static DonorRows Of(ReadOnlySpan<float> matrix, int columns, IReadOnlyList<int> rows, IReadOnlyList<int>? parts = null, int width = 0)
    {
        var wide = parts is null ? columns : parts.Count * width;
        var values = new float[rows.Count * wide];
        for (var i = 0; i < rows.Count; i++)
        {
            var row = matrix.Slice(rows[i] * columns, columns);
            if (parts is null) row.CopyTo(values.AsSpan(i * wide));
            for (var part = 0; part < (parts?.Count ?? 0); part++) row.Slice(parts![part] * width, width).CopyTo(values.AsSpan(i * wide + part * width));
        }
        return new DonorRows(values, rows.Count);
    }

    /// <summary>Bit for bit.</summary>
    public bool Equals(DonorRows? other) =>
        other is not null && (ReferenceEquals(this, other) || (Count == other.Count && _hash == other._hash && MemoryMarshal.AsBytes(_values.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(other._values.AsSpan()))));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as DonorRows);

    /// <inheritdoc/>
    public override int GetHashCode() => _hash;
}
