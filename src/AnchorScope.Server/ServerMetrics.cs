using AnchorScope.Engines;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Pages;
using AnchorScope.Server.Scheduling;
using Prometheus;

namespace AnchorScope.Server;

/// <summary>
/// Counts and times of a server for Prometheus, under the names that servers of language models use. No label has content, and each has few
/// values.
/// </summary>
internal sealed class ServerMetrics
{
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly Counter _prompt;
    private readonly Counter _generated;
    private readonly Counter _finished;
    private readonly Counter _refused;
    private readonly Counter _steered;
    private readonly Histogram _first;
    private readonly Histogram _token;
    private readonly Histogram _whole;
    private readonly Histogram _queue;

    /// <param name="model">Name of the model, the label of all of them.</param>
    public ServerMetrics(string model, Scheduler scheduler, AuditTrail trail)
    {
        _registry.SetStaticLabels(new Dictionary<string, string>(StringComparer.Ordinal) { ["model_name"] = model });
        // Memory, processor time, open files and threads of the process.
        DotNetStats.Register(_registry);
        var make = Prometheus.Metrics.WithCustomRegistry(_registry);
        var (running, waiting) = (make.CreateGauge("anchorscope_num_requests_running", "Requests in progress."),
            make.CreateGauge("anchorscope_num_requests_waiting", "Requests in the queue."));
        var (cache, records) = (make.CreateGauge("anchorscope_kv_cache_usage_perc",
            "Share of the memory for keys and values in use, 0 to 1."),
            make.CreateGauge("anchorscope_audit_tree_size", "Records in the audit log."));
        var (sealedRecords, anchor, alerts) = (make.CreateGauge("anchorscope_audit_sealed", "Records under a signed checkpoint."),
            make.CreateCounter("anchorscope_anchor_failures_total", "Checkpoints that the second place did not get."),
            make.CreateCounter("anchorscope_audit_alerts_total", "Alerts in the log, by name.", "alert"));
        var (queries, hits) = (make.CreateCounter("anchorscope_prefix_cache_queries_total",
            "Positions of the prompts of started requests."),
            make.CreateCounter("anchorscope_prefix_cache_hits_total", "Those whose keys and values were kept from other requests."));
        var (passes, rows) = (make.CreateCounter("anchorscope_passes_total", "Passes of the model."),
            make.CreateCounter("anchorscope_pass_rows_total", "Rows of all passes."));
        _registry.AddBeforeCollectCallback(() =>
        {
            var counts = scheduler.Counts;
            running.Set(counts.Running);
            waiting.Set(counts.Waiting);
            cache.Set(counts.MemoryShare);
            records.Set(trail.Count);
            sealedRecords.Set(trail.Sealed);
            anchor.IncTo(trail.AnchorFailures);
            foreach (var (name, count) in trail.Alerts) alerts.WithLabels(name).IncTo(count);
            queries.IncTo(counts.PromptPositions);
            hits.IncTo(counts.ReusedPositions);
            passes.IncTo(counts.Passes);
            rows.IncTo(counts.Rows);
        });
        _prompt = make.CreateCounter("anchorscope_prompt_tokens_total", "Tokens of prompts.");
        _generated = make.CreateCounter("anchorscope_generation_tokens_total", "Generated tokens.");
        _finished = make.CreateCounter("anchorscope_request_success_total", "Answers by the reason of their end.", "finished_reason");
        _refused = make.CreateCounter("anchorscope_request_refused_total", "Requests that were not answered, by status.", "status");
        _steered = make.CreateCounter("anchorscope_interventions_total", "Changes made inside the model, by kind.", "kind");
        _first = Times(make, "anchorscope_time_to_first_token_seconds", "From the request to its first token.");
        _token = Times(make, "anchorscope_inter_token_latency_seconds", "Between tokens of an answer, mean of a request.");
        _whole = Times(make, "anchorscope_e2e_request_latency_seconds", "From the request to its last token.");
        _queue = Times(make, "anchorscope_request_queue_time_seconds", "In the queue.");
    }

    /// <summary>The last minutes, for the overview; null: nobody looks.</summary>
    public Traffic? Traffic { get; init; }
    /// <summary>Adds what the monitor counts.</summary>
    public void Watch(TrafficMonitor monitor)
    {
        var make = Prometheus.Metrics.WithCustomRegistry(_registry);
        var decisions = make.CreateCounter("anchorscope_decisions_total", "Watched requests by what they followed.", "followed");
        var alerts = make.CreateCounter("anchorscope_alerts_total", "Alerts that were raised, by group of quantities.", "group");
        var raised = make.CreateGauge("anchorscope_alerts_raised", "Alerts that are raised now.");
        var left = make.CreateCounter("anchorscope_monitor_left_out_total", "Requests that were read and not compared, by reason.",
            "reason");
        var reruns = make.CreateCounter("anchorscope_monitor_reruns_total",
            "Requests computed again in idle time, by how it ended.", "end");
        _registry.AddBeforeCollectCallback(() =>
        {
            foreach (var (followed, count) in monitor.Decisions) decisions.WithLabels(followed).IncTo(count);
            foreach (var (group, count) in monitor.AlertCounts) alerts.WithLabels(group).IncTo(count);
            raised.Set(monitor.Raised);
            left.WithLabels("own_changes").IncTo(monitor.Own);
            left.WithLabels("queue_full").IncTo(monitor.Dropped);
            reruns.WithLabels("done").IncTo(monitor.RerunCounts.Done);
            reruns.WithLabels("dropped").IncTo(monitor.RerunCounts.Dropped);
        });
    }

    /// <summary>Counts an answered request.</summary>
    public void Answered(PreparedRequest prepared, IReadOnlyList<JobToken> tokens, JobResult result)
    {
        _prompt.Inc(prepared.Job.Prompt.Length);
        _generated.Inc(tokens.Count);
        foreach (var token in tokens)
        {
            if (token.Finished is { } reason) _finished.WithLabels(EnumName.Of(reason)).Inc();
        }
        foreach (var edit in prepared.Steering.Applied) _steered.WithLabels(edit.What).Inc();
        var longest = tokens.GroupBy(token => token.Answer).Max(answer => answer.Count());
        _queue.Observe(result.Waited.TotalSeconds);
        _first.Observe((result.Waited + result.Prefill).TotalSeconds);
        _whole.Observe((result.Waited + result.Prefill + result.Decode).TotalSeconds);
        Traffic?.Answered(prepared.Job.Prompt.Length, tokens.Count, result.Waited + result.Prefill,
            result.Waited + result.Prefill + result.Decode);
        if (longest > 1) _token.Observe(result.Decode.TotalSeconds / (longest - 1));
    }

    /// <summary>Counts a request that was not answered.</summary>
    public void Refused(int status)
    {
        _refused.WithLabels(status.ToString(System.Globalization.CultureInfo.InvariantCulture)).Inc();
        Traffic?.Refused();
    }

    /// <summary>Writes everything in the text format of Prometheus.</summary>
    public Task Write(Stream stream, CancellationToken cancel) => _registry.CollectAndExportAsTextAsync(stream, cancel);

    // From a millisecond to about two minutes.
    private static Histogram Times(IMetricFactory make, string name, string help) =>
        make.CreateHistogram(name, help, new HistogramConfiguration { Buckets = Histogram.ExponentialBuckets(0.001, 2, 18) });
}
