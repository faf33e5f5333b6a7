using System.Runtime.CompilerServices;

namespace AnchorScope.Checkpoints;

/// <summary>Stored elements, possibly unaligned, to numbers that C# computes with.</summary>
internal static unsafe class Widening
{
    /// <summary>F32 bit for bit, F16 and BF16 exactly, F64 rounded to nearest (to infinity beyond the range of F32).</summary>
    /// <param name="from">At least as many elements as <paramref name="into"/> holds.</param>
    /// <param name="type">A float type.</param>
    /// <param name="into">Filled.</param>
    public static void ToSingles(byte* from, StoredType type, Span<float> into)
    {
        switch (type)
        {
            case StoredType.F32:
                // In bytes, a span of floats may be longer than a span can be.
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

    /// <summary>Integers as they are; Bool as 0 or 1.</summary>
    /// <param name="from">At least as many elements as <paramref name="into"/> holds.</param>
    /// <param name="type">An integer type or Bool.</param>
    /// <param name="into">Filled.</param>
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
