using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Server;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;
using AnchorScope.Synthesis;

namespace AnchorScope.Bench;

/// <summary>
/// The engine of the server without HTTP: many requests at once against one after the other, steered against unsteered, recorded or not.
/// </summary>
internal static class ServeBench
{
    private const int Rounds = 5;
    private const int LargeRounds = 2;
    private const int AtOnce = 16;
    private const int LargePrompt = 16;
    private const int LargeTokens = 32;
    private const int Steered = 256;
    private const int SteeredPrompt = 12;
    private const int SteeredTokens = 8;

    public static Results Run()
    {
        var lines = new List<Line>();
        using (var large = ServeSubject.Large()) AddBatch(lines, large.Model);
        using var small = ServeSubject.Small();
        AddSteered(lines, small.Model);
        AddLogged(lines, small);
        AddWatched(lines, small);
        return new Results("serve", "Many requests at once, each with its own interventions",
            $"The server's scheduler without HTTP, on {Environment.ProcessorCount} threads; nothing is reused between requests. At once "
                + $"against one after the other: {AtOnce} requests of {LargePrompt} tokens and {LargeTokens} new ones, random weights in "
                + "bfloat16 of the shape of a model of one billion parameters (16 layers, d 2048, 32 heads, d_mlp 5632, 32000 tokens), "
                + $"{LargeRounds} rounds. Distinct interventions: "
                + $"{Steered} requests at once, {SteeredPrompt} tokens and {SteeredTokens} new "
                + "ones, 12 layers, d 384, 12 heads, float32; K of the requests have an intervention each, all different, the others "
                + "none; against the same requests without any, in the same round. A gain: another head by another factor at all "
                + "positions. A cut: the edges from another token to all later ones in another layer. A direction: a vector of its own "
                + "added to the residual stream of a layer at all positions. Logged: 64 requests of the same model by 16 clients, prepared "
                + "from JSON, each recorded in the log before it is answered (hashes, canonical JSON, tree, write and flush to the disk) "
                + "against the same without a log at all. Read: with the decision, the margins by layer and the heads of each request "
                + $"against the same without. Medians of {Rounds} interleaved rounds; in brackets the least and the most.",
            ["s", "against, s"], lines, []);
    }

    private static void AddBatch(List<Line> lines, VisionLanguageModel model)
    {
        Job[] jobs = [.. Enumerable.Range(0, AtOnce).Select(i => new Job
            { Prompt = ServeSubject.Prompt(model, LargePrompt, i), Tokens = LargeTokens })];
        using var scheduler = new Scheduler(model.Engine, ServeSubject.Options(256));
        ServeSubject.AtOnce(scheduler, [jobs[0] with { Tokens = 2 }]);
        var (together, apart) = (new double[LargeRounds], new double[LargeRounds]);
        for (var round = 0; round < LargeRounds; round++)
        {
            together[round] = Contest.Ours(() => ServeSubject.AtOnce(scheduler, jobs))(1);
            apart[round] = Contest.Ours(() =>
            {
                foreach (var job in jobs) ServeSubject.AtOnce(scheduler, [job]);
            })(1);
            Console.Error.WriteLine($"serve: {AtOnce} at once {together[round]:0.0} s, one after the other {apart[round]:0.0} s");
        }
        var tokens = AtOnce * LargeTokens;
        lines.Add(ServeSubject.Line($"{AtOnce} at once, {tokens / Contest.Median(together):0.0} tokens/s, against one after the other, "
            + $"{tokens / Contest.Median(apart):0.0} tokens/s, 1.1 billion parameters, bf16", together, apart, 5));
    }

    private static void AddSteered(List<Line> lines, VisionLanguageModel model)
    {
        using var scheduler = new Scheduler(model.Engine, ServeSubject.Options(2 * Steered));
        var shape = model.Engine.Shape;
        var prompts = Enumerable.Range(0, Steered).Select(i => ServeSubject.Prompt(model, SteeredPrompt, i)).ToList();
        Intervention Gain(int i) => Intervention.HeadGain(i / shape.Heads % shape.Layers, i % shape.Heads, 1.5f + i / 144);
        Intervention Cut(int i)
        {
            var key = i / shape.Layers % (SteeredPrompt / 2);
            return Intervention.Knockout(
                $"cut {i}", [i % shape.Layers], Positions.Range(key + 1, SteeredPrompt + SteeredTokens - 1), Positions.Of(key));
        }
        Intervention Along(int i) => new($"direction {i}", [new Edit(Site.ResidPost, i % shape.Layers, Operation.Add)
            { Factor = 0.01f, Vector = [.. Enumerable.Range(0, shape.ModelSize).Select(d => (d + i) % 7 - 3f)] }]);
        Job[] With(int distinct, Func<int, Intervention> of) => [.. prompts.Select((prompt, i) => new Job
            { Prompt = prompt, Tokens = SteeredTokens, Intervention = i < distinct ? of(i) : Intervention.None })];
        var plain = With(0, Gain);
        var arms = new List<(string What, Job[] Jobs)> { ("no intervention, again: what differs by chance", plain) };
        arms.AddRange(new[] { 1, 8, 32, 64, 128, 256 }.Select(k => ($"{k} distinct gains of heads", With(k, Gain))));
        arms.AddRange(new[] { 8, 64, 256 }.Select(k => ($"{k} distinct cuts of edges", With(k, Cut))));
        arms.AddRange(new[] { 8, 64, 256 }.Select(k => ($"{k} distinct directions", With(k, Along))));
        Contender[] contenders = [
            .. arms.Prepend(("", plain)).Select(arm => Contest.Ours(() => ServeSubject.AtOnce(scheduler, arm.Item2)))];
        var times = Contest.Run(Rounds, contenders);
        for (var i = 0; i < arms.Count; i++)
        {
            lines.Add(ServeSubject.Line($"{arms[i].What} in a batch of {Steered}, "
                + $"{Steered * SteeredTokens / Contest.Median(times[i + 1]):0} tokens/s", times[i + 1], times[0], i == 0 ? null : 0.95));
        }
    }

