using System.Globalization;

namespace AnchorScope.Cli;

/// <summary>Parses sizes in bytes with units such as GB and GiB.</summary>
internal static class ByteSize
{
    // GB as in transformers' shard sizes, GiB as for memory.
    private static readonly Dictionary<string, long> Units = new(StringComparer.Ordinal)
    {
        ["KiB"] = 1L << 10, ["MiB"] = 1L << 20, ["GiB"] = 1L << 30, ["KB"] = 1_000, ["MB"] = 1_000_000, ["GB"] = 1_000_000_000,
    };

    /// <summary>A number of bytes, with or without a unit.</summary>
    public static long Parse(string option, string size)
    {
        var unit = Units.Keys.FirstOrDefault(u => size.EndsWith(u, StringComparison.Ordinal));
        var number = unit is null ? size : size[..^unit.Length];
        return long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count >= 1
            && count <= long.MaxValue / (unit is null ? 1 : Units[unit])
            ? count * (unit is null ? 1 : Units[unit])
            : throw new InputException(
                $"{option}: expected a number of bytes, or one with {string.Join(", ", Units.Keys)}, like 5GB, found {size}");
    }
}
