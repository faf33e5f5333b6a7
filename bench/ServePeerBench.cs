using AnchorScope.Server.Scheduling;

namespace AnchorScope.Bench;

/// <summary>The engine of the server against llama.cpp: the same weights, the same prompts, eight sequences at once.</summary>
internal static class ServePeerBench
{
    private const int Rounds = 3;
    private const int Sequences = 8;
    private const int Tokens = 32;

    public static Results Run()
    {
        using var subject = ServeSubject.Large();
        var gguf = subject.Beside("model.gguf");
        GgufFile.Write(subject.Folder, gguf);
        using var peer = LlamaCpp.Start(gguf, Environment.ProcessorCount, Sequences);
        using var scheduler = new Scheduler(subject.Model.Engine, ServeSubject.Options(512));
        var (lines, notes) = (new List<Line>(), new List<string>());
        foreach (var length in new[] { 16, 128 })
        {
            var prompts = Enumerable.Range(0, Sequences).Select(i => ServeSubject.Prompt(subject.Model, length, i)).ToList();
            var tokens = new int[Sequences][];
            var times = (Ours: new double[Rounds], Theirs: new double[Rounds]);
            for (var round = -1; round < Rounds; round++)
            {
                var ours = Contest.Ours(() => tokens = Answers(scheduler, prompts))(1);
                var theirs = peer.Run([.. prompts.Select(prompt => prompt.Tokens.ToArray())], Tokens, atOnce: true);
                Console.Error.WriteLine($"serve-peer: {length} tokens, round {round}: {ours:0.0} s against {theirs.Seconds:0.0} s");
                if (round < 0) notes.Add($"{length} tokens: {Agreement(tokens, theirs.Answers)}");
                else (times.Ours[round], times.Theirs[round]) = (ours, theirs.Seconds);
            }
            double Rate(double[] seconds) => Sequences * Tokens / Contest.Median(seconds);
            lines.Add(ServeSubject.Line($"{Sequences} sequences of {length} tokens and {Tokens} new ones at once, {Rate(times.Ours):0.0} "
                + $"tokens/s against {Rate(times.Theirs):0.0}", times.Ours, times.Theirs, 1));
        }
        return new Results("serve-peer", "The server's engine against llama.cpp",
            $"The same random weights in bfloat16 (16 layers, d 2048, 32 heads, d_mlp 5632, 32000 tokens) and the same prompts of random "
                + $"tokens, greedy, {Sequences} sequences at once, {Environment.ProcessorCount} threads each. Ours: "
                + "the server's scheduler, "
                + $"with logits in float32 that do not depend on the batch. Theirs: {peer.Name}, the prebuilt library for this processor, "
                + "sequences of one context evaluated together; it multiplies matrices in bfloat16 where the processor can. Medians of "
                + $"{Rounds} interleaved rounds; in brackets the least and the most.",
            ["ours, s", "llama.cpp, s"], lines, notes);
    }

    private static int[][] Answers(Scheduler scheduler, IReadOnlyList<Engines.Prompt> prompts)
    {
        JobHandle[] handles = [.. prompts.Select(prompt => scheduler.Submit(new Job { Prompt = prompt, Tokens = Tokens }))];
        Task.WaitAll([.. handles.Select(handle => handle.Result)]);
        return [.. handles.Select(handle =>
        {
            var tokens = new List<int>();
            while (handle.Tokens.TryRead(out var token)) tokens.Add(token.Token);
            return tokens.ToArray();
        })];
    }

    /// <summary>Refuses to compare the speed of two computations with different results.</summary>
    private static string Agreement(int[][] ours, int[][] theirs)
    {
        var first = ours.Zip(theirs).Count(pair => pair.First[0] == pair.Second[0]);
        var all = ours.Zip(theirs).Sum(pair => pair.First.Zip(pair.Second).TakeWhile(two => two.First == two.Second).Count());
        // Rounding to bfloat16 may change a close choice, and with it what comes after.
        return theirs.All(answer => answer.Length == Tokens) && first >= Sequences / 2
            ? $"{first} of {Sequences} first tokens and {all} of {Sequences * Tokens} tokens up to the first that differs are the same."
            : throw new InvalidOperationException(
                $"llama.cpp chooses {first} of {Sequences} first tokens as we do: not the same computation");
    }
}
