using AnchorScope.Conflicts;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server.Api;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;
using AnchorScope.Studies;

namespace AnchorScope.Server.Monitoring;

/// <summary>How a profile is made.</summary>
internal sealed record ProfileOptions
{
    /// <summary>Folder of the conflict sets, or one file.</summary>
    public required string Data { get; init; }

    /// <summary>The file to write.</summary>
    public required string Output { get; init; }

    /// <summary>The policy that will be served; null: none.</summary>
    public string? Policy { get; init; }

    /// <summary>Maximum number of samples, drawn by <see cref="Seed"/>; null: all.</summary>
    public int? Limit { get; init; }

    /// <inheritdoc cref="Limit"/>
    public ulong Seed { get; init; }

    public int Threads { get; init; } = 1;
}

/// <summary>
/// Sends both instructions of each conflict through the server's own path, from the request to the reading, and writes what was read.
/// </summary>
internal static class ProfileRun
{
    // Enough for a pass to have many rows. It changes no number.
    private const int AtOnce = 8;

    /// <summary>Makes a profile and writes it.</summary>
    /// <param name="told">Called with the number of requests that are done and that of all.</param>
    /// <returns>Number of requests, and what is worth a warning.</returns>
    /// <exception cref="InputException">Data, policy or an option is wrong.</exception>
    public static async Task<(int Requests, IReadOnlyList<string> Warnings)> Make(
        VisionLanguageModel model, ProfileOptions options, Action<int, int> told, CancellationToken cancel)
    {
        var policy = options.Policy is { } file ? Policy.Load(file, model.Engine, model.Checkpoint.Identity) : Policy.None;
        var data = DiagnosisData.Load(options.Data, null, options.Seed).Filter(model, 1);
        ConflictSet[] sets = [data.Rank, data.Test];
        var samples = sets.SelectMany(set => set.Samples).Where(sample => sample.Kind == SampleKind.Conflict).ToList();
        if (options.Limit is { } most && most < samples.Count)
        {
            var random = new SplitMix(options.Seed);
            samples = [.. samples.Select(sample => (sample, key: random.Next())).OrderBy(pair => pair.key)
                .Take(most).Select(p => p.sample)];
        }
        ConflictRun[] runs = [.. samples.SelectMany(sample => sample.Runs)];
        var quantities = new Quantities(model.Engine.Shape, policy.WatchedHeads);
        using var served = new ServedModel(model, model.Checkpoint.Name, new SchedulerOptions { Threads = options.Threads }, policy,
            TimeProvider.System) { Watches = () => true };
        var totals = Profile.ConditionNames.ToDictionary(
            name => name, _ => new ReadingTotals(quantities, Profile.SketchError), StringComparer.Ordinal);
        var done = 0;
        await Each(served, runs, data.Layout, (run, decision) =>
        {
            var values = quantities.Of(decision);
            totals[Profile.Both].Add(decision.Followed, values);
            totals[EnumName.Of(run.Instruction)].Add(decision.Followed, values);
            told(++done, runs.Length);
        }, cancel);
        Profile.Write(options.Output,
            new ProfileOrigin(model, policy,
                sets.DistinctBy(set => set.File).ToDictionary(set => Path.GetFileName(set.File), set => set.Sha256), options.Seed),
            quantities, totals);
        return (done, data.Warnings);
    }

    /// <summary>Sends each run and takes what was read of it, in the order of the runs.</summary>
    internal static async Task Each(ServedModel served, IReadOnlyList<ConflictRun> runs, PromptLayout layout,
        Action<ConflictRun, Decision> take, CancellationToken cancel)
    {
        var going = new Queue<(ConflictRun Run, Task<Decision> Reading)>();
        async Task Next()
        {
            var (run, reading) = going.Dequeue();
            take(run, await reading);
        }
        foreach (var run in runs)
        {
            cancel.ThrowIfCancellationRequested();
            if (going.Count == AtOnce) await Next();
            going.Enqueue((run, Read(served, run, layout, cancel)));
        }
        while (going.Count > 0) await Next();
    }

    /// <summary>What is read of a run of a sample, sent as a chat.</summary>
    private static async Task<Decision> Read(ServedModel served, ConflictRun run, PromptLayout layout, CancellationToken cancel)
    {
        try
        {
            var prepared = await served.Prepare(Request(run, layout, served.Name), "profile", cancel);
            await served.Scheduler.Submit(prepared.Job).Result.WaitAsync(cancel);
            return prepared.Reading!.Decision!;
        }
        catch (ApiException e)
        {
            throw new InputException($"{run.Id}: {e.Message}", e);
        }
    }

    /// <summary>The request for a run, as a client would write it: its answers named, and what each part of the text is.</summary>
    internal static ApiRequest Request(ConflictRun run, PromptLayout layout, string model)
    {
        var (messages, labels) = ConflictPrompt.Messages(run, layout, run.Sample.Image is not null);
        return new ApiRequest
        {
            IsChat = true,
            Model = model,
            Messages = [.. messages.Select(message => message with { Form = ContentForm.Parts })],
            Pictures = run.Sample.Image is { } picture
                ? [("data:image;base64," + Convert.ToBase64String(File.ReadAllBytes(picture)), picture)] : [],
            MaxTokens = 1,
            Temperature = 0,
            Steering = new SteeringRequest
            {
                VisionAnswers = run.Sample.Answers[Modality.Vision],
                TextAnswers = run.Sample.Answers[Modality.Text],
                // System messages are known to the server without a name.
                Spans = [.. labels.Where(label => label.Kind != SpanKind.System).Select(label => new RequestedSpan(
                    label.Message, label.Part, label.Start, label.Start + label.Length, label.Kind, run.Id))],
            },
        };
    }
}
