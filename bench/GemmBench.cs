using System.Runtime.InteropServices;
using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

internal static unsafe class GemmBench
{
    public static void Run()
    {
        Console.WriteLine($"OpenBLAS {OpenBlas.Core}");
        foreach (var (n, k) in new[] { (768, 768), (4096, 4096) })
        {
            var folder = Directory.CreateTempSubdirectory();
            var random = new Random(1);
            var w = new float[n * k];
            for (var i = 0; i < w.Length; i++) w[i] = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(random.NextSingle() - 0.5f) & 0xffff0000);
            var path = Path.Combine(folder.FullName, "m.safetensors");
            SafetensorsWriter.Write(path, [TensorData.Of("f32", w, n, k), new TensorData("bf16", StoredType.BF16, [n, k], w.SelectMany(v => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(v) >> 16))).ToArray())]);
            using var file = SafetensorsFile.Open(path);
            var weights = new Weights(path, [file]);
            var f32 = weights.Get("f32", n, k);
            foreach (var rows in new[] { 1, 8, 32, 128, 512 })
            {
                using var arena = new Arena();
                using var team = new Team(1);
                var x = arena.Take(rows, k);
                for (var r = 0; r < rows; r++) foreach (ref var v in x[r]) v = random.NextSingle() - 0.5f;
                var y = (float*)NativeMemory.AlignedAlloc((nuint)(rows * n * 4), 64);
                fixed (float* pw = w)
                {
                    var q = pw;
                    var linear = new Linear(f32);
                    var packed = new Linear(f32);
                    packed.Pack();
                    var half = new Linear(weights.Get("bf16", n, k));
                    var panel = new Compute(arena, team);
                    var direct = new Compute(arena, team, KernelFamily.Direct);
                    var times = Contest.Run(
                        () => OpenBlas.Multiply(x.Data, q, y, rows, n, k),
                        () => { var m = arena.Here(); linear.Forward(x, panel); arena.Release(m); },
                        () => { var m = arena.Here(); packed.Forward(x, panel); arena.Release(m); },
                        () => { var m = arena.Here(); half.Forward(x, panel); arena.Release(m); },
                        () => { var m = arena.Here(); linear.Forward(x, direct); arena.Release(m); },
                        () => { var m = arena.Here(); half.Forward(x, direct); arena.Release(m); });
                    var flops = 2e-9 * rows * n * k;
                    Console.WriteLine($"{rows}x{n}x{k}: openblas {flops / Contest.Median(times[0]):0.0} panel {flops / Contest.Median(times[1]):0.0} ({Contest.Ratio(times[1], times[0]):0.00}) packed {flops / Contest.Median(times[2]):0.0} ({Contest.Ratio(times[2], times[0]):0.00}) bf16 {flops / Contest.Median(times[3]):0.0} ({Contest.Ratio(times[3], times[0]):0.00}) direct {flops / Contest.Median(times[4]):0.0} ({Contest.Ratio(times[4], times[0]):0.00}) bf16 {flops / Contest.Median(times[5]):0.0} ({Contest.Ratio(times[5], times[0]):0.00})");
                }
                NativeMemory.AlignedFree(y);
            }
            folder.Delete(true);
        }
    }
}
