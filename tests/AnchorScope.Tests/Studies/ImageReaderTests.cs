using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

public sealed class ImageReaderTests : IDisposable
{
    private readonly Tiny _tiny = Tiny.Open();
    private readonly ImageReader _reader;

    public ImageReaderTests() =>
        _reader = new ImageReader(new ConflictPrompts(_tiny.Model, PromptLayout.ContextQuestionInstruction, _tiny.Session),
            [SpanKind.Image], _tiny.Session);

    /// <summary>
    /// The same mean computed from a full trace. The positions of the image tokens are used as the instruction, which these goldens do not
    /// label.
    /// </summary>
    [Fact]
    public void Reading_IsTheMeanOfAttention()
    {
        var trace = new Trace([Site.AttnPattern]);
        _tiny.Alone(Intervention.None, trace);
        var (shape, length, image) = (_tiny.Decoder.Shape, _tiny.Prompt.Length, _tiny.Prompt.Span(SpanKind.Image));
        var readings = _reader.Read(_tiny.Prompt, "plain", Intervention.None);
        Assert.Equal(["instruction", "last"], readings.Select(r => r.Span));
        foreach (var (reading, queries) in readings.Zip(new[] { image, [length - 1] }))
        {
            Assert.Equal(image.Count, reading.Tokens.Count);
            for (var i = 0; i < image.Count; i++)
            {
                var expected = 0.0;
                for (var layer = 0; layer < shape.Layers; layer++)
                {
                    for (var head = 0; head < shape.Heads; head++)
                        expected += queries.Sum(q => (double)trace[Site.AttnPattern, layer][(head * length + q) * length + image[i]]);
                }
                Assert.Equal(expected / (shape.Layers * shape.Heads * queries.Count), reading.Tokens[i], 1e-12);
            }
        }
    }

    [Fact]
    public void ABlockedHead_ReadsNothing()
    {
        var shape = _tiny.Decoder.Shape;
        var last = Positions.Of(_tiny.Prompt.Length - 1);
        var every = Enumerable.Range(0, shape.Layers).SelectMany(l => Enumerable.Range(0, shape.Heads).Select(h => (l, h))).ToList();
        var readings = _reader.Read(_tiny.Prompt, "all", Intervention.HeadGain("all", every, 0, last));
        Assert.Equal(0, readings[1].Total);
        // At other positions they are not blocked.
        Assert.Equal(_reader.Read(_tiny.Prompt, "plain", Intervention.None)[0].Tokens, readings[0].Tokens);

        // A head of the last layer changes no attention, so only its own reading is missing.
        var trace = new Trace([Site.AttnPattern], [_tiny.Prompt.Length - 1]);
        _tiny.Alone(Intervention.None, trace);
        var deep = shape.Layers - 1;
        var own = _tiny.Prompt.Span(SpanKind.Image).Sum(i => (double)trace[Site.AttnPattern, deep][_tiny.Prompt.Length + i]) / every.Count;
        var without = _reader.Read(_tiny.Prompt, "one", Intervention.HeadGain("one", [(deep, 1)], 0, last))[1].Total;
        Assert.Equal(_reader.Read(_tiny.Prompt, "plain", Intervention.None)[1].Total - own, without, 1e-12);
    }

    public void Dispose() => _tiny.Dispose();
}
