using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace AnchorScope.Tensors;

/// <summary>Transposes a block of a matrix.</summary>
internal static unsafe class Transpose
{
    /// <summary>to[column, row] = from[row, column].</summary>
    /// <param name="fromStride">Floats from one source row to the next.</param>
    /// <param name="toStride">Floats from one result row to the next.</param>
    public static void Of(float* from, long fromStride, int rows, int columns, float* to, long toStride)
    {
        var row = 0;
        for (; row + 4 <= rows; row += 4) Four(from + row * fromStride, fromStride, columns, to + row, toStride);
        for (; row < rows; row++)
        {
            var source = from + row * fromStride;
            for (var column = 0; column < columns; column++) to[column * toStride + row] = source[column];
        }
    }

    private static void Four(float* first, long stride, int columns, float* to, long toStride)
    {
        float* second = first + stride, third = second + stride, fourth = third + stride;
        var column = 0;
        for (; Sse.IsSupported && column + 4 <= columns; column += 4, to += 4 * toStride)
        {
            var (a, b, c, d) = (Vector128.Load(first + column), Vector128.Load(second + column), Vector128.Load(third + column),
                Vector128.Load(fourth + column));
            var (ab, cd) = (Sse.UnpackLow(a, b), Sse.UnpackLow(c, d));
            Sse.MoveLowToHigh(ab, cd).Store(to);
            Sse.MoveHighToLow(cd, ab).Store(to + toStride);
            (ab, cd) = (Sse.UnpackHigh(a, b), Sse.UnpackHigh(c, d));
            Sse.MoveLowToHigh(ab, cd).Store(to + 2 * toStride);
            Sse.MoveHighToLow(cd, ab).Store(to + 3 * toStride);
        }
        for (; column < columns; column++, to += toStride)
            (to[0], to[1], to[2], to[3]) = (first[column], second[column], third[column], fourth[column]);
    }
}
