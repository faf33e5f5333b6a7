using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// Laws that hold bit for bit whatever the weights: the slow computation is the oracle for the fast one. <see cref="FamilyLawTests"/>
/// contains the laws of a single run, on every family.
/// </summary>
public sealed class LawTests : IDisposable
{
    private readonly Tiny _tiny = Tiny.Open("llava15-gqa-f16-sharded");

    public void Dispose() => _tiny.Dispose();

    private DecoderShape Shape => _tiny.Decoder.Shape;

    private int Last => _tiny.Prompt.Length - 1;

    private List<Intervention> Variants()
    {
        var late = Positions.Range(21, Last + 1);
        var image = Positions.Of(_tiny.Golden.ImagePositions);
        var vector = Enumerable.Range(0, Shape.ModelSize).Select(i => MathF.Sin(i)).ToArray();
        return
        [
            Intervention.None,
            .. Enumerable.Range(0, Shape.Layers).SelectMany(
                l => Enumerable.Range(0, Shape.Heads).Select(h => Intervention.HeadGain(l, h, 0, late))),
            .. Enumerable.Range(0, Shape.Layers).Select(l => Intervention.HeadGain(l, l % Shape.Heads, 1.75f)),
            .. Enumerable.Range(0, Shape.Layers).Select(l => Intervention.Knockout($"cut {l}", [l], late, image)),
            Intervention.Knockout("one head", [1, 2], Positions.Of(Last), image, [2]),
            Intervention.Steer(1, vector, 0.5f, late),
            Intervention.AttentionBoost("boost", [0, 2], late, image, 1.5f),
            Intervention.AttentionBoost("boost in one head", [1], Positions.Of(Last), image, -2, [2]),
            Queries(1.5f),
            Intervention.Patch(Site.ResidMid, 2, vector, Positions.Of(25)),
            new("mlp off", new Edit(Site.MlpOut, 2, Operation.Scale) { Factor = 0 }),
            new("neurons", new Edit(Site.NeuronOut, 1, Operation.Scale) { Factor = 3, Components = [0, 17, 175], Positions = late }),
            new("two layers", new Edit(Site.HeadOut, 1, Operation.Scale) { Factor = 0, Heads = [0] },
                new Edit(Site.HeadOut, 3, Operation.Scale) { Factor = 2, Heads = [1, 3], Positions = Positions.Of(Last) }),
        ];
    }

