using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>
/// Fused multiply-adds on registers only, on all threads of a team at once: an upper bound of the speed of any matrix product.
/// </summary>
internal sealed class ArithmeticPeak(Team team)
{
    private const int Steps = 1_000_000;

    // More chunks than threads, so that other threads compensate for a delayed one.
    private const int ChunksPerThread = 4;

    private readonly float[] _sink = new float[team.Size];

    /// <summary>Seconds that this many operations would take at the speed of each round.</summary>
    public double[] Least(double operations, double[] times) => [.. times.Select(t => t * operations / Operations)];

    /// <summary>Floating-point operations per call.</summary>
    public double Operations => 2.0 * 16 * 16 * Steps * ChunksPerThread * team.Size;

    public Contender Contender =>
        Contest.Ours(() => team.For(ChunksPerThread * team.Size, (long)Operations, (_, member) => _sink[member] += Chains(Steps)));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Chains(int steps)
    {
        var (m, c) = (Vector512.Create(0.999f), Vector512.Create(0.001f));
        Vector512<float> a0 = c, a1 = c, a2 = c, a3 = c, a4 = c, a5 = c, a6 = c, a7 = c, b0 = c, b1 = c, b2 = c, b3 = c,
            b4 = c, b5 = c, b6 = c, b7 = c;
        for (var i = 0; i < steps; i++)
        {
            a0 = Vector512.FusedMultiplyAdd(a0, m, c); a1 = Vector512.FusedMultiplyAdd(a1, m, c); a2 = Vector512.FusedMultiplyAdd(a2, m,
                c); a3 = Vector512.FusedMultiplyAdd(a3, m, c);
            a4 = Vector512.FusedMultiplyAdd(a4, m, c); a5 = Vector512.FusedMultiplyAdd(a5, m, c); a6 = Vector512.FusedMultiplyAdd(a6, m,
                c); a7 = Vector512.FusedMultiplyAdd(a7, m, c);
            b0 = Vector512.FusedMultiplyAdd(b0, m, c); b1 = Vector512.FusedMultiplyAdd(b1, m, c); b2 = Vector512.FusedMultiplyAdd(b2, m,
                c); b3 = Vector512.FusedMultiplyAdd(b3, m, c);
            b4 = Vector512.FusedMultiplyAdd(b4, m, c); b5 = Vector512.FusedMultiplyAdd(b5, m, c); b6 = Vector512.FusedMultiplyAdd(b6, m,
                c); b7 = Vector512.FusedMultiplyAdd(b7, m, c);
        }
        return Vector512.Sum(a0 + a1 + a2 + a3 + (a4 + a5 + a6 + a7) + (b0 + b1 + b2 + b3) + (b4 + b5 + b6 + b7));
    }
}

/// <summary>
/// Reads a buffer much larger than all caches once, on all threads of a team at once: an upper bound of the speed at which weights can be
/// read.
/// </summary>
internal sealed unsafe class MemoryReading : IDisposable
{
    /// <summary>Bytes read per call.</summary>
    public const long Bytes = 1L << 30;

    private const int Chunks = 16;

    // Prefetch distance in floats: the hardware prefetcher does not cross a 4 KiB page.
    private const int Ahead = 2048;

    private readonly Team _team;
    private readonly float[] _sink;
    private float* _data;

    public MemoryReading(Team team)
    {
        (_team, _sink) = (team, new float[team.Size]);
        _data = (float*)NativeMemory.AlignedAlloc((nuint)Bytes, 64);
        // Written once, so that every page has its own physical memory.
        for (var chunk = 0; chunk < Chunks; chunk++) new Span<float>(Chunk(chunk), (int)(Bytes / Chunks / sizeof(float))).Fill(1);
    }

    public Contender Contender =>
        Contest.Ours(
            () => _team.For(Chunks, Bytes / Chunks, (chunk, member) => _sink[member] += Sum(Chunk(chunk), Bytes / Chunks / sizeof(float))));

    public void Dispose()
    {
        NativeMemory.AlignedFree(_data);
        _data = null;
    }

    private float* Chunk(int chunk) => _data + chunk * (Bytes / Chunks / sizeof(float));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Sum(float* data, long count)
    {
        // Several streams at once, as weights are read: a single stream does not fill the memory's queue.
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

/// <summary>
/// Reads a weight file once through the same kind of mapping that a model uses: mapped memory can be much slower than newly allocated
/// memory.
/// </summary>
internal sealed unsafe class MappedReading(string path) : IDisposable
{
    private const int Chunk = 1 << 26;

    private readonly MappedFile _file = MappedFile.Open(path);
    private float _sink;

    /// <summary>Bytes read per call.</summary>
    public long Bytes => _file.Length / Chunk * Chunk;

    public Contender Contender => Contest.Ours(() =>
    {
        for (long from = 0; from < Bytes; from += Chunk)
            _sink += MemoryReading.Sum((float*)_file.Address(from, Chunk), Chunk / sizeof(float));
    });

    public void Dispose() => _file.Dispose();
}
