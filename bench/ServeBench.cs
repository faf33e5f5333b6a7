using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Server.Scheduling;
using AnchorScope.Synthesis;

namespace AnchorScope.Bench;

/// <summary>
/// The scheduler of the server: many requests at once against one after the other, steered against unsteered, recorded or not.
/// </summary>
internal static class ServeBench
{
    private const int Rounds = 3;

    public static Results Run()
    {
        var lines = new List<Line>();
        AddBatch(lines);
        using var subject = new Subject();
        AddSteered(lines, subject);
        AddRecorded(lines, subject);
        return new Results("serve", "Many requests at once",
            "The server's scheduler without HTTP, on all cores. At once against one after the other: 16 requests of 60 tokens and 8 new "
                + "ones, random "
                + "weights in bfloat16 of the shape of a model of one billion parameters (16 layers, d 2048, 32 heads). "
                + "Distinct interventions: 256 "
                + "requests at once, 60 tokens and 16 new ones, the model of `forward`; K of them have a gain of another head, "
                + "each its own, against "
                + "none. Recorded: 32 requests whose prompt is recorded at 8 positions in every layer, against the same without. "
                + "Nothing is reused "
                + $"between requests. Medians of {Rounds} interleaved rounds.",
            ["s", "against, s"], lines, []);
    }

    private static void AddBatch(List<Line> lines)
    {
        using var scratch = new Scratch();
        new SyntheticCheckpoint(new SynthesisOptions
        {
            Family = SyntheticFamily.Of("llava"), Layers = 16, Heads = 32, Width = 2048, MlpSize = 5632,
            Vocabulary = 32000, ImageTokens = 576,
            VisionLayers = 1, Type = StoredType.BF16, Seed = 1,
        }).Write(scratch.File("model"));
        using var model = VisionLanguageModel.Open(scratch.File("model"));
        Job[] jobs = [.. Enumerable.Range(0, 16).Select(i => new Job { Prompt = Subject.Of(model, 0, seed: i), Tokens = 8 })];
        var options = new SchedulerOptions { Rows = 256, Memory = 8L << 30, KeepPrefixes = false, Threads = Environment.ProcessorCount };
        using var scheduler = new Scheduler(model.Engine, options);
        var times = Contest.Run(Rounds, Contest.Ours(() => AtOnce(scheduler, jobs)), Contest.Ours(() =>
        {
            foreach (var job in jobs) AtOnce(scheduler, [job]);
        }));
        Add(lines, $"16 at once against one after the other ({16 * 8 / Contest.Median(times[0]):0.0} tokens/s at once)", times, 5);
    }

    private static void AddSteered(List<Line> lines, Subject subject)
    {
        const int Requests = 256;
        var options = new SchedulerOptions
            { Rows = 2 * Requests, Memory = 8L << 30, KeepPrefixes = false, Queue = Requests, Threads = Environment.ProcessorCount };
        using var scheduler = new Scheduler(subject.Model.Engine, options);
        var prompts = Enumerable.Range(0, Requests).Select(i => Subject.Of(subject.Model, 0, seed: i)).ToList();
        Job[] With(int distinct) =>
        [
            .. prompts.Select((prompt, i) => new Job
            {
                Prompt = prompt, Tokens = 16,
                Intervention = i >= distinct ? Intervention.None : Intervention.HeadGain(i / 12 % 12, i % 12, 1.5f + i / 144),
            }),
        ];
        foreach (var distinct in new[] { 1, 8, 32, 64, 128, 256 })
        {
            var (steered, plain) = (With(distinct), With(0));
            var times = Contest.Run(Rounds, Contest.Ours(() => AtOnce(scheduler, steered)), Contest.Ours(() => AtOnce(scheduler, plain)));
            Add(lines, $"{distinct} distinct interventions in a batch of {Requests} against none", times, 0.95);
        }
    }

    private static void AddRecorded(List<Line> lines, Subject subject)
    {
        var options = new SchedulerOptions { Rows = 256, Memory = 8L << 30, KeepPrefixes = false, Threads = Environment.ProcessorCount };
        using var scheduler = new Scheduler(subject.Model.Engine, options);
        Job[] plain = [.. Enumerable.Range(0, 32).Select(i => new Job { Prompt = Subject.Of(subject.Model, 0, seed: i), Tokens = 16 })];
        Job[] recorded = [.. plain.Select(job => job with
            { Sites = [Site.ResidPost], Positions = [.. Enumerable.Range(job.Prompt.Length - 8, 8)], Recorded = Read })];
        var times = Contest.Run(Rounds, Contest.Ours(() => AtOnce(scheduler, recorded)), Contest.Ours(() => AtOnce(scheduler, plain)));
        Add(lines, "32 requests recorded and read by the lens against the same without", times, 0.97);
    }

    /// <summary>What a report of margins costs: two tokens read at eight positions in every layer.</summary>
    private static void Read(ISession session, Sequence sequence)
    {
        var shape = session.Engine.Shape;
        var rows = new float[8 * shape.ModelSize];
        var last = sequence.Computed - 1;
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            for (var i = 0; i < 8; i++) sequence.Row(Site.ResidPost, layer, last - 7 + i).CopyTo(rows.AsSpan(i * shape.ModelSize));
            session.Unembed(rows, true, [1000, 2000]);
        }
    }

    private static void AtOnce(Scheduler scheduler, Job[] jobs)
    {
        JobHandle[] handles = [.. jobs.Select(scheduler.Submit)];
        Task.WaitAll([.. handles.Select(handle => handle.Result)]);
    }

    private static void Add(List<Line> lines, string what, double[][] times, double bar) =>
        lines.Add(new Line(what, $"{Contest.Median(times[0]):0.000}", $"{Contest.Median(times[1]):0.000}",
            Contest.Ratio(times[0], times[1]), bar));
}
