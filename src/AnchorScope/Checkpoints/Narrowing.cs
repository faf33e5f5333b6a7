using System.Runtime.InteropServices;

namespace AnchorScope.Checkpoints;

/// <summary>Converts numbers to stored elements; the inverse of <see cref="Widening"/>.</summary>
internal static class Narrowing
{
    /// <summary>Rounds each number to the nearest value of the stored type, ties to even; infinity beyond its range.</summary>
    /// <param name="type">A float type.</param>
    /// <param name="into">Room for as many elements as <paramref name="from"/> has.</param>
    public static void FromSingles(ReadOnlySpan<float> from, StoredType type, Span<byte> into)
    {
        switch (type)
        {
            case StoredType.F32:
                MemoryMarshal.AsBytes(from).CopyTo(into);
                break;
            case StoredType.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(into);
                for (var i = 0; i < from.Length; i++) halves[i] = (Half)from[i];
                break;
            case StoredType.BF16:
                var brains = MemoryMarshal.Cast<byte, ushort>(into);
                for (var i = 0; i < from.Length; i++)
                {
                    var bits = BitConverter.SingleToUInt32Bits(from[i]);
                    brains[i] = (ushort)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
                }
                break;
            case StoredType.F64:
                var doubles = MemoryMarshal.Cast<byte, double>(into);
                for (var i = 0; i < from.Length; i++) doubles[i] = from[i];
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "not a float type");
        }
    }
}
