namespace AnchorScope.Tensors;

/// <summary>
/// Rotary position embedding, the two halves of a head rotated against each other: angle of pair i at coordinate c is
/// c / theta^(2i / d_head), computed in float32 as the reference does.
/// </summary>
public sealed unsafe class Rope
{
    private readonly int _half;
    private readonly float[] _frequencies;
    private readonly Lock _growing = new();
    private readonly List<NativeBlock> _tables = [];
    private volatile NativeBlock? _table;
    private volatile int _length;

    /// <summary>Angles for heads of <paramref name="headSize"/> with base <paramref name="theta"/>.</summary>
    public Rope(int headSize, double theta)
    {
        if (headSize % 2 != 0) throw new ArgumentException($"a rotated head has an even size, not {headSize}", nameof(headSize));
        _half = headSize / 2;
        _frequencies = new float[_half];
        for (var i = 0; i < _half; i++) _frequencies[i] = 1f / (float)Math.Pow((float)theta, 2f * i / headSize);
    }

    /// <summary>cos and sin [d_head / 2 each, cos first] at one coordinate; thread-safe once <see cref="Reserve"/> covered it.</summary>
    public ReadOnlySpan<float> this[int coordinate] => new(_table!.Data + (long)coordinate * 2 * _half, 2 * _half);

    /// <summary>Computes the angles of coordinates 0 .. <paramref name="length"/> - 1.</summary>
    public void Reserve(int length)
    {
        if (length <= _length) return;
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
                    table[((long)position * 2 + 0) * _half + i] = (float)Math.Cos(angle);
                    table[((long)position * 2 + 1) * _half + i] = (float)Math.Sin(angle);
                }
            }
            // Another thread may still read the smaller table, so it lives as long as this object.
            _tables.Add(block);
            _table = block;
            _length = size;
        }
    }

    /// <summary>Rotates every head of one row [heads x d_head] by the angles of <paramref name="coordinate"/>.</summary>
    public void Rotate(Span<float> row, int coordinate)
    {
        var angles = this[coordinate];
        for (var head = 0; head < row.Length; head += 2 * _half)
        {
            for (var i = 0; i < _half; i++)
            {
                float a = row[head + i], b = row[head + _half + i], cos = angles[i], sin = angles[_half + i];
                row[head + i] = a * cos - b * sin;
                row[head + _half + i] = b * cos + a * sin;
            }
        }
    }
}
