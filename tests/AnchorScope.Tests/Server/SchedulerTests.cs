using System.Security.Cryptography;
using System.Runtime.InteropServices;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Server.Scheduling;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Server;

/// <summary>
/// The law of the server: an answer has the same bits alone and in any schedule, whatever its neighbours are, whether they are cancelled,
/// and whatever is reused.
/// </summary>
public sealed class SchedulerTests
{
    public static TheoryData<string, string> Families => Studies.SweepTests.Models;

    [Theory]
    [MemberData(nameof(Families))]
    public async Task AnySchedule_IsEachJobAlone(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var jobs = Jobs(tiny);
        var alone = jobs.Select(job => Alone(tiny, job)).ToList();
        var reused = 0;
        foreach (var (rows, threads, keep, seed) in new[]
            { (2, 1, true, 1UL), (5, 2, true, 2UL), (16, 1, true, 3UL), (64, 2, true, 4UL), (64, 1, false, 5UL) })
        {
            var random = new SplitMix(seed);
            var options = new SchedulerOptions { Rows = rows, Threads = threads, KeepPrefixes = keep, Queue = 1000,
                // From room for hardly more than one job to plenty.
                Memory = tiny.Model.Engine.SequenceBytes(tiny.Prompt.Length + 8) * (6 + random.Below(20)) };
            using var scheduler = new Scheduler(tiny.Model.Engine, options);
            var submitted = new List<(int Index, JobHandle Handle, bool Cancelled)>();
            for (var i = 0; i < 40; i++)
            {
                var index = random.Below(jobs.Count);
                if (jobs[index].Answers.Count > options.MostAnswers) continue;
                var handle = scheduler.Submit(jobs[index] with { Tenant = random.Below(2) == 0 ? "a" : "b" });
                var cancelled = random.Below(6) == 0;
                submitted.Add((index, handle, cancelled));
                if (random.Below(3) == 0) await Task.Delay(random.Below(3), TestContext);
                if (cancelled) handle.Cancel();
            }
            foreach (var (index, handle, cancelled) in submitted)
            {
                var tokens = new List<JobToken>();
                await foreach (var token in handle.Tokens.ReadAllAsync(TestContext)) tokens.Add(token);
                var expected = alone[index];
                if (cancelled && !handle.Result.IsCompletedSuccessfully)
                {
                    // What it gave until then is a beginning of what it gives alone.
                    foreach (var answer in tokens.GroupBy(t => t.Answer))
                        Assert.Equal(expected[answer.Key].Tokens.Take(answer.Count()), answer.Select(t => t.Token));
                    continue;
                }
                var result = await handle.Result;
                reused += result.Reused;
                if (!keep) Assert.Equal(0, result.Reused);
                for (var answer = 0; answer < expected.Count; answer++)
                {
                    Assert.Equal(expected[answer].Tokens, tokens.Where(t => t.Answer == answer).Select(t => t.Token));
                    Assert.Equal(expected[answer].Hash, result.LogitsHashes[answer]);
                    Assert.Equal(expected[answer].Reason, tokens.Last(t => t.Answer == answer).Finished);
                }
            }
            await scheduler.Drain().WaitAsync(TimeSpan.FromSeconds(60), TestContext);
            Assert.Equal(0, scheduler.Counts.Running);
        }
        Assert.True(reused > 0, "no prefix was reused");
    }

    private static CancellationToken TestContext => CancellationToken.None;

