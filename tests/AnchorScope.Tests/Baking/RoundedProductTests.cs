using System.Runtime.InteropServices;
using AnchorScope.Baking;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Baking;

/// <summary>
/// Products compared with the definition of rounding: the nearest of all values of the type, the even one of two equally near.
/// </summary>
public sealed class RoundedProductTests
{
    private static readonly float[] Factors = [0.3f, 1.5f, -2, 0.5f, 1e-3f, 1f / 3, 3.4f, 255.99f, 1e-30f, 0, -0f, 1.0000001f,
        1.00390625f, 1.0009765625f];

    public static TheoryData<StoredType> Short => [StoredType.F16, StoredType.BF16];

    /// <summary>Every value there is, subnormals included.</summary>
    [Theory]
    [MemberData(nameof(Short))]
    public void EveryProduct_IsTheNearestValue(StoredType type)
    {
        // Positive values in order: bits count up with them.
        var infinity = Enumerable.Range(0, 1 << 15).First(bits => double.IsInfinity(Value((ushort)bits, type)));
        var table = Enumerable.Range(0, infinity).Select(bits => Value((ushort)bits, type)).ToArray();
        foreach (var factor in Factors)
        {
            for (var bits = 0; bits < 1 << 16; bits++)
            {
                var value = Value((ushort)bits, type);
                if (!double.IsFinite(value)) continue;
                var product = value * factor;
                var stored = (ushort)bits;
                var rounded = RoundedProduct.Multiply(MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref stored, 1)),
                    type, factor, out var fault);
                var nearest = Nearest(table, Math.Abs(product));
                if (nearest == infinity)
                {
                    Assert.Equal(0, fault);
                    continue;
                }
                Assert.Equal(-1, fault);
                var expected = (ushort)(nearest | (double.IsNegative(product) ? 0x8000 : 0));
                if (expected != stored) Assert.Fail($"{value} x {factor}: {Value(stored, type)} instead of {Value(expected, type)}");
                Assert.Equal(Value(stored, type) == product ? 0 : 1, rounded);
            }
        }
    }

    [Fact]
    public void Singles_AreNoFartherThanTheirNeighbours()
    {
        var random = new Random(5);
        foreach (var factor in Factors)
        {
            for (var i = 0; i < 20_000; i++)
            {
                // All exponents alike, so that many are subnormal.
                var value = BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32));
                if (!float.IsFinite(value)) continue;
                var (stored, product) = (value, (double)value * factor);
                var rounded = RoundedProduct.Multiply(MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref stored, 1)),
                    StoredType.F32, factor, out var fault);
                if (fault == 0)
                {
                    Assert.True(Math.Abs(product) > float.MaxValue);
                    continue;
                }
                Assert.True(Math.Abs(stored - product) <= Math.Abs(MathF.BitIncrement(stored) - product), $"{value} x {factor}");
                Assert.True(Math.Abs(stored - product) <= Math.Abs(MathF.BitDecrement(stored) - product), $"{value} x {factor}");
                Assert.Equal(double.IsNegative(product), float.IsNegative(stored));
                Assert.Equal(stored == product ? 0 : 1, rounded);
            }
        }
    }

    [Theory]
    [InlineData(1.5, 1.5f, 0)]
    [InlineData(1.0000000000000002, 1.5f, 1)]
    [InlineData(5e-324, 0.25f, 1)]
    [InlineData(5e-324, 0f, 0)]
    public void Doubles_AreMultiplied_AndCounted(double value, float factor, int expected)
    {
        var stored = value;
        Assert.Equal(expected, RoundedProduct.Multiply(MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref stored, 1)),
            StoredType.F64, factor, out var fault));
        Assert.Equal((value * factor, -1), (stored, fault));
    }

    [Theory]
    [InlineData(StoredType.F32, 3e38f)]
    [InlineData(StoredType.F64, 3e38f)]
    public void WhatIsNotFinite_IsNamed(StoredType type, float factor)
    {
        byte[] values = type == StoredType.F32
            ? MemoryMarshal.AsBytes<float>([1, 2, 3]).ToArray() : MemoryMarshal.AsBytes<double>([1, 1e300, 3]).ToArray();
        RoundedProduct.Multiply(values, type, factor, out var fault);
        Assert.Equal(1, fault);
    }

    /// <summary>
    /// Index of the nearest value, the even one of two equally near; one after the last index if the product is more than half a step above
    /// the last value.
    /// </summary>
    private static int Nearest(double[] table, double value)
    {
        var above = Array.BinarySearch(table, value);
        if (above >= 0) return above;
        above = ~above;
        var below = above - 1;
        var next = above < table.Length ? table[above] : 2 * table[^1] - table[^2];
        var (down, up) = (value - table[below], next - value);
        return down < up || (down == up && below % 2 == 0) ? below : above;
    }

    private static double Value(ushort bits, StoredType type) =>
        type == StoredType.F16 ? (double)BitConverter.UInt16BitsToHalf(bits) : BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
