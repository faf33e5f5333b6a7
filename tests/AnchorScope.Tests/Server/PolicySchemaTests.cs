using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Server.Policies;
using AnchorScope.Tests.Checkpoints;
using Json.Schema;

namespace AnchorScope.Tests.Server;

/// <summary>What the schema of policies accepts is what the server reads, member by member.</summary>
public sealed class PolicySchemaTests : IDisposable
{
    private static readonly JsonSchema Schema =
        JsonSchema.FromText(File.ReadAllText(Path.Combine(Fixtures.Root, "docs", "schemas", "policy.schema.json")));

    private readonly TempFolder _temp = new();

    [Theory]
    [InlineData("name", "\"x\"", true)]
    [InlineData("name", "3", false)]
    [InlineData("version", "2", false)]
    [InlineData("unknown", "1", false)]
    [InlineData("interventions", """{"kinds": ["edge_cut"], "most_edits": 64, "listed_heads": true, "factor": [0, 1], "add": [-1, 1]}""",
        true)]
    [InlineData("interventions", """{"kinds": ["patch"]}""", false)]
    [InlineData("interventions", """{"kinds": [], "most_edits": 65}""", false)]
    [InlineData("interventions", """{"kinds": [], "other": 1}""", false)]
    [InlineData("interventions", """{"most_edits": 1}""", false)]
    [InlineData("roles", """{"follow": "infer", "interventions": "admin", "knobs": "steer"}""", true)]
    [InlineData("roles", """{"follow": "audit"}""", false)]
    [InlineData("roles", """{"read": "infer"}""", false)]
    [InlineData("monitor", """{"share": 0.5, "alpha": 0.05, "window": 20, "watch": ["margin"], "condition": "text", "reruns": false}""",
        true)]
    [InlineData("monitor", """{"share": 2}""", false)]
    [InlineData("monitor", """{"window": 19}""", false)]
    [InlineData("monitor", """{"watch": ["other"]}""", false)]
    [InlineData("monitor", """{"rules": [{"alert": "margin", "knob": "arbitration"}]}""", true)]
    [InlineData("monitor", """{"rules": [{"alert": "margin"}]}""", false)]
    [InlineData("on_canary_failure", "\"stop\"", false)]
    [InlineData("content_days", "3", false)]
    [InlineData("keep_content", "true", true)]
    [InlineData("knobs", """[{"name": "a", "set": "arbiters", "bounds": [0, 2], "default": 1, "most_seconds": 60}]""", true)]
    [InlineData("knobs", """[{"name": "a", "set": "arbiters", "at": "last", "without_part": "skip", "bounds": [0, 2], "default": 1}]""",
        true)]
    [InlineData("knobs", """[{"name": "a", "set": "arbiters", "at": "nowhere", "bounds": [0, 2], "default": 1}]""", false)]
    [InlineData("knobs", """[{"name": "a", "set": "arbiters", "at": "last", "without_part": "pass", "bounds": [0, 2], "default": 1}]""",
        false)]
    [InlineData("knobs", """[{"name": "a", "bounds": [0, 2], "default": 1}]""", false)]
    [InlineData("knobs", """[{"name": "a", "set": "arbiters", "bounds": [0], "default": 1}]""", false)]
    [InlineData("knobs", """[{"name": "a", "set": "arbiters", "bounds": [0, 2], "default": 1, "most_seconds": 0}]""", false)]
    public void SchemaAndReader_Agree(string member, string value, bool accepted)
    {
        var serving = Path.Combine(Fixtures.Grown("relay"), "serving");
        foreach (var file in Directory.EnumerateFiles(serving)) File.Copy(file, _temp.File(Path.GetFileName(file)));
        var policy = (JsonObject)JsonNode.Parse(File.ReadAllText(_temp.File("policy.json")))!;
        Assert.True(Schema.Evaluate(JsonSerializer.SerializeToElement(policy)).IsValid);
        policy[member] = JsonNode.Parse(value);
        Assert.Equal(accepted, Schema.Evaluate(JsonSerializer.SerializeToElement(policy)).IsValid);
        File.WriteAllText(_temp.File("policy.json"), policy.ToJsonString());
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        if (accepted) Policy.Load(_temp.File("policy.json"), model.Engine, model.Checkpoint.Identity);
        else Assert.Throws<InputException>(() => Policy.Load(_temp.File("policy.json"), model.Engine, model.Checkpoint.Identity));
    }

    public void Dispose() => _temp.Dispose();
}
