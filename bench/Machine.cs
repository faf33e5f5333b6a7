using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>The machine that all benchmarks ran on.</summary>
/// <param name="Peak">Measured rate of fused multiply-adds of one core, GFLOP/s.</param>
/// <param name="Bandwidth">Measured rate of reading memory with one core, GB/s.</param>
/// <param name="Load">Load average of the last minute at the start; 0 is an idle machine.</param>
internal sealed record Machine(string Processor, int Cores, int VectorBits, string Runtime, double Peak, double Bandwidth, double Load)
{
    /// <summary>
    /// Best of several measurements, to describe the machine. Fractions of a peak do not use it: they measure the peak in their own rounds.
    /// </summary>
    public static Machine Measure()
    {
        var info = File.Exists("/proc/cpuinfo") ? File.ReadAllLines("/proc/cpuinfo") : [];
        var name = info.FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim()
            ?? RuntimeInformation.ProcessArchitecture.ToString();
        var load = File.Exists("/proc/loadavg")
            ? double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture) : 0;
        var bits = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;
        using var team = new Team(1);
        using var memory = new MemoryReading(team);
        var peak = new ArithmeticPeak(team);
        return new Machine(name, Environment.ProcessorCount, bits, RuntimeInformation.FrameworkDescription,
            peak.Operations / Fastest(peak.Contender) / 1e9, MemoryReading.Bytes / Fastest(memory.Contender) / 1e9, load);
    }

    private static double Fastest(Contender contender) => Enumerable.Range(0, 7).Min(_ => contender(1));
}
