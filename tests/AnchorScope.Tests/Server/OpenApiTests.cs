using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Server.Api;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Server.Pages;
using Json.Schema;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Http.Metadata;

namespace AnchorScope.Tests.Server;

/// <summary>The description of the API is that of the API.</summary>
public sealed class OpenApiTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private readonly JsonObject _document = JsonNode.Parse(OpenApiDocument.Read())!.AsObject();

    [Fact]
    public async Task EveryRoute_IsDescribed_AndNoOther()
    {
        await using var server = await RunningServer.Start();
        var registered = server.Server.Routes
            .Where(route => route.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>()?.ExcludeFromDescription != true)
            .SelectMany(route => route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(method =>
                $"{method} {route.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal)}")).Order(StringComparer.Ordinal);
        var described = _document["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject()
            .Where(member => member.Key is "get" or "put" or "post" or "delete" or "patch")
            .Select(member => $"{member.Key.ToUpperInvariant()} {path.Key}")).Order(StringComparer.Ordinal);
        Assert.Equal(registered, described);
        // Only pages are left out.
        Assert.All(server.Server.Routes.Where(route => route.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>() is not null), route =>
            Assert.Matches("^/$|^/pages/", route.RoutePattern.RawText));
        Assert.Equal(OpenApiDocument.Read(), await server.Client.GetByteArrayAsync(OpenApiDocument.Path));
    }

    [Fact]
    public void TheDocument_RefersToWhatItHas()
    {
        Assert.StartsWith("3.1.", _document["openapi"]!.ToString(), StringComparison.Ordinal);
        var schemas = _document["components"]!["schemas"]!.AsObject();
        var used = new HashSet<string>(StringComparer.Ordinal);
        void Walk(JsonNode? node)
        {
            if (node is JsonArray list) foreach (var item in list) Walk(item);
            if (node is not JsonObject members) return;
            foreach (var (name, value) in members)
            {
                if (name == "$ref") used.Add(value!.ToString()["#/components/schemas/".Length..]);
                else Walk(value);
            }
        }
        Walk(_document);
        Assert.Equal(schemas.Select(schema => schema.Key).Order(StringComparer.Ordinal), used.Order(StringComparer.Ordinal));
        var operations = _document["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject()).Select(member => member.Value)
            .OfType<JsonObject>().Select(operation => operation["operationId"]!.ToString()).ToList();
        Assert.Equal(operations.Count, operations.Distinct(StringComparer.Ordinal).Count());
    }

    /// <summary>What the server answers fits its description, and what it refuses by its form does not.</summary>
    [Fact]
    public async Task RequestsAndResponses_FitTheirSchemas()
    {
        var policy = MadeUp.WritePolicy(_temp);
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        var words = "note : one purple star on night . what colour is it ? ";
        object steering = new
        {
            follow = new { arbitration = 0.5 }, answers = new { vision = new[] { "green" }, text = new[] { "purple" } },
            report = new[] { "decision", "margins", "heads" },
            interventions = new object[] { new { kind = "edge_cut", from = "image", to = "last", layers = new[] { 4, 5 } } },
            spans = new[] { new { message = 0, part = 1, from = 0, to = 33, kind = "text_context" } },
        };
        foreach (var chat in new[]
        {
            RunningServer.Chat(("max_tokens", 3)), RunningServer.Chat(("max_tokens", 3), ("anchorscope", steering)),
            RunningServer.Chat(("max_completion_tokens", 2), ("n", 2), ("seed", 7), ("temperature", 1.5),
                ("logprobs", true), ("top_logprobs", 2),
                ("stop", new[] { "night" }), ("metadata", new { a = "b" }), ("anchorscope", new { follow = false })),
        })
        {
            Fits("ChatRequest", JsonSerializer.SerializeToElement(chat));
            var (status, json) = await server.Post("/v1/chat/completions", chat);
            Assert.True(status == HttpStatusCode.OK, json.GetRawText());
            Fits("ChatResponse", json);
            chat["stream"] = true;
            chat["stream_options"] = new { include_usage = true };
            var events = await server.Stream("/v1/chat/completions", chat);
            Assert.Equal("[DONE]", events[^1]);
            foreach (var sent in events.SkipLast(1)) Fits("ChatChunk", JsonElement.Parse(sent));
        }
        var completion = new Dictionary<string, object?> { ["model"] = "relay", ["prompt"] = words, ["max_tokens"] = 3, ["logprobs"] = 2 };
        Fits("CompletionRequest", JsonSerializer.SerializeToElement(completion));
        Fits("CompletionResponse", (await server.Post("/v1/completions", completion)).Json);
        completion["stream"] = true;
        foreach (var sent in (await server.Stream("/v1/completions", completion)).SkipLast(1))
            Fits("CompletionResponse", JsonElement.Parse(sent));
        var change = new { value = 1.5, reason = "x", seconds = 60 };
        Fits("KnobChange", JsonSerializer.SerializeToElement(change));
        Fits("Knob", JsonElement.Parse(await server.Client.GetStringAsync("/v1/anchorscope/knobs/arbitration")));
        using var turned = await server.Client.PutAsync("/v1/anchorscope/knobs/arbitration", RunningServer.Content(change));
        Fits("Knob", JsonElement.Parse(await turned.Content.ReadAsStringAsync()));
        foreach (var (path, schema) in new[]
        {
            ("/v1/models", "Models"), ("/v1/models/relay", "Model"), ("/v1/anchorscope/knobs", "Knobs"),
            ("/v1/anchorscope/policy", "Policy"),
            ("/v1/anchorscope/heads", "HeadSets"), ("/version", "Version"),
        })
            Fits(schema, JsonElement.Parse(await server.Client.GetStringAsync(path)));
    }

    [Theory]
    [InlineData("unknown", "1")]
    [InlineData("n", "0")]
    [InlineData("temperature", "3")]
    [InlineData("top_p", "0")]
    [InlineData("tools", """[{"type": "function"}]""")]
    [InlineData("messages", "[]")]
    [InlineData("messages", """[{"role": "tool", "content": "x"}]""")]
    [InlineData("messages", """[{"role": "user", "content": [{"type": "input_audio"}]}]""")]
    [InlineData("messages", """[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://example.org/x.png"}}]}]""")]
    [InlineData("anchorscope", """{"other": 1}""")]
    [InlineData("anchorscope", """{"follow": {"modality": "sound", "strength": 1}}""")]
    [InlineData("anchorscope", """{"follow": {"modality": "vision"}}""")]
    [InlineData("anchorscope", """{"interventions": [{"kind": "head_gain", "factor": 1}]}""")]
    [InlineData("anchorscope", """{"interventions": [{"kind": "head_gain", "set": "arbiters", "heads": [[1, 2]], "factor": 1}]}""")]
    [InlineData("anchorscope", """{"interventions": [{"kind": "head_gain", "set": "arbiters"}]}""")]
    [InlineData("anchorscope", """{"interventions": [{"kind": "edge_cut", "from": "image", "to": "nowhere"}]}""")]
    [InlineData("anchorscope", """{"interventions": [{"kind": "edge_cut", "from": "image", "to": "last", "layers": []}]}""")]
    [InlineData("anchorscope", """{"spans": [{"message": 0, "part": 1, "from": 0, "to": 3, "kind": "image"}]}""")]
    [InlineData("anchorscope", """{"answers": {"vision": ["green"]}}""")]
    [InlineData("anchorscope", """{"answers": {"vision": ["green"], "text": []}}""")]
    [InlineData("anchorscope", """{"answers": {"vision": ["green"], "text": ["red"]}, "report": ["everything"]}""")]
    public async Task AWrongRequest_IsWrongByBoth(string member, string value)
    {
        await using var server = await RunningServer.Start();
        var chat = RunningServer.Chat((member, JsonElement.Parse(value)));
        Assert.False(Evaluate("ChatRequest", JsonSerializer.SerializeToElement(chat)).IsValid);
        var (status, json) = await server.Post("/v1/chat/completions", chat);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Fits("Error", json);
    }

    private void Fits(string schema, JsonElement json)
    {
        var result = Evaluate(schema, json);
        Assert.True(result.IsValid, $"{schema}: {json.GetRawText()}\n{JsonSerializer.Serialize(result)}");
    }

    private EvaluationResults Evaluate(string name, JsonElement json)
    {
        // By itself a schema has no document around it, but definitions.
        var schemas = _document["components"]!["schemas"]!.ToJsonString().Replace("#/components/schemas/", "#/$defs/",
            StringComparison.Ordinal);
        var schema = JsonSchema.FromText(
            $$"""{"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/{{name}}", "$defs": {{schemas}}}""");
        return schema.Evaluate(json, new EvaluationOptions { OutputFormat = OutputFormat.List });
    }

    public void Dispose() => _temp.Dispose();
}