    /// <summary>The log on against off. Without HTTP its share of a request is larger than a client sees.</summary>
    private static void AddLogged(List<Line> lines, ServeSubject subject)
    {
        using var scratch = new Scratch();
        using var served = new ServedModel(subject.Model, "model", ServeSubject.Options(256), Policy.None, TimeProvider.System);
        using var trail = new AuditTrail(scratch.File("state"), new AuditLogOptions(), Policy.None, TimeProvider.System);
        var times = Contest.Run(Rounds, Contest.Ours(() => Clients(served, Recorded(trail), Body(false))),
            Contest.Ours(() => Clients(served, null, Body(false))));
        lines.Add(ServeSubject.Line("64 requests by 16 clients, each recorded in the log, against no log", times[0], times[1], 0.98));
    }

    /// <summary>
    /// The monitor on against off: requests that name answers, which it reads, sketches and takes for reruns in idle time, against the same
    /// requests without answers.
    /// </summary>
    private static void AddWatched(List<Line> lines, ServeSubject subject)
    {
        using var scratch = new Scratch();
        using var served = new ServedModel(subject.Model, "model", ServeSubject.Options(256), Policy.None, TimeProvider.System);
        using var trail = new AuditTrail(scratch.File("state"), new AuditLogOptions(), Policy.None, TimeProvider.System);
        var monitor = new TrafficMonitor(served, null, trail, TimeProvider.System);
        served.Watches = monitor.Takes;
        var times = Contest.Run(Rounds,
            Contest.Ours(() => Clients(served, (_, _, prepared, _, _) => monitor.Add(prepared), Body(true))),
            Contest.Ours(() => Clients(served, null, Body(false))));
        lines.Add(ServeSubject.Line("64 requests by 16 clients, each watched by the monitor, against none", times[0], times[1], 0.97));
        monitor.DisposeAsync().AsTask().Wait();
    }

    private static Action<int, byte[], PreparedRequest, List<JobToken>, JobResult> Recorded(AuditTrail trail) =>
        (i, bytes, prepared, tokens, result) => trail.Answered(new ExchangeId($"chatcmpl-{i}", "bench"), bytes, prepared, tokens, result);

    private static Func<int, byte[]> Body(bool read) => i => System.Text.Encoding.UTF8.GetBytes($$"""
        {"model": "model", "messages": [{"role": "user", "content": [{"type": "text", "text": "note {{i}}: the sign on the door is red."},
         {"type": "text", "text": "what colour is it?"}]}], "max_tokens": 16{{(read
            ? """, "anchorscope": {"answers": {"vision": ["r"], "text": ["b"]}}""" : "")}}}
        """);

    /// <summary>Requests as the server handles them, from their bytes to their answer.</summary>
    /// <param name="answered">Called with each answer before the next request; null: nothing is.</param>
    private static void Clients(ServedModel served, Action<int, byte[], PreparedRequest, List<JobToken>, JobResult>? answered,
        Func<int, byte[]> body)
    {
        var next = -1;
        async Task Client()
        {
            while (Interlocked.Increment(ref next) is var i and < 64)
            {
                var bytes = body(i);
                var prepared = await served.Prepare(RequestReader.ReadChat(bytes), "", CancellationToken.None);
                var handle = served.Scheduler.Submit(prepared.Job);
                var tokens = new List<JobToken>();
                await foreach (var token in handle.Tokens.ReadAllAsync()) tokens.Add(token);
                var result = await handle.Result;
                answered?.Invoke(i, bytes, prepared, tokens, result);
            }
        }
        Task.WaitAll([.. Enumerable.Range(0, 16).Select(_ => Task.Run(Client))]);
    }
}
