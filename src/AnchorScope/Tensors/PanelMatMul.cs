using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>
/// The kernel for many rows ("fly"): weights are turned, 32 outputs at a time, into a panel [depth, 32] of float32 that stays
/// in cache while all rows pass over it.
/// </summary>
/// <remarks>
/// Every output is one chain of fused multiply-adds over the depth, first to last, whatever the number of rows, the width of
/// the machine's vectors or the number of threads: a row has the same bits alone and in a packed pass, on every machine.
/// </remarks>
internal static unsafe class PanelMatMul
{
    /// <summary>Outputs in one panel.</summary>
    public const int Width = 32;

    public static int Panels(int outputs) => (outputs + Width - 1) / Width;

    /// <summary>Widens and transposes outputs [first, first + Width) of <paramref name="weight"/> [outputs, depth]; missing ones are zero.</summary>
    public static void Pack(Weight weight, int first, int outputs, int depth, float* panel)
    {
        var line = stackalloc float[256];
        var count = Math.Min(Width, outputs - first);
        if (count < Width) new Span<float>(panel, depth * Width).Clear();
        for (var column = 0; column < count; column++)
        {
            for (var k = 0; k < depth; k += 256)
            {
                var chunk = Math.Min(256, depth - k);
                weight.Widen((long)(first + column) * depth + k, new Span<float>(line, chunk));
                var target = panel + (long)k * Width + column;
                for (var i = 0; i < chunk; i++) target[i * Width] = line[i];
            }
        }
    }

    /// <summary>y[row, column] = sum over k of x[row, k] * panel[k, column], for the first <paramref name="columns"/> outputs of the panel.</summary>
    public static void Multiply(Tensor x, float* panel, float* y, int yStride, int columns)
    {
        var edge = stackalloc float[Width * 8];
        var depth = x.Columns;
        for (var row = 0; row < x.Rows;)
        {
            var rows = x.Rows - row >= 8 ? 8 : x.Rows - row >= 4 ? 4 : 1;
            var full = columns == Width;
            var target = full ? y + (long)row * yStride : edge;
            var stride = full ? yStride : Width;
            var source = x.Data + (long)row * depth;
            if (Vector512.IsHardwareAccelerated)
            {
                if (rows == 8) Eight(source, depth, panel, target, stride);
                else if (rows == 4) Four(source, depth, panel, target, stride);
                else One(source, depth, panel, target, stride);
            }
            else
            {
                Portable(source, rows, depth, panel, target, stride);
            }
            if (!full)
            {
                for (var r = 0; r < rows; r++)
                    new Span<float>(edge + r * Width, columns).CopyTo(new Span<float>(y + (long)(row + r) * yStride, columns));
            }
            row += rows;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Eight(float* x, int depth, float* panel, float* y, int stride)
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default, b6 = default, b7 = default;
        float* x1 = x + depth, x2 = x1 + depth, x3 = x2 + depth, x4 = x3 + depth, x5 = x4 + depth, x6 = x5 + depth, x7 = x6 + depth;
        for (var k = 0; k < depth; k++)
        {
            var u = Vector512.Load(panel);
            var v = Vector512.Load(panel + 16);
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
        Store(y, a0, b0); Store(y += stride, a1, b1); Store(y += stride, a2, b2); Store(y += stride, a3, b3);
        Store(y += stride, a4, b4); Store(y += stride, a5, b5); Store(y += stride, a6, b6); Store(y + stride, a7, b7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(float* x, int depth, float* panel, float* y, int stride)
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default;
        float* x1 = x + depth, x2 = x1 + depth, x3 = x2 + depth;
        for (var k = 0; k < depth; k++)
        {
            var u = Vector512.Load(panel);
            var v = Vector512.Load(panel + 16);
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
        Store(y, a0, b0); Store(y += stride, a1, b1); Store(y += stride, a2, b2); Store(y + stride, a3, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* x, int depth, float* panel, float* y, int stride)
    {
        Vector512<float> a = default, b = default;
        for (var k = 0; k < depth; k++, panel += Width)
        {
            var s = Vector512.Create(x[k]);
            a = Vector512.FusedMultiplyAdd(s, Vector512.Load(panel), a);
            b = Vector512.FusedMultiplyAdd(s, Vector512.Load(panel + 16), b);
        }
        Store(y, a, b);
    }

    private static void Store(float* y, Vector512<float> low, Vector512<float> high)
    {
        low.Store(y);
        high.Store(y + 16);
    }

    /// <summary>The same chains with vectors of 8, two of them at a time: AVX2, NEON and machines without vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Portable(float* x, int rows, int depth, float* panel, float* y, int stride)
    {
        for (var row = 0; row < rows; row++, x += depth, y += stride)
        {
            for (var column = 0; column < Width; column += 16)
            {
                Vector256<float> a = default, b = default;
                var p = panel + column;
                for (var k = 0; k < depth; k++, p += Width)
                {
                    var s = Vector256.Create(x[k]);
                    a = Vector256.FusedMultiplyAdd(s, Vector256.Load(p), a);
                    b = Vector256.FusedMultiplyAdd(s, Vector256.Load(p + 8), b);
                }
                a.Store(y + column);
                b.Store(y + column + 8);
            }
        }
    }
}
