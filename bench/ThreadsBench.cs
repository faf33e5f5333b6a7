using System.Diagnostics;
using AnchorScope.Interventions;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Two threads compared with one, alone and next to a process that occupies one core.</summary>
internal static class ThreadsBench
{
    public static Results Run(Machine machine)
    {
        if (Environment.ProcessorCount < 2) throw new InvalidOperationException("threads needs two cores");
        using var subject = new Subject();
        var lines = new List<Line>();
        AddYardstick(lines);
        Add(lines, subject, "idle", 1.7);
        using (var spin = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "while :; do :; done"]))!)
        {
            try
            {
                Add(lines, subject, "with a busy process running", 0.8);
            }
            finally
            {
                spin.Kill();
            }
        }
        return new Results("threads", "Two threads against one",
            "The model of `forward`. One forward pass whose products and attention two threads share, 32 and 636 positions; "
                + "and the sweep of 144 heads at the last 32 positions, whose passes go to threads of their own. Beside a busy process: "
                + "a shell that spins, pinned nowhere, so that three threads want two cores. Load average at the start "
                + $"{machine.Load:0.00}. Medians of {Contest.Rounds} interleaved rounds.",
            ["two threads, s", "one thread, s"], lines, []);
    }

    /// <summary>
    /// The speed-up of two cores on register arithmetic: they may be two hyperthreads of one core, or share a thermal limit.
    /// </summary>
    private static void AddYardstick(List<Line> lines)
    {
        using var one = new Team(1);
        using var two = new Team(2);
        var (alone, together) = (new ArithmeticPeak(one), new ArithmeticPeak(two));
        var times = Contest.Run(together.Contender, alone.Contender);
        lines.Add(new Line("fused multiply-adds on registers alone, idle: GFLOP/s",
            $"{together.Operations / Contest.Median(times[0]) / 1e9:0.0}", $"{alone.Operations / Contest.Median(times[1]) / 1e9:0.0}",
            Contest.Ratio(times[0], times[1]) * together.Operations / alone.Operations, null));
    }

    private static void Add(List<Line> lines, Subject subject, string when, double bar)
    {
        using var arena = new Arena();
        using var one = new Team(1);
        using var two = new Team(2);
        foreach (var image in new[] { 32 - Subject.TextTokens, 576 })
        {
            var prompt = Subject.Of(subject.Model, image);
            Contender Of(Team team) =>
                Contest.Ours(() => Sweep.FullPass(subject.Model.Engine.On(new Compute(arena, team)), prompt, Intervention.None));
            Add($"forward pass of {prompt.Length} positions, {when}", Contest.Run(Of(two), Of(one)));
        }
        var at = Positions.Range(subject.Prompt.Length - 32, subject.Prompt.Length);
        Intervention[] heads = [.. Enumerable.Range(0, 144).Select(i => Intervention.HeadGain(i / 12, i % 12, 0, at))];
        Contender Swept(int threads) => Contest.Ours(() =>
        {
            using var scratch = new Scratch();
            using var rows = SweepFile.Open(scratch.File("rows"), subject.Model, subject.Prompt, heads, [], heads: true);
            new SweepStudy(subject.Model, subject.Prompt, heads, new SweepOptions(1 << 30, threads, Naive: false)).Run(rows);
        });
        Add($"sweep of 144 heads, {when}", Contest.Run(Swept(2), Swept(1)));

        void Add(string what, double[][] times) =>
            lines.Add(new Line(what, $"{Contest.Median(times[0]):0.000}", $"{Contest.Median(times[1]):0.000}",
                Contest.Ratio(times[0], times[1]), bar));
    }
}
