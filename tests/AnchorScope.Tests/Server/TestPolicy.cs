using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>A policy for the model that tests serve: a head set, a gain of it as a knob, and a direction as a knob.</summary>
internal static class TestPolicy
{
    /// <summary>Changes that requests may describe themselves, as a further member of the policy.</summary>
    public const string Free = """
        , "interventions": {"kinds": ["head_gain", "edge_cut", "edge_boost"], "listed_heads": true, "factor": [0, 3], "add": [-4, 4]}
        """;

    /// <summary>Writes it with the files that it names.</summary>
    /// <param name="members">Further members, with a comma before each.</param>
    /// <returns>Its path.</returns>
    public static string Write(TempFolder temp, string members = "")
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var identity = model.Checkpoint.Identity;
        var set = new HeadSet("relay", identity.Weights, model.Tokenizer.Sha256, "", HeadSet.ByHand,
            [new ScoredHead(3, 5, double.NaN), new ScoredHead(3, 7, double.NaN)]) { Files = identity.Files };
        File.WriteAllText(temp.File("heads.json"), HeadSetFile.Text(set));
        float[] vector = [.. Enumerable.Range(0, model.Engine.Shape.ModelSize).Select(i => 0.1f * (i % 5))];
        new DirectionFile
        {
            Path = temp.File("directions.safetensors"), Model = identity, TokenizerHash = model.Tokenizer.Sha256, DatasetHash = "",
            Directions = new Dictionary<string, BoundedDirection>
            {
                ["mean"] = new(new Direction("mean", [new DirectionPart(Site.ResidPost, 3, null, null, new DonorRows(vector, 1))]), -2, 2),
            },
        }.Save("relay");
        var path = temp.File("policy.json");
        File.WriteAllText(path, $$"""
            {"version": 1, "name": "test", "model": "{{identity.Weights}}",
             "head_sets": [{"name": "arbiters", "file": "heads.json", "sha256": "{{Digest.OfFile(temp.File("heads.json"))}}"}],
             "knobs": [{"name": "arbitration", "set": "arbiters", "at": "instruction", "default": 1, "bounds": [0.5, 2]},
                       {"name": "direction", "direction": {"file": "directions.safetensors", "name": "mean",
                        "sha256": "{{Digest.OfFile(temp.File("directions.safetensors"))}}"}, "default": 0, "bounds": [-2, 2]}]{{members}}}
            """);
        return path;
    }
}
