using System.Threading.Channels;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Server.Scheduling;
using AnchorScope.Studies;

namespace AnchorScope.Server.Monitoring;

/// <summary>
/// Computes a sample of the requests again in idle time: with attention edges cut, and with head sets blocked. What changes the decision
/// says how the answer came about: through the instruction's tokens, or directly. It is given up when a request comes.
/// </summary>
internal sealed class Reruns : IAsyncDisposable
{
    private static readonly string[] Edges = ["context->instruction", "context->last", "instruction->suffix"];
    private static readonly SpanKind[] AfterContext =
        [SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix];

    // A pause of this length between requests counts as idle time.
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(50);

    private readonly ServedModel _served;
    // Only the latest request waits, so that memory does not grow.
    private readonly Channel<Candidate> _next = Channel.CreateBounded<Candidate>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Tally> _tallies;
    private readonly Task _loop;
    private long _done, _dropped;

    public Reruns(ServedModel served)
    {
        _served = served;
        _tallies = Edges.Concat(served.Policy.HeadSets.Keys.Select(NameOf)).ToDictionary(name => name, _ => new Tally(),
            StringComparer.Ordinal);
        _loop = Task.Run(Loop);
    }

    /// <summary>Requests that were computed again, and those that were given up.</summary>
    public (long Done, long Dropped) Counts => (Interlocked.Read(ref _done), Interlocked.Read(ref _dropped));

    /// <summary>Offers an answered request. It replaces one that still waits.</summary>
    public void Offer(PreparedRequest prepared) => _next.Writer.TryWrite(
        new Candidate(prepared.Job.Prompt, prepared.Job.Intervention, prepared.Job.Tenant, prepared.Reading!.Answers,
            prepared.Reading.Decision!));

    /// <summary>What the requests answered.</summary>
    public IReadOnlyList<RerunSummary> Summaries()
    {
        lock (_lock)
        {
            return [.. _tallies.Select(tally => new RerunSummary(
                tally.Key, tally.Value.Change.Count, tally.Value.Changed, tally.Value.Change.Summary()))];
        }
    }

    /// <summary>Takes no more requests, and ends when the one in progress has ended.</summary>
    public async Task Finish()
    {
        if (_next.Writer.TryComplete()) await _stop.CancelAsync();
        await _loop;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Finish();
        _stop.Dispose();
    }

    private static string NameOf(string set) => $"heads {set}";

    private async Task Loop()
    {
        try
        {
            while (await _next.Reader.WaitToReadAsync(_stop.Token))
            {
                await Task.Delay(Quiet, _stop.Token);
                if (!_next.Reader.TryPeek(out var candidate)) continue;
                var jobs = Jobs(candidate);
                // While requests run, it waits, and newer ones replace it.
                if (Submit(jobs) is not { } handles) continue;
                _next.Reader.TryRead(out _);
                await Add(candidate, jobs, handles);
            }
        }
        catch (OperationCanceledException)
        {
            // The server ends.
        }
    }

    private IReadOnlyList<JobHandle>? Submit(List<Rerun> jobs)
    {
        try
        {
            return _served.Scheduler.SubmitIdle([.. jobs.Select(job => job.Job)]);
        }
        catch (InputException)
        {
            // A head that the request's own knob has removed cannot be removed again: nothing to learn from this request.
            jobs.Clear();
            return [];
        }
    }

    private async Task Add(Candidate candidate, IReadOnlyList<Rerun> jobs, IReadOnlyList<JobHandle> handles)
    {
        try
        {
            await Task.WhenAll(handles.Select(handle => handle.Result));
        }
#pragma warning disable CA1031 // whatever a rerun ends with, the requests of clients go on
        catch (Exception)
#pragma warning restore CA1031
        {
            Interlocked.Increment(ref _dropped);
            return;
        }
        lock (_lock)
        {
            foreach (var job in jobs)
            {
                var tally = _tallies[job.Name];
                tally.Change.Add(job.Margin - candidate.Decision.Margin);
                if (job.Followed != candidate.Decision.Followed) tally.Changed++;
            }
        }
        Interlocked.Increment(ref _done);
    }

    /// <summary>The request with each change that its prompt allows.</summary>
    private List<Rerun> Jobs(Candidate candidate)
    {
        var (prompt, shape, jobs) = (candidate.Prompt, _served.Model.Engine.Shape, new List<Rerun>());
        void Include(string name, Intervention change)
        {
            var rerun = new Rerun(name);
            rerun.Job = new Job
            {
                Prompt = prompt,
                Intervention = new Intervention(name, [.. candidate.Intervention.Edits, .. change.Edits]),
                Tokens = 1,
                Tenant = candidate.Tenant,
                IsIdle = true,
                Sites = [Site.ResidPost],
                Positions = [prompt.Last],
                Recorded = (session, sequence) => (rerun.Followed, rerun.Margin) = DecisionReading.Output(
                    session, sequence.Row(Site.ResidPost, shape.Layers - 1, prompt.Last), candidate.Answers),
            };
            jobs.Add(rerun);
        }
        foreach (var edge in Edge.Standard([SpanKind.Instruction]))
        {
            if (Edges.Contains(edge.Name) && edge.Cut(prompt, edge.Name, Enumerable.Range(0, shape.Layers)) is { } cut)
                Include(edge.Name, cut);
        }
        foreach (var set in _served.Policy.HeadSets.Values)
            Include(NameOf(set.Name), Intervention.HeadGain(set.Name, set.Heads, 0, Positions.Of(prompt.Union(AfterContext))));
        return jobs;
    }

    /// <summary>A request that may be computed again.</summary>
    private sealed record Candidate(
        Prompt Prompt, Intervention Intervention, string Tenant, AnswerEntities Answers, Decision Decision);

    /// <summary>A request with one change, and what it answered.</summary>
    private sealed class Rerun(string name)
    {
        public string Name => name;

        public Job Job { get; set; } = null!;

        public string Followed { get; set; } = "";

        public double Margin { get; set; }
    }

    /// <summary>What was answered under one change.</summary>
    private sealed class Tally
    {
        public QuantileSketch Change { get; } = new();

        public long Changed { get; set; }
    }
}
