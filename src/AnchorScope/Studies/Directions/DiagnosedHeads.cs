using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>The sets of heads found by a diagnosis, read from its diagnosis.json.</summary>
/// <param name="Arbiters">Empty if none were found.</param>
/// <param name="ChoiceCarriers">Empty if none were found.</param>
/// <param name="DecisionCarriers">Empty if none were found.</param>
/// <param name="Necessary">The heads whose blocking lowers MFR most.</param>
internal sealed record DiagnosedHeads(
    IReadOnlyList<HeadId> Arbiters, IReadOnlyList<HeadId> ChoiceCarriers, IReadOnlyList<HeadId> DecisionCarriers,
    IReadOnlyList<HeadId> Necessary)
{
    /// <summary>Reads the sets.</summary>
    /// <param name="model">The model to steer; the diagnosis must be of this model.</param>
    /// <param name="test">SHA-256 of the set used for testing.</param>
    /// <exception cref="InputException">The file is missing, of another model, or without any set.</exception>
    public static DiagnosedHeads Of(string folder, ModelIdentity model, string test, DecoderShape shape)
    {
        var path = Path.Combine(folder, "diagnosis.json");
        if (!File.Exists(path))
            throw InputException.At(folder, "diagnosis.json", "the folder of a finished ascope diagnose", "no such file");
        try
        {
            var root = StrictJson.Read(path);
            var of = root.GetProperty("model");
            var files = of.TryGetProperty("files", out var listed)
                ? listed.EnumerateObject().ToDictionary(f => f.Name, f => f.Value.GetString()!, StringComparer.Ordinal) : [];
            model.Require(new ModelIdentity(of.GetProperty("sha256").GetString()!, files), path, "model", "");
            if (root.GetProperty("variants").TryGetProperty("steering", out var steering))
                throw InputException.At(path, "variants.steering", "a diagnosis of the model as it is",
                    Quoted.Of(steering.GetString() ?? ""));
            // Heads ranked on the test samples would be selected by their own test.
            if (root.GetProperty("data").EnumerateArray().First(d => d.GetProperty("name").GetString() == "rank")
                .GetProperty("sha256").GetString() == test)
                throw InputException.At(path, "data.rank.sha256", "heads ranked on other samples than those of the test split", "the same");
            var interchange = root.GetProperty("interchange");
            List<HeadId> Heads(JsonElement list) =>
                [.. list.EnumerateArray().Select(h => new HeadId(h.GetProperty("layer").GetInt32(), h.GetProperty("head").GetInt32()))];
            List<HeadId> Set(string name)
            {
                var set = interchange.GetProperty("sets").EnumerateArray().First(s => s.GetProperty("name").GetString() == name);
                return set.GetProperty("found").GetBoolean()
                    ? Heads(set.GetProperty("steps").EnumerateArray().Last().GetProperty("heads")) : [];
            }
            var found = new DiagnosedHeads(Set("arbiters"), Set("choice_carriers"), Set("decision_carriers"),
                Heads(interchange.GetProperty("necessary").GetProperty("heads")));
            foreach (var head in found.Arbiters.Concat(found.ChoiceCarriers).Concat(found.DecisionCarriers).Concat(found.Necessary))
                shape.Check(head.Layer, head.Head, path, "interchange.");
            return found.Arbiters.Count + found.ChoiceCarriers.Count > 0 ? found
                : throw InputException.At(path, "interchange.sets", "arbiters or carriers of the choice, to steer", "none");
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new InputException($"{path}: not a diagnosis of this version of the tool: a field is missing or of another kind; "
                + "run ascope diagnose again", e);
        }
    }
}
