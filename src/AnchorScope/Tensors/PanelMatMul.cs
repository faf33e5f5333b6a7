using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace AnchorScope.Tensors;

/// <summary>The matrix kernel: panels [depth, 32] of float32 weights that stay in cache while all rows are multiplied with them.</summary>
/// <remarks>
/// Every output is one chain of fused multiply-adds over the depth, first to last, whatever the number of rows or threads, the vector width
/// of the machine or the pieces into which the depth is split. A row therefore has the same bits alone and in a packed pass, in prefill and
/// in decoding, on every machine.
/// </remarks>
internal static unsafe class PanelMatMul
{
    /// <summary>Outputs in one panel.</summary>
    public const int Width = 32;

    /// <summary>Depths packed at a time, so that a piece of a panel that is not kept stays in the L1 or L2 cache.</summary>
    public const int Depth = 512;

    /// <summary>Rows multiplied with a panel at a time: as many as fit in registers.</summary>
    public const int MostRows = 12;

    /// <summary>Prefetch distance in floats.</summary>
    private const int Ahead = 1024;

    public static int Panels(int outputs) => (outputs + Width - 1) / Width;

    /// <summary>
    /// y[row, column] (+)= sum over k of x[row, k] * panel[k, column], for the first <paramref name="columns"/> outputs of the panel.
    /// </summary>
    /// <param name="x">Element of the first row at the panel's first depth; rows are <paramref name="xStride"/> floats apart.</param>
    /// <param name="depth">Number of depths of the panel.</param>
    /// <param name="y">Products are added to its values, or overwrite them if <paramref name="fresh"/>.</param>
    public static void Multiply(float* x, int xStride, int rows, float* panel, int depth, float* y, int yStride, int columns, bool fresh)
    {
        var edge = stackalloc float[Width * MostRows];
        for (var row = 0; row < rows;)
        {
            var count = rows - row >= MostRows ? MostRows : rows - row >= 8 ? 8 : rows - row >= 4 ? 4 : rows - row >= 2 ? 2 : 1;
            float* source = x + (long)row * xStride, target = y + (long)row * yStride;
            if (columns == Width)
            {
                Block(source, xStride, count, panel, depth, target, yStride, fresh);
            }
            else
            {
                if (!fresh) Copy(target, yStride, edge, Width, count, columns);
                Block(source, xStride, count, panel, depth, edge, Width, fresh);
                Copy(edge, Width, target, yStride, count, columns);
            }
            row += count;
        }
    }

    /// <summary>Writes one depth of a panel: <paramref name="columns"/> values from <paramref name="from"/>, then zeros.</summary>
    public static void CopyPadded(float* from, int columns, float* panel)
    {
        if (columns == Width)
        {
            Vector512.Load(from).Store(panel);
            Vector512.Load(from + 16).Store(panel + 16);
            return;
        }
        new Span<float>(from, columns).CopyTo(new Span<float>(panel, columns));
        new Span<float>(panel + columns, Width - columns).Clear();
    }

    private static void Copy(float* from, int fromStride, float* to, int toStride, int rows, int columns)
    {
        for (var row = 0; row < rows; row++)
            new Span<float>(from + (long)row * fromStride, columns).CopyTo(new Span<float>(to + (long)row * toStride, columns));
    }

