using System.Text.Json.Nodes;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Policies;

namespace AnchorScope.Server.Monitoring;

/// <summary>Writes alerts into the log, then does what the policy's rules say.</summary>
internal sealed class AlertActions(Policy policy, KnobBoard knobs, AuditTrail trail)
{
    /// <summary>Who turns knobs.</summary>
    public const string Name = "monitor";

    /// <summary>Records an alert and puts back the knobs of its rules.</summary>
    /// <param name="profile">SHA-256 of the profile.</param>
    /// <param name="action">What was done; null: nothing.</param>
    /// <returns>False if the log cannot be written: then nothing was done.</returns>
    public bool Raise(Alert alert, Quantity quantity, MonitorPolicy rules, string profile, out string? action)
    {
        action = null;
        List<(Knob Knob, KnobSetting Setting)> turned = [
            .. rules.Rules.Where(rule => rule.Is(quantity)).Select(rule => rule.Knob).Distinct()
                .Select(name => (policy.Knobs[name], knobs.Of(policy.Knobs[name]))).Where(knob => knob.Item2.Value != knob.Item1.Default)];
        if (turned.Count > 0)
            action = string.Join("; ", turned.Select(knob => FormattableString.Invariant(
                $"knob {knob.Knob.Name} put back from {knob.Setting.Value} to its default, {knob.Knob.Default}")));
        try
        {
            trail.Alert(new JsonObject
            {
                ["alert"] = "monitor",
                ["cleared"] = false,
                ["id"] = alert.Id,
                ["quantity"] = alert.Name,
                ["message"] = alert.Message,
                ["statistic"] = alert.Statistic,
                ["threshold"] = alert.Threshold,
                ["alpha"] = rules.Alpha,
                ["window"] = rules.Window,
                ["condition"] = rules.Condition,
                ["profile_sha256"] = profile,
                ["action"] = action,
            });
            foreach (var (knob, _) in turned)
            {
                var setting = new KnobSetting(knob.Default, null, Name, $"alert {alert.Id}: {alert.Message}");
                knobs.Set(knob, setting, before => trail.Knob(knob, before, setting, Name));
            }
            return true;
        }
        catch (ApiException)
        {
            // Nothing is done that is not in the log. The server answers no request either, until it can be written.
            return false;
        }
    }

    /// <summary>Records that an alert is over.</summary>
    public void Clear(Alert alert)
    {
        try
        {
            trail.Alert(new JsonObject { ["alert"] = "monitor", ["cleared"] = true, ["id"] = alert.Id, ["quantity"] = alert.Name });
        }
        catch (ApiException)
        {
            // The next request is refused because of the log.
        }
    }
}
