using System.Runtime.CompilerServices;

namespace AnchorScope.Checkpoints;

/// <summary>Converts stored elements, which may be unaligned, to numbers.</summary>
internal static unsafe class Widening
{
    /// <summary>Converts F32 bit by bit, F16 and BF16 exactly, F64 rounded to nearest (infinity beyond the range of F32).</summary>
    /// <param name="from">At least as many elements as <paramref name="into"/> has.</param>
    /// <param name="type">A float type.</param>
    /// <param name="into">Filled completely.</param>
    public static void ToSingles(byte* from, StoredType type, Span<float> into)
    {
        switch (type)
        {
            case StoredType.F32:
                // The number of bytes of a span of floats can exceed the maximum length of a span.
                long bytes = (long)into.Length * sizeof(float);
                fixed (float* to = into)
                    Buffer.MemoryCopy(from, to, bytes, bytes);
                break;
            case StoredType.F16:
                for (int i = 0; i < into.Length; i++)
                    into[i] = (float)At<Half>(from, i);
                break;
            case StoredType.BF16:
                for (int i = 0; i < into.Length; i++)
                    into[i] = BitConverter.UInt32BitsToSingle((uint)At<ushort>(from, i) << 16);
                break;
            case StoredType.F64:
                for (int i = 0; i < into.Length; i++)
                    into[i] = (float)At<double>(from, i);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "not a float type");
        }
    }

    /// <summary>Converts integers, and Bool to 0 or 1.</summary>
    /// <param name="from">At least as many elements as <paramref name="into"/> has.</param>
    /// <param name="type">An integer type or Bool.</param>
    /// <param name="into">Filled completely.</param>
    public static void ToInt64s(byte* from, StoredType type, Span<long> into)
    {
        for (int i = 0; i < into.Length; i++)
        {
            into[i] = type switch
            {
                StoredType.I64 => At<long>(from, i),
                StoredType.I32 => At<int>(from, i),
                StoredType.I16 => At<short>(from, i),
                StoredType.I8 => At<sbyte>(from, i),
                StoredType.U8 => At<byte>(from, i),
                StoredType.Bool => At<byte>(from, i) != 0 ? 1 : 0,
                _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not an integer type"),
            };
        }
    }

    private static T At<T>(byte* from, long element)
        where T : unmanaged => Unsafe.ReadUnaligned<T>(from + element * sizeof(T));
}
