using AnchorScope;
using AnchorScope.Bench;

// Takes half an hour and 14 GB of disk: runs only if named explicitly.
const string Apart = "large";

var benches = new SortedDictionary<string, Func<Machine, Results>>(StringComparer.Ordinal)
{
    ["attention"] = _ => AttentionBench.Run(),
    ["bits"] = _ => BitsBench.Run(),
    ["decode"] = _ => DecodeBench.Run(),
    ["forward"] = _ => ForwardBench.Run(),
    ["gemm"] = _ => GemmBench.Run(),
    [Apart] = _ => LargeBench.Run(),
    ["scaling"] = _ => ScalingBench.Run(),
    ["screen"] = _ => ScreenBench.Run(),
    ["serve"] = _ => ServeBench.Run(),
    ["serve-latency"] = _ => ServeLatencyBench.Run(),
    ["serve-peer"] = _ => ServePeerBench.Run(),
    ["sweep"] = _ => SweepBench.Run(),
    ["threads"] = ThreadsBench.Run,
    ["training"] = _ => TrainingBench.Run(),
};
var unknown = args.Where(a => a is not ("all" or "report") && !benches.ContainsKey(a)).ToList();
if (args.Length == 0 || unknown.Count > 0)
{
    Console.Error.WriteLine("dotnet run -c Release --project bench -- all (but "
        + $"{Apart}) | report | {string.Join(" | ", benches.Keys)}{(unknown.Count > 0 ? $"; not {unknown[0]}" : "")}");
    return 2;
}
// "serve" stands for all of its parts.
foreach (var (name, run) in benches.Where(b => args.Contains(b.Key) || args.Contains(b.Key.Split('-')[0])
    || (args.Contains("all") && b.Key != Apart)))
{
    var machine = Machine.Measure();
    Console.WriteLine($"{name}: {machine.Processor}, {machine.Cores} cores, {machine.Peak:0.0} GFLOP/s and {machine.Bandwidth:0.0} GB/s a "
        + $"core, load {machine.Load:0.00}");
    try
    {
        var results = run(machine) with { Machine = machine };
        results.Print();
        results.Save();
    }
    catch (InputException e)
    {
        Console.Error.WriteLine($"{name}: {e.Message}");
        return 2;
    }
}
ReportPage.Write();
return 0;