    [Fact]
    public async Task WhatCannotRun_IsRefused()
    {
        using var tiny = Tiny.Open();
        var job = new Job { Prompt = tiny.Prompt, Tokens = 2 };
        using var scheduler = new Scheduler(tiny.Model.Engine, new SchedulerOptions
            { Rows = 8, Queue = 1, Memory = tiny.Model.Engine.SequenceBytes(tiny.Prompt.Length + 4) });
        Assert.Contains("--memory allows", Assert.Throws<InputException>(() => scheduler.Submit(job with { Tokens = 64 })).Message,
            StringComparison.Ordinal);
        Assert.Contains("n: expected 1 to 4", Assert.Throws<InputException>(
            () => scheduler.Submit(job with { Answers = [.. Enumerable.Repeat(Sampling.Greedy, 5)] })).Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => scheduler.Submit(job with { Intervention = Intervention.HeadGain(1, 99, 0) }));
        var late = scheduler.Submit(job with { Deadline = DateTimeOffset.UtcNow.AddSeconds(-1) });
        await Assert.ThrowsAsync<TimeoutException>(() => late.Result);
        var drained = scheduler.Drain();
        Assert.Throws<DrainingException>(() => scheduler.Submit(job));
        await drained.WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>A prompt of any length is computed in pieces, so that answers in progress get a token from every pass.</summary>
    [Fact]
    public async Task ALongPrompt_StopsNoAnswer()
    {
        using var tiny = Tiny.Open();
        using var scheduler = new Scheduler(tiny.Model.Engine, new SchedulerOptions { Rows = 4, KeepPrefixes = false });
        const int Tokens = 40;
        var first = 0L;
        var running = scheduler.Submit(new Job
            { Prompt = tiny.Prompt, Tokens = Tokens, Recorded = (_, _) => first = scheduler.Counts.Passes });
        var other = scheduler.Submit(new Job { Prompt = tiny.Prompt, Tokens = 1 });
        await running.Result;
        await other.Result;
        // From its first token on, each pass gives one: what is left of the other prompt is computed in these passes, too.
        Assert.Equal(first + Tokens - 1, scheduler.Counts.Passes);
        Assert.InRange(first, (tiny.Prompt.Length + 3) / 4, (2 * tiny.Prompt.Length + 3) / 4);
    }

    /// <summary>A short prompt that comes after a long one has its first token before it, and the long one goes on meanwhile.</summary>
    [Fact]
    public async Task AShortPrompt_DoesNotWaitForALongOne()
    {
        using var tiny = Tiny.Open();
        var text = tiny.Model.Prompt([.. tiny.Prompt.Tokens.Where(t => t != tiny.Model.ImageToken).Take(20)], null, null);
        var longer = tiny.Model.Prompt([.. Enumerable.Repeat(text.Tokens, 5).SelectMany(tokens => tokens)], null, null);
        using var scheduler = new Scheduler(tiny.Model.Engine, new SchedulerOptions { Rows = 6, KeepPrefixes = false });
        using var submitted = new ManualResetEventSlim();
        var (order, passes) = (new List<string>(), new Dictionary<string, long>());
        JobHandle Submit(string name, AnchorScope.Engines.Prompt prompt) => scheduler.Submit(new Job
        {
            Prompt = prompt,
            Tokens = 1,
            Recorded = (_, _) =>
            {
                order.Add(name);
                passes[name] = scheduler.Counts.Passes;
            },
        });
        // The scheduler's thread waits in this job until the two others are there.
        var before = scheduler.Submit(new Job { Prompt = text, Tokens = 1, Recorded = (_, _) => submitted.Wait() });
        var (slow, fast) = (Submit("long", longer), Submit("short", text));
        submitted.Set();
        await before.Result;
        await slow.Result;
        await fast.Result;
        Assert.Equal(["short", "long"], order);
        // Every second pass is the long one's: it takes not much longer than without the short one.
        Assert.InRange(passes["long"] - passes["short"], 1, (longer.Length + 5) / 6);
    }

    private static List<Job> Jobs(Tiny tiny)
    {
        var text = tiny.Model.Prompt([.. tiny.Prompt.Tokens.Where(t => t != tiny.Model.ImageToken).Take(20)], null, null);
        var longer = tiny.Model.Prompt([.. text.Tokens, .. text.Tokens.Reverse(), .. text.Tokens], null, null);
        var plain = new Job { Prompt = tiny.Prompt, Tokens = 5 };
        var length = tiny.Prompt.Length;
        return
        [
            plain,
            plain with { Prompt = text },
            plain with { Prompt = longer, Tokens = 3 },
            plain with { Prompt = longer, Intervention = Intervention.HeadGain("all", [(1, 0)], 3) },
            plain with { Intervention = Intervention.HeadGain("all", [(2, 1), (1, 0)], -3) },
            plain with { Intervention = Intervention.HeadGain("late", [(1, 1)], 4, Positions.Of(length - 3, length - 1)) },
            plain with { Intervention = Intervention.Knockout("cut", [1, 2], Positions.Range(length - 4, length), Positions.Of(1, 2)) },
            plain with { Answers = [new Sampling(1.5, Seed: 3)], Intervention = Intervention.HeadGain(0, 1, 2) },
            plain with { Answers = [new Sampling(2, Seed: 1), new Sampling(2, Seed: 2), Sampling.Greedy] },
            plain with { Stop = Enumerable.Range(0, tiny.Decoder.VocabularySize / 2).ToHashSet(), Tokens = 8 },
            plain with { Sites = [Site.ResidPost], Positions = [2, length - 1] },
        ];
    }

    private static List<(IReadOnlyList<int> Tokens, byte[] Hash, FinishReason? Reason)> Alone(Tiny tiny, Job job)
    {
        var answers = new List<(IReadOnlyList<int>, byte[], FinishReason?)>();
        foreach (var sampling in job.Answers)
        {
            using var sequence = new Sequence(tiny.Session, job.Prompt, new SequenceOptions(job.Tokens)
                { Intervention = job.Intervention, Sampling = sampling, Stop = job.Stop, Rules = job.Rules, KeepLogits = true });
            while (sequence.Finished is null) SequenceBatch.Step(tiny.Session, [sequence]);
            answers.Add(
                ([.. sequence.Tokens], SHA256.HashData([.. sequence.Logits.SelectMany(l => MemoryMarshal.AsBytes(l.AsSpan()).ToArray())]),
                    sequence.Finished));
        }
        return answers;
    }
}
