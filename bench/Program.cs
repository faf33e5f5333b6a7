using AnchorScope.Bench;

var benches = new SortedDictionary<string, Func<Machine, Results>>(StringComparer.Ordinal)
{
    ["attention"] = _ => AttentionBench.Run(),
    ["bits"] = _ => BitsBench.Run(),
    ["decode"] = _ => DecodeBench.Run(),
    ["forward"] = _ => ForwardBench.Run(),
    ["gemm"] = _ => GemmBench.Run(),
    ["scaling"] = _ => ScalingBench.Run(),
    ["sweep"] = _ => SweepBench.Run(),
    ["threads"] = ThreadsBench.Run,
};
var unknown = args.Where(a => a is not ("all" or "report") && !benches.ContainsKey(a)).ToList();
if (args.Length == 0 || unknown.Count > 0)
{
    Console.Error.WriteLine($"dotnet run -c Release --project bench -- all | report | {string.Join(" | ", benches.Keys)}{(unknown.Count > 0 ? $"; not {unknown[0]}" : "")}");
    return 2;
}
foreach (var (name, run) in benches.Where(b => args.Contains("all") || args.Contains(b.Key)))
{
    var machine = Machine.Measure();
    Console.WriteLine($"{name}: {machine.Processor}, {machine.Cores} cores, {machine.Peak:0.0} GFLOP/s and {machine.Bandwidth:0.0} GB/s a core, load {machine.Load:0.00}");
    var results = run(machine) with { Machine = machine };
    results.Print();
    results.Save();
}
ReportPage.Write();
return 0;
