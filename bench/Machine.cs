using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace AnchorScope.Bench;

/// <summary>What everything ran on.</summary>
/// <param name="Peak">Fused multiply-adds of one core, measured, GFLOP/s.</param>
/// <param name="Bandwidth">Reading memory with one core, measured, GB/s.</param>
/// <param name="Load">Load average of the last minute when it began; 0 is an idle machine.</param>
internal sealed record Machine(string Processor, int Cores, int VectorBits, string Runtime, double Peak, double Bandwidth, double Load)
{
    public static Machine Measure()
    {
        var info = File.Exists("/proc/cpuinfo") ? File.ReadAllLines("/proc/cpuinfo") : [];
        var name = info.FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
        var load = File.Exists("/proc/loadavg") ? double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture) : 0;
        var bits = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;
        return new Machine(name, Environment.ProcessorCount, bits, RuntimeInformation.FrameworkDescription, FusedMultiplyAdds(), Reading(), load);
    }

    /// <summary>Best of several turns: a peak is what the core can do.</summary>
    public static double FusedMultiplyAdds() => Enumerable.Range(0, 7).Max(_ =>
    {
        const int Steps = 4_000_000;
        var seconds = Contest.Ours(() => Sink += Chains(Steps))(1);
        return 2.0 * 16 * 16 * Steps / seconds / 1e9;
    });

    /// <summary>A buffer far beyond all caches, once through.</summary>
    public static unsafe double Reading()
    {
        const long Bytes = 1L << 30;
        var data = (byte*)NativeMemory.AlignedAlloc((nuint)Bytes, 64);
        new Span<byte>(data, (int)(Bytes / 2)).Fill(1);
        new Span<byte>(data + Bytes / 2, (int)(Bytes / 2)).Fill(1);
        var best = Enumerable.Range(0, 5).Max(_ => Bytes / Contest.Ours(() => Sink += Sum((float*)data, Bytes / 4))(1) / 1e9);
        NativeMemory.AlignedFree(data);
        return best;
    }

    // Floats: the hardware does not look beyond a page of 4 KiB on its own.
    private const int Ahead = 2048;

    private static float Sink { get; set; }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Chains(int steps)
    {
        var (m, c) = (Vector512.Create(0.999f), Vector512.Create(0.001f));
        Vector512<float> a0 = c, a1 = c, a2 = c, a3 = c, a4 = c, a5 = c, a6 = c, a7 = c, b0 = c, b1 = c, b2 = c, b3 = c, b4 = c, b5 = c, b6 = c, b7 = c;
        for (var i = 0; i < steps; i++)
        {
            a0 = Vector512.FusedMultiplyAdd(a0, m, c); a1 = Vector512.FusedMultiplyAdd(a1, m, c); a2 = Vector512.FusedMultiplyAdd(a2, m, c); a3 = Vector512.FusedMultiplyAdd(a3, m, c);
            a4 = Vector512.FusedMultiplyAdd(a4, m, c); a5 = Vector512.FusedMultiplyAdd(a5, m, c); a6 = Vector512.FusedMultiplyAdd(a6, m, c); a7 = Vector512.FusedMultiplyAdd(a7, m, c);
            b0 = Vector512.FusedMultiplyAdd(b0, m, c); b1 = Vector512.FusedMultiplyAdd(b1, m, c); b2 = Vector512.FusedMultiplyAdd(b2, m, c); b3 = Vector512.FusedMultiplyAdd(b3, m, c);
            b4 = Vector512.FusedMultiplyAdd(b4, m, c); b5 = Vector512.FusedMultiplyAdd(b5, m, c); b6 = Vector512.FusedMultiplyAdd(b6, m, c); b7 = Vector512.FusedMultiplyAdd(b7, m, c);
        }
        return Vector512.Sum(a0 + a1 + a2 + a3 + (a4 + a5 + a6 + a7) + (b0 + b1 + b2 + b3) + (b4 + b5 + b6 + b7));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe float Sum(float* data, long count)
    {
        // Several places at once, as weights are read: one stream alone does not fill the memory's queue.
        var part = count / 4;
        Vector512<float> a = default, b = default, c = default, d = default;
        for (long i = 0; i < part; i += 16)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch1(data + i + Ahead);
                Sse.Prefetch1(data + part + i + Ahead);
                Sse.Prefetch1(data + 2 * part + i + Ahead);
                Sse.Prefetch1(data + 3 * part + i + Ahead);
            }
            a += Vector512.Load(data + i);
            b += Vector512.Load(data + part + i);
            c += Vector512.Load(data + 2 * part + i);
            d += Vector512.Load(data + 3 * part + i);
        }
        return Vector512.Sum(a + b + c + d);
    }
}
