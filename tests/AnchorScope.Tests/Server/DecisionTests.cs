using System.Net;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>What the server reads of a request's own pass.</summary>
public sealed class DecisionTests : IDisposable
{
    private readonly TempFolder _temp = new();

    /// <summary>
    /// What a response reports is what an own trace of the same prompt gives, also under an intervention and after a kept prefix.
    /// </summary>
    [Fact]
    public async Task AReport_IsWhatATraceGives()
    {
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": ["head_gain"], "listed_heads": true, "factor": [0, 4]}""");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        using var session = model.OpenSession();
        var prompt = RunningServer.PromptOf(model, session);
        int Word(string word) => model.Tokenizer.Encode(word, addSpecial: false)[^1].Id;
        var (green, purple) = (Word("green"), Word("purple"));
        var shape = model.Engine.Shape;
        foreach (var factor in new[] { 1.0, 1.0, 0.0 })
        {
            var intervention = factor == 1 ? Intervention.None : Intervention.HeadGain("gain", [(2, 1), (3, 5), (3, 7)], (float)factor);
            var answers = new { vision = new[] { "green" }, text = new[] { "purple" } };
            object steering = factor == 1
                ? new { answers, report = new[] { "decision", "margins", "heads" } }
                : new { answers, report = new[] { "decision", "margins", "heads" }, interventions = new[]
                    { new { kind = "head_gain", heads = new[] { new[] { 2, 1 }, new[] { 3, 5 }, new[] { 3, 7 } }, factor } } };
            var (status, json) = await server.Post("/v1/chat/completions", RunningServer.Chat(("anchorscope", steering)));
            Assert.Equal(HttpStatusCode.OK, status);
            var ours = json.GetProperty("anchorscope");
            var trace = new Trace([Site.ResidPost, Site.HeadOut]);
            session.Forward(prompt, intervention, trace);
            double Margin(int layer, int position)
            {
                var logits = session.Unembed(trace.Row(Site.ResidPost, layer, position));
                return (double)logits[green] - logits[purple];
            }
            var last = ours.GetProperty("margins").GetProperty("last").EnumerateArray().Select(m => m.GetDouble()).ToList();
            Assert.Equal(Enumerable.Range(0, shape.Layers).Select(layer => Margin(layer, prompt.Last)), last);
            Assert.Equal(last[^1], ours.GetProperty("margin").GetDouble());
            var instruction = ours.GetProperty("margins").GetProperty("instruction").EnumerateArray().Select(m => m.GetDouble()).ToList();
            for (var layer = 0; layer < shape.Layers; layer++)
            {
                double Top(int token) => prompt.Positions(SpanKind.Instruction).List
                    .Select(p => (double)session.Unembed(trace.Row(Site.ResidPost, layer, p))[token]).OrderDescending().Take(2).Average();
                Assert.Equal(Top(green) - Top(purple), instruction[layer], 1e-9);
            }
            var final = session.Unembed(trace.Row(Site.ResidPost, shape.Layers - 1, prompt.Last));
            var likeliest = Array.IndexOf(final, final.Max());
            Assert.Equal(likeliest == green ? "vision" : likeliest == purple ? "text" : "neither",
                ours.GetProperty("decision").GetString());
            var expected = AnchorScope.Readouts.HeadContribution.ToMargin(
                model, trace, prompt.Last, trace.Row(Site.ResidPost, shape.Layers - 1, prompt.Last), green, purple);
            var heads = ours.GetProperty("heads").EnumerateArray().ToList();
            Assert.Equal(shape.Layers * shape.Heads, heads.Count);
            foreach (var head in heads)
            {
                Assert.Equal(expected[head.GetProperty("layer").GetInt32() * shape.Heads + head.GetProperty("head").GetInt32()],
                    head.GetProperty("margin").GetDouble(), 1e-5);
            }
        }
        foreach (var (wrong, named) in new (object, string)[]
        {
            (new { report = new[] { "decision" } }, "answers"),
            (new { answers = new { vision = new[] { "green" }, text = new[] { "green" } }, report = new[] { "decision" } }, "same token"),
            (new { answers = new { vision = new[] { "green" } } }, "anchorscope.answers.text"),
        })
        {
            var (status, json) = await server.Post("/v1/chat/completions", RunningServer.Chat(("anchorscope", wrong)));
            Assert.Equal(HttpStatusCode.BadRequest, status);
            Assert.Contains(named, json.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    public void Dispose() => _temp.Dispose();
}
