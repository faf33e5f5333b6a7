using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Synthesis;

/// <summary>
/// Values of untrained tensors: matrices, embeddings and tokens normal(0, 0.02), norms 1, biases 0, layer scales 0.1. Each tensor depends
/// only on the seed and its name, whatever else is written, in whatever order.
/// </summary>
/// <param name="type">F32, F16 or BF16.</param>
internal sealed class RandomTensors(ulong seed, StoredType type)
{
    /// <summary>Standard deviation.</summary>
    public const double Deviation = 0.02;

    /// <summary>Layer scale of InternViT.</summary>
    public const double LayerScale = 0.1;

    private const int Piece = 1 << 20; // elements in memory at once
    private const int PerDraw = 4; // 16 bits each

    private readonly float[] _singles = type == StoredType.F32 ? NormalQuantiles.Times(Deviation) : [];
    private readonly ushort[] _halves = type == StoredType.F32
        ? [] : [.. NormalQuantiles.Times(Deviation).Select(value => Bits(value, type))];
    private readonly byte[] _buffer = new byte[Piece * type.Bytes()];

    /// <summary>Writes the elements of one tensor.</summary>
    /// <param name="written">Called with the number of bytes of each piece.</param>
    public void Write(TensorEntry entry, Stream file, Action<int>? written, CancellationToken cancel)
    {
        var constant = Constant(entry);
        var key = BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\n{entry.Name}")));
        for (long first = 0; first < entry.Count; first += Piece)
        {
            cancel.ThrowIfCancellationRequested();
            var bytes = _buffer.AsSpan(0, (int)Math.Min(Piece, entry.Count - first) * type.Bytes());
            if (constant is { } value) Fill(bytes, (float)value);
            else if (type == StoredType.F32) Draw(key, first, _singles, MemoryMarshal.Cast<byte, float>(bytes));
            else Draw(key, first, _halves, MemoryMarshal.Cast<byte, ushort>(bytes));
            file.Write(bytes);
            written?.Invoke(bytes.Length);
        }
    }

    private static double? Constant(TensorEntry entry) => entry.Shape.Length != 1 ? null
        : entry.Name.EndsWith(".bias", StringComparison.Ordinal) ? 0
        : entry.Name.EndsWith(".weight", StringComparison.Ordinal) ? 1
        : entry.Name.Contains(".lambda_", StringComparison.Ordinal) ? LayerScale : null;

    private void Fill(Span<byte> bytes, float value)
    {
        if (type == StoredType.F32) MemoryMarshal.Cast<byte, float>(bytes).Fill(value);
        else MemoryMarshal.Cast<byte, ushort>(bytes).Fill(Bits(value, type));
    }

    /// <param name="first">Index of the first element of the piece; a multiple of <see cref="PerDraw"/>.</param>
    /// <param name="values">One for each 16-bit number.</param>
    private static void Draw<T>(ulong key, long first, T[] values, Span<T> into)
        where T : unmanaged
    {
        ref var table = ref MemoryMarshal.GetArrayDataReference(values);
        var draw = (ulong)(first / PerDraw);
        var i = 0;
        for (; i + PerDraw <= into.Length; i += PerDraw)
        {
            var bits = SplitMix.At(key, draw++);
            into[i] = Unsafe.Add(ref table, (nint)(bits & 0xFFFF));
            into[i + 1] = Unsafe.Add(ref table, (nint)(bits >> 16 & 0xFFFF));
            into[i + 2] = Unsafe.Add(ref table, (nint)(bits >> 32 & 0xFFFF));
            into[i + 3] = Unsafe.Add(ref table, (nint)(bits >> 48));
        }
        for (var bits = SplitMix.At(key, draw); i < into.Length; i++, bits >>= 16) into[i] = Unsafe.Add(ref table, (nint)(bits & 0xFFFF));
    }

    /// <summary>Rounds to nearest, ties to even.</summary>
    private static ushort Bits(float value, StoredType type)
    {
        if (type == StoredType.F16) return BitConverter.HalfToUInt16Bits((Half)value);
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
}
