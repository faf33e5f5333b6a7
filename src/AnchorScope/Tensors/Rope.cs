using System.Runtime.Intrinsics;
using AnchorScope.Prompts;

namespace AnchorScope.Tensors;

/// <summary>
/// Rotary position embedding in the half-split layout. The angle of a pair is its frequency times the coordinate on the axis that the pair
/// uses, computed in float32 as in the reference library.
/// </summary>
internal sealed unsafe class Rope
{
    private readonly int _half;
    private readonly float[] _frequencies;
    private readonly (int Axis, int From, int To)[] _sections;
    private readonly Lock _growing = new();
    private readonly List<NativeBlock> _tables = [];
    private volatile NativeBlock? _table;
    private volatile int _length;

    /// <summary>Rope with the frequency 1 / theta^(2i / d_head) for pair i.</summary>
    /// <param name="sections">Number of pairs on axis 0, 1 and 2, in this order, d_head / 2 in total. Null: all pairs use axis 0.</param>
    public Rope(int headSize, double theta, IReadOnlyList<int>? sections = null)
        : this(Frequencies(headSize, theta), sections ?? [headSize / 2])
    {
    }

    /// <summary>Rope with given frequencies.</summary>
    /// <param name="frequencies">Radians per step of a coordinate [d_head / 2].</param>
    /// <param name="sections">As in the other constructor.</param>
    internal Rope(float[] frequencies, IReadOnlyList<int>? sections)
    {
        (_half, _frequencies) = (frequencies.Length, frequencies);
        sections ??= [_half];
        if (sections.Sum() != _half || sections.Count > 3)
            throw new ArgumentException($"sections {string.Join(", ", sections)} for {_half} pairs", nameof(sections));
        _sections = [.. sections.Select((count, axis) => (axis, sections.Take(axis).Sum(), sections.Take(axis + 1).Sum()))];
    }

    /// <summary>First coordinate for which these angles are not valid; null without a limit.</summary>
    public int? Limit { get; init; }

    /// <summary>Key of the configuration that <see cref="Limit"/> comes from.</summary>
    public string LimitName { get; init; } = "max_position_embeddings";

    /// <summary>Factor applied to rotated vectors. It is 1 unless the angles were scaled for longer prompts.</summary>
    public float Magnitude { get; init; } = 1;

    /// <summary>
    /// Rope of vision towers: the first half of the pairs uses a patch's row (axis 0), the second half its column (axis 1), with the same
    /// frequencies.
    /// </summary>
    public static Rope Planar(int headSize, double theta)
    {
        if (headSize % 4 != 0)
            throw new ArgumentException($"a head rotated by row and column has a size divisible by 4, not {headSize}", nameof(headSize));
        var axis = Frequencies(headSize / 2, theta);
        return new Rope([.. axis, .. axis], [axis.Length, axis.Length]);
    }

    /// <summary>Computes the angles of coordinates 0 .. <paramref name="length"/> - 1.</summary>
    /// <exception cref="InputException">A coordinate is at or beyond <see cref="Limit"/>.</exception>
    public void Reserve(int length)
    {
        if (length <= _length) return;
        if (length > Limit)
            throw new InputException(
                $"the prompt reaches position {length - 1}; from {Limit} on ({LimitName}) this model's rope scaling changes all angles, "
                    + "which is not supported");
        lock (_growing)
        {
            if (length <= _length) return;
            var size = Math.Max(length, 2 * _length);
            var block = new NativeBlock((long)size * 2 * _half);
            var table = block.Data;
            for (var position = 0; position < size; position++)
            {
                for (var i = 0; i < _half; i++)
                {
                    var angle = position * _frequencies[i];
                    table[((long)position * 2 + 0) * _half + i] = (float)Math.Cos(angle) * Magnitude;
                    table[((long)position * 2 + 1) * _half + i] = (float)Math.Sin(angle) * Magnitude;
                }
            }
            // Another thread may still read the smaller table, so it is kept as long as this object.
            _tables.Add(block);
            _table = block;
            _length = size;
        }
    }

