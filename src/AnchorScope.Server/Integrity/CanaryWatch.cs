using System.Diagnostics;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Server.Integrity;

/// <summary>
/// Runs the canaries of the policy at the start and again and again. The engine is exact, so their logits must be the recorded bits; a
/// difference gives an alert that names the canary and what has changed, as far as that can be found.
/// </summary>
internal sealed class CanaryWatch : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    private readonly Canaries _canaries;
    private readonly CanaryPolicy _policy;
    private readonly ServedModel _served;
    private readonly AuditTrail _trail;
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<string> _different = new(StringComparer.Ordinal);
    private long _runs;
    private Task? _task;

    /// <exception cref="InputException">The file of canaries is wrong.</exception>
    public CanaryWatch(CanaryPolicy policy, ServedModel served, AuditTrail trail)
    {
        (_canaries, _policy, _served, _trail) = (Canaries.Load(policy.File), policy, served, trail);
        if (policy.Stops) trail.Refuse("the canaries have not run yet");
    }

    /// <summary>Runs them, and goes on in the background. If a difference stops the server, it is waited for the first run.</summary>
    public async Task Follow()
    {
        if (_policy.Stops) await Run("start");
        _task = Task.Run(Loop);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stop.IsCancellationRequested) return;
        _stop.Cancel();
        _task?.GetAwaiter().GetResult();
        _stop.Dispose();
    }

    private async Task Loop()
    {
        try
        {
            if (!_policy.Stops) await Run("start");
            while (true)
            {
                await Task.Delay(_policy.Period, _stop.Token);
                await Run("schedule");
            }
        }
        catch (Exception e) when (e is OperationCanceledException or DrainingException)
        {
            // The server ends.
        }
    }

    private async Task Run(string why)
    {
        var (watch, different, causes) = (Stopwatch.StartNew(), new List<string>(), (string?)null);
        foreach (var canary in _canaries.All)
        {
            await Idle();
            var tenant = FormattableString.Invariant($"\0canary {_runs++}");
            CanaryResult? result = null;
            string? error = null;
            try
            {
                result = await Canaries.Run(_served, canary.Request, tenant, _stop.Token);
            }
            catch (QueueFullException)
            {
                // It will be its turn next time: clients come first.
                continue;
            }
            catch (Exception e) when (e is InputException or Api.ApiException or InvalidOperationException
                or ArgumentException or IOException)
            {
                error = e.Message;
            }
            if (result?.Logits == canary.Logits)
            {
                if (_different.Remove(canary.Name))
                    _trail.Alert("canary", new JsonObject { ["canary"] = canary.Name, ["cleared"] = true });
                continue;
            }
            different.Add(canary.Name);
            if (!_different.Add(canary.Name)) continue;
            _trail.Alert("canary", new JsonObject
            {
                ["canary"] = canary.Name,
                ["cause"] = error ?? Knob(canary, result!) ?? (causes ??= Cause()),
                ["expected"] = canary.Logits,
                ["found"] = result?.Logits,
                ["cleared"] = false,
            });
        }
        if (_policy.Stops)
            _trail.Refuse(_different.Count == 0 ? null : $"the logits of canary {_different.Min()} are not the recorded ones");
        _trail.Try("canary", new JsonObject
        {
            ["run"] = why,
            ["canaries"] = _canaries.All.Count,
            ["different"] = different.Count,
            ["stopped"] = _policy.Stops && _different.Count > 0,
            ["microseconds"] = (long)watch.Elapsed.TotalMicroseconds,
        });
    }

    /// <summary>Waits until there is nothing else to do, but not for ever.</summary>
    private async Task Idle()
    {
        var (watch, counts) = (Stopwatch.StartNew(), _served.Scheduler.Counts);
        while ((counts.Running > 0 || counts.Waiting > 0) && watch.Elapsed < Patience) await Task.Delay(Look, _stop.Token);
    }

    /// <summary>What the policy's knobs do otherwise than when it was recorded; null if they do the same.</summary>
    private string? Knob(Canary canary, CanaryResult result)
    {
        if (result.Steering == canary.Steering) return null;
        var now = _served.Policy.Knobs.Values.ToDictionary(knob => knob.Name, knob => knob.Default, StringComparer.Ordinal);
        var changed = now.Keys.Union(_canaries.Knobs.Keys).Order(StringComparer.Ordinal)
            .Where(name => now.GetValueOrDefault(name, double.NaN) != _canaries.Knobs.GetValueOrDefault(name, double.NaN))
            .Select(
                name => FormattableString.Invariant(
                    $"knob {name} has the default {Text(now, name)}, recorded with {Text(_canaries.Knobs, name)}"))
            .ToList();
        return changed.Count > 0 ? string.Join("; ", changed) : "a knob acts on other heads or positions than when it was recorded";
    }

    private static string Text(IReadOnlyDictionary<string, double> knobs, string name) =>
        knobs.TryGetValue(name, out var value) ? value.ToString("R", System.Globalization.CultureInfo.InvariantCulture) : "none";

    /// <summary>What of the model is not as it was when the canaries were recorded. It reads the files again.</summary>
    private string Cause()
    {
        var changes = new List<string>();
        try
        {
            using var now = Checkpoints.Checkpoint.Open(_served.Model.Checkpoint.Folder);
            changes.AddRange(now.Identity.ChangesSince(_canaries.Model));
        }
        catch (InputException e)
        {
            changes.Add(e.Message);
        }
        if (_served.Model.Engine.Numerics is var numerics && numerics != _canaries.Numerics)
            changes.Add($"numerics of the engine {numerics}, recorded with {_canaries.Numerics}");
        return changes.Count > 0 ? string.Join("; ", changes)
            : "not known: weights, files, numerics of the engine and knobs are those of the recording, so its record or the computation is "
                + "another";
    }
}