    private static void Block(float* x, int xStride, int rows, float* panel, int depth, float* y, int yStride, bool fresh)
    {
        if (!Vector512.IsHardwareAccelerated) Portable(x, xStride, rows, panel, depth, y, yStride, fresh);
        else if (rows == MostRows) Twelve(x, xStride, panel, depth, y, yStride, fresh);
        else if (rows == 8) Eight(x, xStride, panel, depth, y, yStride, fresh);
        else if (rows == 4) Four(x, xStride, panel, depth, y, yStride, fresh);
        else if (rows == 2) Two(x, xStride, panel, depth, y, yStride, fresh);
        else One(x, panel, depth, y, fresh);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Twelve(float* x, int xStride, float* panel, int depth, float* y, int yStride, bool fresh)
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default,
            a8 = default, a9 = default, a10 = default, a11 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default, b6 = default, b7 = default,
            b8 = default, b9 = default, b10 = default, b11 = default;
        float* y1 = y + yStride, y2 = y1 + yStride, y3 = y2 + yStride, y4 = y3 + yStride, y5 = y4 + yStride, y6 = y5 + yStride,
            y7 = y6 + yStride, y8 = y7 + yStride, y9 = y8 + yStride, y10 = y9 + yStride, y11 = y10 + yStride;
        if (!fresh)
        {
            Load(y, ref a0, ref b0); Load(y1, ref a1, ref b1); Load(y2, ref a2, ref b2); Load(y3, ref a3, ref b3); Load(y4, ref a4,
                ref b4); Load(y5, ref a5, ref b5);
            Load(y6, ref a6, ref b6); Load(y7, ref a7, ref b7); Load(y8, ref a8, ref b8); Load(y9, ref a9, ref b9); Load(y10, ref a10,
                ref b10); Load(y11, ref a11, ref b11);
        }
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride, x4 = x3 + xStride, x5 = x4 + xStride, x6 = x5 + xStride,
            x7 = x6 + xStride, x8 = x7 + xStride, x9 = x8 + xStride, x10 = x9 + xStride, x11 = x10 + xStride;
        for (var k = 0; k < depth; k++)
        {
            var u = Vector512.Load(panel);
            var v = Vector512.Load(panel + 16);
            Ask(panel + Ahead);
            panel += Width;
            var s = Vector512.Create(x[k]);
            a0 = Vector512.FusedMultiplyAdd(s, u, a0); b0 = Vector512.FusedMultiplyAdd(s, v, b0);
            s = Vector512.Create(x1[k]);
            a1 = Vector512.FusedMultiplyAdd(s, u, a1); b1 = Vector512.FusedMultiplyAdd(s, v, b1);
            s = Vector512.Create(x2[k]);
            a2 = Vector512.FusedMultiplyAdd(s, u, a2); b2 = Vector512.FusedMultiplyAdd(s, v, b2);
            s = Vector512.Create(x3[k]);
            a3 = Vector512.FusedMultiplyAdd(s, u, a3); b3 = Vector512.FusedMultiplyAdd(s, v, b3);
            s = Vector512.Create(x4[k]);
            a4 = Vector512.FusedMultiplyAdd(s, u, a4); b4 = Vector512.FusedMultiplyAdd(s, v, b4);
            s = Vector512.Create(x5[k]);
            a5 = Vector512.FusedMultiplyAdd(s, u, a5); b5 = Vector512.FusedMultiplyAdd(s, v, b5);
            s = Vector512.Create(x6[k]);
            a6 = Vector512.FusedMultiplyAdd(s, u, a6); b6 = Vector512.FusedMultiplyAdd(s, v, b6);
            s = Vector512.Create(x7[k]);
            a7 = Vector512.FusedMultiplyAdd(s, u, a7); b7 = Vector512.FusedMultiplyAdd(s, v, b7);
            s = Vector512.Create(x8[k]);
            a8 = Vector512.FusedMultiplyAdd(s, u, a8); b8 = Vector512.FusedMultiplyAdd(s, v, b8);
            s = Vector512.Create(x9[k]);
            a9 = Vector512.FusedMultiplyAdd(s, u, a9); b9 = Vector512.FusedMultiplyAdd(s, v, b9);
            s = Vector512.Create(x10[k]);
            a10 = Vector512.FusedMultiplyAdd(s, u, a10); b10 = Vector512.FusedMultiplyAdd(s, v, b10);
            s = Vector512.Create(x11[k]);
            a11 = Vector512.FusedMultiplyAdd(s, u, a11); b11 = Vector512.FusedMultiplyAdd(s, v, b11);
        }
        Store(y, a0, b0); Store(y1, a1, b1); Store(y2, a2, b2); Store(y3, a3, b3); Store(y4, a4, b4); Store(y5, a5, b5);
        Store(y6, a6, b6); Store(y7, a7, b7); Store(y8, a8, b8); Store(y9, a9, b9); Store(y10, a10, b10); Store(y11, a11, b11);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Eight(float* x, int xStride, float* panel, int depth, float* y, int yStride, bool fresh)
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default, b6 = default, b7 = default;
        float* y1 = y + yStride, y2 = y1 + yStride, y3 = y2 + yStride, y4 = y3 + yStride, y5 = y4 + yStride,
            y6 = y5 + yStride, y7 = y6 + yStride;
        if (!fresh)
        {
            Load(y, ref a0, ref b0); Load(y1, ref a1, ref b1); Load(y2, ref a2, ref b2); Load(y3, ref a3, ref b3);
            Load(y4, ref a4, ref b4); Load(y5, ref a5, ref b5); Load(y6, ref a6, ref b6); Load(y7, ref a7, ref b7);
        }
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride, x4 = x3 + xStride, x5 = x4 + xStride,
            x6 = x5 + xStride, x7 = x6 + xStride;
        for (var k = 0; k < depth; k++)
        {
            var u = Vector512.Load(panel);
            var v = Vector512.Load(panel + 16);
            Ask(panel + Ahead);
            panel += Width;
            var s = Vector512.Create(x[k]);
            a0 = Vector512.FusedMultiplyAdd(s, u, a0); b0 = Vector512.FusedMultiplyAdd(s, v, b0);
            s = Vector512.Create(x1[k]);
            a1 = Vector512.FusedMultiplyAdd(s, u, a1); b1 = Vector512.FusedMultiplyAdd(s, v, b1);
            s = Vector512.Create(x2[k]);
            a2 = Vector512.FusedMultiplyAdd(s, u, a2); b2 = Vector512.FusedMultiplyAdd(s, v, b2);
            s = Vector512.Create(x3[k]);
            a3 = Vector512.FusedMultiplyAdd(s, u, a3); b3 = Vector512.FusedMultiplyAdd(s, v, b3);
            s = Vector512.Create(x4[k]);
            a4 = Vector512.FusedMultiplyAdd(s, u, a4); b4 = Vector512.FusedMultiplyAdd(s, v, b4);
            s = Vector512.Create(x5[k]);
            a5 = Vector512.FusedMultiplyAdd(s, u, a5); b5 = Vector512.FusedMultiplyAdd(s, v, b5);
            s = Vector512.Create(x6[k]);
            a6 = Vector512.FusedMultiplyAdd(s, u, a6); b6 = Vector512.FusedMultiplyAdd(s, v, b6);
            s = Vector512.Create(x7[k]);
            a7 = Vector512.FusedMultiplyAdd(s, u, a7); b7 = Vector512.FusedMultiplyAdd(s, v, b7);
        }
        Store(y, a0, b0); Store(y1, a1, b1); Store(y2, a2, b2); Store(y3, a3, b3);
        Store(y4, a4, b4); Store(y5, a5, b5); Store(y6, a6, b6); Store(y7, a7, b7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(float* x, int xStride, float* panel, int depth, float* y, int yStride, bool fresh)
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default;
        float* y1 = y + yStride, y2 = y1 + yStride, y3 = y2 + yStride;
        if (!fresh)
        {
            Load(y, ref a0, ref b0); Load(y1, ref a1, ref b1); Load(y2, ref a2, ref b2); Load(y3, ref a3, ref b3);
        }
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        for (var k = 0; k < depth; k++)
        {
            var u = Vector512.Load(panel);
            var v = Vector512.Load(panel + 16);
            Ask(panel + Ahead);
            panel += Width;
            var s = Vector512.Create(x[k]);
            a0 = Vector512.FusedMultiplyAdd(s, u, a0); b0 = Vector512.FusedMultiplyAdd(s, v, b0);
            s = Vector512.Create(x1[k]);
            a1 = Vector512.FusedMultiplyAdd(s, u, a1); b1 = Vector512.FusedMultiplyAdd(s, v, b1);
            s = Vector512.Create(x2[k]);
            a2 = Vector512.FusedMultiplyAdd(s, u, a2); b2 = Vector512.FusedMultiplyAdd(s, v, b2);
            s = Vector512.Create(x3[k]);
            a3 = Vector512.FusedMultiplyAdd(s, u, a3); b3 = Vector512.FusedMultiplyAdd(s, v, b3);
        }
        Store(y, a0, b0); Store(y1, a1, b1); Store(y2, a2, b2); Store(y3, a3, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two(float* x, int xStride, float* panel, int depth, float* y, int yStride, bool fresh)
    {
        Vector512<float> a0 = default, a1 = default, b0 = default, b1 = default;
        if (!fresh)
        {
            Load(y, ref a0, ref b0); Load(y + yStride, ref a1, ref b1);
        }
        var x1 = x + xStride;
        for (var k = 0; k < depth; k++)
        {
            var u = Vector512.Load(panel);
            var v = Vector512.Load(panel + 16);
            Ask(panel + Ahead);
            panel += Width;
            var s = Vector512.Create(x[k]);
            a0 = Vector512.FusedMultiplyAdd(s, u, a0); b0 = Vector512.FusedMultiplyAdd(s, v, b0);
            s = Vector512.Create(x1[k]);
            a1 = Vector512.FusedMultiplyAdd(s, u, a1); b1 = Vector512.FusedMultiplyAdd(s, v, b1);
        }
        Store(y, a0, b0); Store(y + yStride, a1, b1);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* x, float* panel, int depth, float* y, bool fresh)
    {
        Vector512<float> a = default, b = default;
        if (!fresh) Load(y, ref a, ref b);
        for (var k = 0; k < depth; k++, panel += Width)
        {
            var s = Vector512.Create(x[k]);
            a = Vector512.FusedMultiplyAdd(s, Vector512.Load(panel), a);
            b = Vector512.FusedMultiplyAdd(s, Vector512.Load(panel + 16), b);
        }
        Store(y, a, b);
    }

    /// <summary>Prefetches two cache lines. Addresses past the end of the weights are allowed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ask(float* panel)
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(panel);
        Sse.Prefetch0(panel + 16);
    }

    private static void Load(float* y, ref Vector512<float> low, ref Vector512<float> high) =>
        (low, high) = (Vector512.Load(y), Vector512.Load(y + 16));

    private static void Store(float* y, Vector512<float> low, Vector512<float> high)
    {
        low.Store(y);
        high.Store(y + 16);
    }

    /// <summary>The same chains with vectors of 8 floats, 4 rows x 16 outputs at a time: AVX2, NEON and machines without vectors.</summary>
    internal static void Portable(float* x, int xStride, int rows, float* panel, int depth, float* y, int yStride, bool fresh)
    {
        for (; rows >= 4; rows -= 4, x += 4L * xStride, y += 4L * yStride)
        {
            FourByHalf(x, xStride, panel, depth, y, yStride, fresh);
            FourByHalf(x, xStride, panel + Width / 2, depth, y + Width / 2, yStride, fresh);
        }
        for (; rows > 0; rows--, x += xStride, y += yStride) OneByWhole(x, panel, depth, y, fresh);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByHalf(float* x, int xStride, float* panel, int depth, float* y, int yStride, bool fresh)
    {
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride, y1 = y + yStride, y2 = y1 + yStride, y3 = y2 + yStride;
        if (!fresh)
        {
            (a0, a1, a2, a3) = (Vector256.Load(y), Vector256.Load(y1), Vector256.Load(y2), Vector256.Load(y3));
            (b0, b1, b2, b3) = (Vector256.Load(y + 8), Vector256.Load(y1 + 8), Vector256.Load(y2 + 8), Vector256.Load(y3 + 8));
        }
        for (var k = 0; k < depth; k++, panel += Width)
        {
            var u = Vector256.Load(panel);
            var v = Vector256.Load(panel + 8);
            var s = Vector256.Create(x[k]);
            a0 = Vector256.FusedMultiplyAdd(s, u, a0); b0 = Vector256.FusedMultiplyAdd(s, v, b0);
            s = Vector256.Create(x1[k]);
            a1 = Vector256.FusedMultiplyAdd(s, u, a1); b1 = Vector256.FusedMultiplyAdd(s, v, b1);
            s = Vector256.Create(x2[k]);
            a2 = Vector256.FusedMultiplyAdd(s, u, a2); b2 = Vector256.FusedMultiplyAdd(s, v, b2);
            s = Vector256.Create(x3[k]);
            a3 = Vector256.FusedMultiplyAdd(s, u, a3); b3 = Vector256.FusedMultiplyAdd(s, v, b3);
        }
        a0.Store(y); a1.Store(y1); a2.Store(y2); a3.Store(y3);
        b0.Store(y + 8); b1.Store(y1 + 8); b2.Store(y2 + 8); b3.Store(y3 + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByWhole(float* x, float* panel, int depth, float* y, bool fresh)
    {
        Vector256<float> a = default, b = default, c = default, d = default;
        if (!fresh) (a, b, c, d) = (Vector256.Load(y), Vector256.Load(y + 8), Vector256.Load(y + 16), Vector256.Load(y + 24));
        for (var k = 0; k < depth; k++, panel += Width)
        {
            var s = Vector256.Create(x[k]);
            a = Vector256.FusedMultiplyAdd(s, Vector256.Load(panel), a);
            b = Vector256.FusedMultiplyAdd(s, Vector256.Load(panel + 8), b);
            c = Vector256.FusedMultiplyAdd(s, Vector256.Load(panel + 16), c);
            d = Vector256.FusedMultiplyAdd(s, Vector256.Load(panel + 24), d);
        }
        a.Store(y);
        b.Store(y + 8);
        c.Store(y + 16);
        d.Store(y + 24);
    }
}
