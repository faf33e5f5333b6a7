using System.Runtime.InteropServices;
using System.Security.Cryptography;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Server.Scheduling;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Server;

/// <summary>Jobs of idle time give way: a request waits for the pass that is going, and for nothing else.</summary>
public sealed class IdleJobTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task ARequest_WaitsForOnePassOfIdleJobs_AndHasItsOwnBits()
    {
        const int Tokens = 3;
        using var tiny = Tiny.Open();
        using var scheduler = new Scheduler(tiny.Model.Engine, new SchedulerOptions { Rows = 256 });
        using var started = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        var idle = new Job
        {
            Prompt = tiny.Prompt, Tokens = 1000, IsIdle = true, Sites = [Site.ResidPost], Positions = [tiny.Prompt.Last],
            Intervention = Intervention.HeadGain(1, 0, 3),
            Recorded = (_, _) =>
            {
                started.Release();
                Assert.True(go.Wait(Long));
            },
        };
        var handles = scheduler.SubmitIdle([idle, idle with { Recorded = null }, idle with { Recorded = null }])!;
        Assert.NotNull(handles);
        Assert.True(await started.WaitAsync(Long));
        // The pass of the idle jobs is going on, and counted.
        var before = scheduler.Counts.Passes;
        var request = scheduler.Submit(new Job { Prompt = tiny.Prompt, Tokens = Tokens });
        go.Release();
        var result = await request.Result.WaitAsync(Long);
        Assert.Equal(before + Tokens, scheduler.Counts.Passes);
        using var alone = new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(Tokens) { KeepLogits = true });
        while (alone.Finished is null) SequenceBatch.Step(tiny.Session, [alone]);
        Assert.Equal(SHA256.HashData([.. alone.Logits.SelectMany(l => MemoryMarshal.AsBytes(l.AsSpan()).ToArray())]),
            result.LogitsHashes[0]);
        foreach (var handle in handles)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => handle.Result.WaitAsync(Long));
        Assert.Equal((1, 0, tiny.Prompt.Length),
            (scheduler.Counts.Finished, scheduler.Counts.Failed, scheduler.Counts.PromptPositions));
    }

    [Fact]
    public async Task IdleJobs_AreNotTakenWhileThereIsSomethingToDo_AndDoNotStopAnEnd()
    {
        using var tiny = Tiny.Open();
        using var scheduler = new Scheduler(tiny.Model.Engine, new SchedulerOptions());
        using var started = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        var request = scheduler.Submit(new Job
        {
            Prompt = tiny.Prompt, Tokens = 2, Sites = [Site.ResidPost], Positions = [tiny.Prompt.Last],
            Recorded = (_, _) =>
            {
                started.Release();
                Assert.True(go.Wait(Long));
            },
        });
        Assert.True(await started.WaitAsync(Long));
        var idle = new Job { Prompt = tiny.Prompt, Tokens = 1 << 20, IsIdle = true };
        Assert.Null(scheduler.SubmitIdle([idle with { Tokens = 1 }]));
        go.Release();
        await request.Result.WaitAsync(Long);
        IReadOnlyList<JobHandle>? handles;
        while ((handles = scheduler.SubmitIdle([idle with { Tokens = 1000 }])) is null) await Task.Delay(1, CancellationToken.None);
        await scheduler.Drain().WaitAsync(Long, CancellationToken.None);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => handles[0].Result.WaitAsync(Long));
        Assert.Null(scheduler.SubmitIdle([idle with { Tokens = 1 }]));
    }

    /// <summary>Idle jobs all finish, in the same passes, if nothing comes; and they leave kept prefixes alone.</summary>
    [Fact]
    public async Task IdleJobs_ShareTheirPasses_AndTakeNoPrefix()
    {
        using var tiny = Tiny.Open();
        var engine = tiny.Model.Engine;
        var job = new Job { Prompt = tiny.Prompt, Tokens = 1 };
        using var scheduler = new Scheduler(
            engine, new SchedulerOptions { Rows = 1024, Memory = 5 * engine.SequenceBytes(tiny.Prompt.Length + 1) });
        await scheduler.Submit(job).Result.WaitAsync(Long);
        async Task<int> Run(int count)
        {
            IReadOnlyList<JobHandle>? handles;
            while ((handles = scheduler.SubmitIdle([.. Enumerable.Repeat(job with { IsIdle = true }, count)])) is null)
                await Task.Delay(1, CancellationToken.None);
            var ended = 0;
            foreach (var handle in handles)
            {
                try
                {
                    await handle.Result.WaitAsync(Long);
                    ended++;
                }
                catch (OperationCanceledException)
                {
                    // Beyond the memory.
                }
            }
            return ended;
        }
        var before = scheduler.Counts.Passes;
        Assert.Equal(3, await Run(3));
        Assert.Equal(before + 1, scheduler.Counts.Passes);
        Assert.InRange(await Run(20), 1, 19);
        // What was kept of the request is still there.
        Assert.True((await scheduler.Submit(job).Result.WaitAsync(Long)).Reused > 0);
    }
}
