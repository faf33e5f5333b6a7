using System.Threading.Channels;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Policies;

namespace AnchorScope.Server.Monitoring;

/// <summary>
/// Watches the requests of a server: sketches what was read of them, compares it with a profile, raises and clears alerts, and puts knobs
/// back. Its arithmetic is on a thread of its own, behind a queue that drops requests when it is full. Memory and the set of names do not
/// grow with the traffic.
/// </summary>
internal sealed class TrafficMonitor : IAsyncDisposable
{
    private const int MostQueued = 1024;
    private const int MostAlerts = 100;

    private readonly MonitorPolicy _policy;
    private readonly Quantities _quantities;
    private readonly ReadingSummary? _normal;
    private readonly Profile? _profile;
    private readonly AlertActions _actions;
    private readonly TimeProvider _time;
    private readonly Channel<(Decision Decision, bool Own)> _queue;
    private readonly Task _consumer;
    private readonly Lock _lock = new();
    private readonly ReadingTotals _now;
    private readonly List<(int Index, Watch Watch)> _watches = [];
    private readonly LinkedList<Alert> _alerts = [];
    private readonly Dictionary<string, Alert> _raised = new(StringComparer.Ordinal);
    private readonly Reruns? _reruns;
    private ulong _asked;
    private long _ids, _own, _dropped;

    /// <param name="profile">What is normal; null: nothing is compared.</param>
    public TrafficMonitor(ServedModel served, Profile? profile, AuditTrail trail, TimeProvider time)
    {
        (_policy, _profile, _time) = (served.Policy.Monitor, profile, time);
        _quantities = new Quantities(served.Model.Engine.Shape, served.Policy.WatchedHeads);
        _now = new ReadingTotals(_quantities);
        _actions = new AlertActions(served.Policy, served.Knobs, trail);
        if (profile is not null)
        {
            var normal = profile.Conditions[_policy.Condition];
            _normal = _quantities.Summary(normal);
            int[] watched = [.. Enumerable.Range(0, _quantities.All.Count)
                .Where(i => normal.Sketches[i].Count > 0 && _policy.Watch.Contains(_quantities.All[i].Group))];
            foreach (var i in watched)
                _watches.Add(
                    (i, new Watch(_quantities.All[i], normal.Sketches[i], watched.Length / _policy.Alpha, _policy.Window)));
        }
        _reruns = _policy.Reruns && _policy.Share > 0 ? new Reruns(served) : null;
        // TryWrite on a full queue that waits gives false: what is dropped is counted.
        _queue = Channel.CreateBounded<(Decision, bool)>(new BoundedChannelOptions(MostQueued) { SingleReader = true });
        _consumer = Task.Run(Consume);
    }

    /// <summary>Number of requests that were watched.</summary>
    public long Requests { get { lock (_lock) return _now.Requests; } }

    /// <summary>How many followed what, by "vision", "text" and "neither".</summary>
    public IReadOnlyDictionary<string, long> Decisions
    {
        get { lock (_lock) return new Dictionary<string, long>(_now.Decisions, StringComparer.Ordinal); }
    }

    /// <summary>Number of requests that changed the model themselves: they are not compared.</summary>
    public long Own => Interlocked.Read(ref _own);

    /// <summary>Number of requests that came faster than they could be added.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Number of alerts by group since the start.</summary>
    public IReadOnlyDictionary<string, long> AlertCounts
    {
        get { lock (_lock) return new Dictionary<string, long>(_counts, StringComparer.Ordinal); }
    }

    /// <summary>Number of alerts that are raised now.</summary>
    public int Raised { get { lock (_lock) return _raised.Count; } }

    /// <summary>Number of requests that were computed again, and of those that were given up because a request came.</summary>
    public (long Done, long Dropped) RerunCounts => _reruns?.Counts ?? default;

    private readonly Dictionary<string, long> _counts = Quantities.Groups.ToDictionary(group => group, _ => 0L, StringComparer.Ordinal);

    /// <summary>Whether the next request is watched.</summary>
    public bool Takes() => _policy.Share >= 1
        || (_policy.Share > 0 && (SplitMix.At(0, Interlocked.Increment(ref _asked)) >> 11) * (1.0 / (1UL << 53)) < _policy.Share);

    /// <summary>Adds an answered request, if it is watched.</summary>
    public void Add(PreparedRequest prepared)
    {
        if (prepared.Reading is not { IsWatched: true, Decision: { } decision }) return;
        if (!_queue.Writer.TryWrite((decision, prepared.Request.Steering.Changes))) Interlocked.Increment(ref _dropped);
        else if (!prepared.Request.Steering.Changes) _reruns?.Offer(prepared);
    }

    /// <summary>What the monitor knows now.</summary>
    public MonitorSnapshot Snapshot()
    {
        lock (_lock)
        {
            return new MonitorSnapshot
            {
                Now = _quantities.Summary(_now),
                Profile = _normal,
                Reruns = _reruns?.Summaries() ?? [],
                Alerts = [.. _alerts],
            };
        }
    }

    /// <summary>Takes no more requests, and ends when those that were taken are added.</summary>
    public async Task Finish()
    {
        _queue.Writer.TryComplete();
        if (_reruns is not null) await _reruns.Finish();
        await _consumer;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Finish();
        if (_reruns is not null) await _reruns.DisposeAsync();
    }

    private async Task Consume()
    {
        await foreach (var (decision, own) in _queue.Reader.ReadAllAsync())
        {
            if (own) Interlocked.Increment(ref _own);
            else Add(decision);
        }
    }

    private void Add(Decision decision)
    {
        var values = _quantities.Of(decision);
        lock (_lock)
        {
            _now.Add(decision.Followed, values);
            foreach (var (index, watch) in _watches)
            {
                if (!double.IsFinite(values[index])) continue;
                var happened = watch.Add(values[index]);
                if (happened == WatchEvent.Raised) Raise(watch);
                else if (happened == WatchEvent.Cleared) Clear(watch);
            }
        }
    }

    private void Raise(Watch watch)
    {
        var name = watch.Quantity.Name;
        var alert = new Alert(++_ids, name, $"{name}: {watch.Finding}", _time.GetUtcNow(), null, watch.Statistic, watch.Threshold);
        if (!_actions.Raise(alert, watch.Quantity, _policy, _profile!.Sha256, out var action)) return;
        alert = alert with { Action = action };
        // What was counted before the change says nothing about the requests after it.
        if (action is not null) _watches.ForEach(other => other.Watch.Restart());
        _counts[watch.Quantity.Group]++;
        _raised[name] = alert;
        _alerts.AddFirst(alert);
        if (_alerts.Count > MostAlerts) _alerts.RemoveLast();
    }

    private void Clear(Watch watch)
    {
        if (!_raised.Remove(watch.Quantity.Name, out var alert)) return;
        var cleared = alert with { Cleared = _time.GetUtcNow() };
        _actions.Clear(cleared);
        if (_alerts.Find(alert) is { } listed) listed.Value = cleared;
    }
}