    /// <summary>A vector for each of two heads' queries, a row for each position.</summary>
    private Intervention Queries(float factor) => new("queries", new Edit(Site.QueryProj, 1, Operation.Add)
    {
        Heads = [0, 3],
        Positions = Positions.Of(22, 25, Last),
        Factor = factor,
        Rows = new DonorRows([.. Enumerable.Range(0, 6 * Shape.HeadSize).Select(i => MathF.Cos(i))], 3),
    });

    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(100_000)]
    public void ASweepOfASteeredPrompt_EqualsEachRunAlone_WithTheSteeringInFront(int rowsPerPass)
    {
        var vector = Enumerable.Range(0, Shape.ModelSize).Select(i => MathF.Sin(3 * i)).ToArray();
        var prompt = _tiny.Prompt with
        {
            // One edit at each kind of place where a variant can begin: before a layer, before and after its attention, at its end.
            Steering = new Intervention("steering",
            [
                new Edit(Site.ResidPre, 0, Operation.Add) { Vector = vector, Positions = Positions.Of(20, 21, 22) },
                .. Queries(2).Edits,
                new Edit(Site.ResidPre, 2, Operation.Add) { Vector = vector, Factor = 0.5f },
                new Edit(Site.HeadOut, 2, Operation.Add)
                    { Heads = [1], Vector = vector[..Shape.HeadSize], Positions = Positions.Range(21, Last + 1) },
                new Edit(Site.AttnScores, 3, Operation.Add)
                    { Factor = 0.7f, Positions = Positions.Of(Last), Keys = Positions.Of(_tiny.Golden.ImagePositions) },
                new Edit(Site.ResidPost, 3, Operation.Add) { Vector = vector, Factor = -0.25f },
            ]),
        };
        var interventions = Variants();
        using var baseline = _tiny.Session.Record(prompt);
        var got = new float[interventions.Count][];
        Sweep.LastLogits(_tiny.Session, [.. interventions.Select(v => new SweepItem(baseline, v))],
            (i, logits) => got[i] = logits.ToArray(), rowsPerPass);
        for (var i = 0; i < got.Length; i++)
        {
            var whole = _tiny.LastAlone(new Intervention(interventions[i].Name, [.. prompt.Steering.Edits, .. interventions[i].Edits]));
            Assert.True(whole.AsSpan().SequenceEqual(got[i]), interventions[i].Name);
            Assert.Equal(whole, Sweep.FullPass(_tiny.Session, prompt, interventions[i]));
        }
        Assert.NotEqual(_tiny.LastAlone(Intervention.None), got[0]);
        var generated = SweepGeneration.Run(_tiny.Session, [.. interventions.Select(v => new SweepItem(baseline, v))], 3,
            rowsPerPass: rowsPerPass);
        for (var i = 0; i < interventions.Count; i++)
            Assert.Equal(Generation.Run(_tiny.Session, prompt, new SequenceOptions(3) { Intervention = interventions[i] }).Tokens,
                generated[i]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(100_000)]
    public void Sweep_EqualsEachVariantRunAlone(int rowsPerPass)
    {
        var interventions = Variants();
        using var baseline = _tiny.Session.Record(_tiny.Prompt);
        var got = new float[interventions.Count][];
        Sweep.LastLogits(_tiny.Session, [.. interventions.Select(v => new SweepItem(baseline, v))],
            (i, logits) => got[i] = logits.ToArray(), rowsPerPass);
        for (var i = 0; i < got.Length; i++)
            Assert.True(_tiny.LastAlone(interventions[i]).AsSpan().SequenceEqual(got[i]), interventions[i].Name);
    }

    [Fact]
    public void Sweep_OverSeveralPrompts_EqualsEachAlone()
    {
        using var other = Tiny.Open("llava15-gqa-f16-sharded");
        var shorter = other.Model.Prompt([1, 300, 301, 302, 303], null, null);
        using var first = _tiny.Session.Record(_tiny.Prompt);
        using var second = _tiny.Session.Record(shorter);
        var block = Intervention.HeadGain(1, 2, 0);
        var got = new float[2][];
        Sweep.LastLogits(_tiny.Session, [new SweepItem(first, block), new SweepItem(second, block)],
            (i, logits) => got[i] = logits.ToArray());
        Assert.Equal(_tiny.LastAlone(block), got[0]);
        var entry = Tensor.From(_tiny.Compute.Arena, shorter.Embeddings, shorter.Length, Shape.ModelSize);
        var resid = _tiny.Decoder.Forward(new Pass(Shape, [new RowBlock(entry, shorter.Coordinates, 0, block)], _tiny.Compute));
        Assert.Equal(_tiny.Decoder.Unembed(resid.RowRange(4, 1), _tiny.Compute).ToArray(), got[1]);
    }

    [Theory]
    [InlineData(KernelFamily.Panel)]
    [InlineData(KernelFamily.Direct)]
    public void Decoding_EqualsPrefill_UnderTheSameIntervention(object familyGiven)
    {
        var family = (KernelFamily)familyGiven;
        using var tiny = Tiny.Open("llava15", "one_image", family);
        var image = Positions.Of(tiny.Golden.ImagePositions);
        foreach (var intervention in new[]
        {
            Intervention.None,
            Intervention.HeadGain(2, 1, 0),
            Intervention.Knockout("generated cannot see the image", [0, 1, 2], Positions.Range(30, tiny.Prompt.Length + 3), image),
            new Intervention("mlp half", new Edit(Site.MlpOut, 1, Operation.Scale) { Factor = 0.5f }),
        })
        {
            var generated = Generation.Run(tiny.Session, tiny.Prompt,
                new SequenceOptions(4) { Intervention = intervention, KeepLogits = true });
            for (var step = 0; step < 4; step++)
            {
                // The whole text so far in one pass, without a cache.
                var tokens = tiny.Prompt.Tokens.Concat(generated.Tokens.Take(step)).ToArray();
                var features = tiny.Session.Features(tiny.Pixels!);
                var whole = tiny.Model.Prompt(tokens, tiny.Pixels, features);
                var entry = Tensor.From(tiny.Compute.Arena, whole.Embeddings, whole.Length, tiny.Decoder.Shape.ModelSize);
                var resid = tiny.Decoder.Forward(
                    new Pass(tiny.Decoder.Shape,
                        [new RowBlock(entry, whole.Coordinates, 0, EditIndex.Of(intervention, tiny.Decoder.Shape, tiny.Prompt.Length, 4))],
                        tiny.Compute));
                Assert.Equal(tiny.Decoder.Unembed(resid.RowRange(whole.Length - 1, 1), tiny.Compute).ToArray(), generated.Logits[step]);
            }
        }
    }

    [Fact]
    public void GainOne_IsTheBaseline() => Assert.All(
        Enumerable.Range(0, Shape.Layers),
        layer => Assert.Equal(_tiny.Alone(Intervention.None), _tiny.Alone(Intervention.HeadGain(layer, 1, 1))));

    [Fact]
    public void CutEdges_HaveNoProbability_AndRowsStillSumToOne()
    {
        var image = _tiny.Golden.ImagePositions;
        var trace = new Trace([Site.AttnPattern]);
        _tiny.Alone(Intervention.Knockout("cut", [1], Positions.Of(Last), Positions.Of(image)), trace);
        var pattern = trace[Site.AttnPattern, 1];
        var length = _tiny.Prompt.Length;
        for (var head = 0; head < Shape.Heads; head++)
        {
            var row = pattern.AsSpan((head * length + Last) * length, length).ToArray();
            Assert.All(image, key => Assert.Equal(0f, row[key]));
            Assert.Equal(1.0, row.Sum(p => (double)p), 5);
        }
    }

    [Fact]
    public void ABoost_MultipliesTheWeightOfItsKeys_BeforeTheyAreNormalised()
    {
        const float Added = 0.8f;
        var image = _tiny.Golden.ImagePositions;
        float[] Row(Intervention intervention, int head)
        {
            var trace = new Trace([Site.AttnPattern]);
            _tiny.Alone(intervention, trace);
            return trace[Site.AttnPattern, 1].AsSpan((head * _tiny.Prompt.Length + Last) * _tiny.Prompt.Length,
                _tiny.Prompt.Length).ToArray();
        }
        Intervention Boost(float added) => Intervention.AttentionBoost("boost", [1], Positions.Of(Last), Positions.Of(image), added, [2]);
        var (plain, boosted) = (Row(Intervention.None, 2), Row(Boost(Added), 2));
        var weights = plain.Select((p, key) => image.Contains(key) ? p * Math.Exp(Added) : p).ToArray();
        for (var key = 0; key < plain.Length; key++) Assert.Equal(weights[key] / weights.Sum(), boosted[key], 6);
        Assert.Equal(Row(Intervention.None, 1), Row(Boost(Added), 1));
        Assert.Equal(plain, Row(Boost(0), 2));
        // A key whose score is lowered far enough has a weight of exactly 0.
        Assert.Equal(_tiny.Alone(Intervention.Knockout("cut", [1], Positions.Of(Last), Positions.Of(image), [2])),
            _tiny.Alone(Boost(-1e6f)));
    }

    [Fact]
    public void ABoostOfEveryKey_IsRefused() => Assert.Contains(
        "the same number added to every key changes nothing",
        Assert.Throws<InputException>(
            () => Intervention.AttentionBoost("boost", [1], Positions.Of(Last), Positions.All, 1).Validate(Shape, Last + 1)).Message,
        StringComparison.Ordinal);

    [Fact]
    public void BlockingEveryHead_LeavesNoAttentionOutput()
    {
        var trace = new Trace([Site.AttnOut]);
        _tiny.Alone(Intervention.HeadGain("all", Enumerable.Range(0, Shape.Heads).Select(h => (1, h)), 0), trace);
        Assert.All(trace[Site.AttnOut, 1], v => Assert.Equal(0f, v));
    }

    [Fact]
    public void AnEditAbove_ChangesNothingBelow_AndNothingBefore()
    {
        var (plain, edited) = (new Trace([Site.ResidPost]), new Trace([Site.ResidPost]));
        _tiny.Alone(Intervention.None, plain);
        _tiny.Alone(Intervention.HeadGain(2, 0, 0, Positions.Of(30)), edited);
        var width = Shape.ModelSize;
        for (var layer = 0; layer < Shape.Layers; layer++)
        {
            var (a, b) = (plain[Site.ResidPost, layer], edited[Site.ResidPost, layer]);
            if (layer < 2) Assert.Equal(a, b);
            Assert.Equal(a[..(30 * width)], b[..(30 * width)]);
        }
        Assert.NotEqual(plain[Site.ResidPost, 2], edited[Site.ResidPost, 2]);
    }

    [Fact]
    public void NothingStaysBehind_AfterAnIntervention()
    {
        var before = _tiny.Alone(Intervention.None);
        _tiny.Alone(Intervention.HeadGain(0, 0, 5));
        Assert.Equal(before, _tiny.Alone(Intervention.None));
    }
}
