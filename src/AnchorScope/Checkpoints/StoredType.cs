namespace AnchorScope.Checkpoints;

/// <summary>Element types of the safetensors format that are supported, all little-endian.</summary>
/// <remarks>The format also has U16, U32, U64, complex types and floats of 8 bits or less; a file with those is an error.</remarks>
public enum StoredType
{
    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>The upper half of a binary32.</summary>
    BF16,

    /// <summary>IEEE 754 binary64.</summary>
    F64,

    /// <summary>Two's complement, 8 bytes.</summary>
    I64,

    /// <summary>Two's complement, 4 bytes.</summary>
    I32,

    /// <summary>Two's complement, 2 bytes.</summary>
    I16,

    /// <summary>Two's complement, 1 byte.</summary>
    I8,

    /// <summary>Unsigned, 1 byte.</summary>
    U8,

    /// <summary>One byte, 0 is false.</summary>
    Bool,
}

/// <summary>Properties of each <see cref="StoredType"/> in the safetensors format.</summary>
internal static class StoredTypes
{
    private static readonly StoredType[] All = Enum.GetValues<StoredType>();

    extension(StoredType type)
    {
        /// <summary>The name in the header's <c>dtype</c>.</summary>
        public string Name => type == StoredType.Bool ? "BOOL" : type.ToString();

        /// <summary>Whether the type is F32, F16, BF16 or F64.</summary>
        public bool IsFloat => type is StoredType.F32 or StoredType.F16 or StoredType.BF16 or StoredType.F64;

        /// <summary>Bytes per element.</summary>
        public int Bytes() => type switch
        {
            StoredType.F64 or StoredType.I64 => 8,
            StoredType.F32 or StoredType.I32 => 4,
            StoredType.F16 or StoredType.BF16 or StoredType.I16 => 2,
            StoredType.I8 or StoredType.U8 or StoredType.Bool => 1,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a stored type"),
        };
    }

    /// <summary>The names for messages: "F32, F16, ...".</summary>
    internal static string Names => string.Join(", ", All.Select(type => type.Name));

    internal static StoredType? WithName(string name)
    {
        int index = Array.FindIndex(All, type => type.Name == name);
        return index < 0 ? null : All[index];
    }
}