    /// <summary>Number of axes that the pairs use.</summary>
    public int Axes => _sections.Length;

    /// <summary>
    /// cos and sin of every pair [d_head / 2 each, cos first] at a coordinate on one axis. Requires a <see cref="Reserve"/> that covers it.
    /// </summary>
    public ReadOnlySpan<float> At(int number) => new(_table!.Data + (long)number * 2 * _half, 2 * _half);

    /// <summary>Rotates every head of one row [heads x d_head]. Thread-safe once <see cref="Reserve"/> covers the coordinate.</summary>
    public void Rotate(Span<float> row, Coordinate coordinate) => Rotate(row, coordinate, back: false);

    /// <summary>Rotates by the negative angles, as the backward pass needs.</summary>
    internal void RotateBack(Span<float> row, Coordinate coordinate) => Rotate(row, coordinate, back: true);

    /// <summary>Rotates every row of <paramref name="rows"/> [rows, heads x d_head], each at its coordinate.</summary>
    /// <param name="back">Whether to rotate by the negative angles.</param>
    internal void Rotate(Tensor rows, ReadOnlyMemory<Coordinate> coordinates, Compute compute, bool back) =>
        Rows.Each(compute, rows.Rows, 6L * rows.Columns, new Rotation(this, rows, coordinates, back));

    private readonly struct Rotation(Rope rope, Tensor rows, ReadOnlyMemory<Coordinate> coordinates, bool back) : IRowWork
    {
        public void Do(int row) => rope.Rotate(rows[row], coordinates.Span[row], back);
    }

    private void Rotate(Span<float> row, Coordinate coordinate, bool back)
    {
        foreach (var (axis, from, to) in _sections)
        {
            var angles = At(coordinate[axis]);
            for (var head = 0; head < row.Length; head += 2 * _half)
            {
                var i = from;
                for (; i + 16 <= to; i += 16)
                {
                    var (low, high) = (Vector512.Create(row.Slice(head + i, 16)), Vector512.Create(row.Slice(head + _half + i, 16)));
                    var (c, s) = (Vector512.Create(angles.Slice(i, 16)), Vector512.Create(angles.Slice(_half + i, 16)));
                    if (back) s = -s;
                    (low * c - high * s).CopyTo(row.Slice(head + i, 16));
                    (high * c + low * s).CopyTo(row.Slice(head + _half + i, 16));
                }
                for (; i + 8 <= to; i += 8)
                {
                    var (low, high) = (Vector256.Create(row.Slice(head + i, 8)), Vector256.Create(row.Slice(head + _half + i, 8)));
                    var (c, s) = (Vector256.Create(angles.Slice(i, 8)), Vector256.Create(angles.Slice(_half + i, 8)));
                    if (back) s = -s;
                    (low * c - high * s).CopyTo(row.Slice(head + i, 8));
                    (high * c + low * s).CopyTo(row.Slice(head + _half + i, 8));
                }
                for (; i < to; i++)
                {
                    float a = row[head + i], b = row[head + _half + i], cos = angles[i], sin = back
                        ? -angles[_half + i] : angles[_half + i];
                    row[head + i] = a * cos - b * sin;
                    row[head + _half + i] = b * cos + a * sin;
                }
            }
        }
    }

    /// <summary>1 / theta^(2i / size) for pair i [size / 2].</summary>
    internal static float[] Frequencies(int size, double theta) => [.. Wavelengths(size, theta).Select(wave => 1f / wave)];

    /// <summary>theta^(2i / size) for pair i [size / 2]: the number of coordinate steps per radian.</summary>
    internal static float[] Wavelengths(int size, double theta)
    {
        if (size % 2 != 0) throw new ArgumentException($"a rotated head has an even size, not {size}", nameof(size));
        return [.. Enumerable.Range(0, size / 2).Select(i => (float)Math.Pow((float)theta, 2f * i / size))];
    }
}
