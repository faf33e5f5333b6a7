using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>Attribution patching compared with real interventions.</summary>
public sealed class AttributionTests
{
    [Theory]
    [InlineData("llava15", "one_image")]
    [InlineData("qwen25vl", "one_image_nonsquare")]
    [InlineData("internvl3", "tiled_image")]
    public void ForASmallChange_HeadsAndNeuronsAreWhatTheSweepFinds(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (shape, last) = (tiny.Decoder.Shape, tiny.Prompt.Length - 1);
        int[] positions = [last - 3, last - 2, last];
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var found = Attribution.Of(tiny.Session, baseline, new AttributionOptions { TokenA = 5, TokenB = 9, Positions = positions });
        double Margin(Intervention intervention)
        {
            var logits = tiny.LastAlone(intervention);
            return (double)logits[5] - logits[9];
        }
        Assert.Equal(Margin(Intervention.None), found.Margin, 1e-6);
        const float Step = 1f / 32;
        void Compare(IReadOnlyList<float> attributed, IEnumerable<(int Index, Func<float, Intervention> Scaled)> parts)
        {
            var largest = attributed.Max(Math.Abs);
            foreach (var (index, scaled) in parts)
            {
                double Slope(float step) => (Margin(scaled(1 + step)) - Margin(scaled(1 - step))) / (2 * step);
                Assert.Equal((4 * Slope(Step) - Slope(2 * Step)) / 3, attributed[index], 2e-3 * largest);
            }
        }
        var at = Positions.Of(positions);
        Compare(found.Heads, from l in Enumerable.Range(0, shape.Layers) from h in Enumerable.Range(0,
            shape.Heads) select (l * shape.Heads + h, (Func<float, Intervention>)(f => Intervention.HeadGain(l, h, f, at))));
        var random = new Random(1);
        Compare(found.Neurons, Enumerable.Range(0, 30).Select(_ => (random.Next(shape.Layers), random.Next(shape.MlpSize))).Select(p => (
            p.Item1 * shape.MlpSize + p.Item2,
            (Func<float, Intervention>)(f => new Intervention("neuron",
                [new Edit(Site.NeuronOut, p.Item1, Operation.Scale) { Factor = f, Components = [p.Item2], Positions = at }])))));
    }

    /// <summary>
    /// Integrated gradients are complete: over many steps the heads' shares add up to the effect of fading all of them out.
    /// </summary>
    [Theory]
    [InlineData("llava15", "one_image")]
    [InlineData("llava15-gqa-f16-sharded", "one_image")]
    public void OverManySteps_HeadsAddUpToWhatFadingAllOfThemOutTakes(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (shape, last) = (tiny.Decoder.Shape, tiny.Prompt.Length - 1);
        int[] positions = [last - 2, last - 1, last];
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var found = Attribution.Of(tiny.Session, baseline,
            new AttributionOptions { TokenA = 5, TokenB = 9, Positions = positions, Steps = 64 });
        var all = from layer in Enumerable.Range(0, shape.Layers) from head in Enumerable.Range(0, shape.Heads) select (layer, head);
        var faded = tiny.LastAlone(Intervention.HeadGain("all", all, 0, Positions.Of(positions)));
        var taken = found.Margin - ((double)faded[5] - faded[9]);
        Assert.True(Math.Abs(taken) > 0.05, $"{taken}");
        Assert.Equal(taken, found.Heads.Sum(h => (double)h), 0.01 * Math.Abs(taken));
    }

    [Fact]
    public void AllEdgesOfAQuery_HaveNothingToSayTogether()
    {
        // Softmax knows differences only: scaling the weight of every edge alike changes nothing.
        using var tiny = Tiny.Open();
        var query = tiny.Prompt.Length - 2;
        using var baseline = tiny.Session.Record(tiny.Prompt);
        EdgeGroup[] edges =
            [new EdgeGroup("all", [query], [.. Enumerable.Range(0, query + 1)]), new EdgeGroup("some", [query], [0, 1, 2, 3])];
        var found = Attribution.Of(tiny.Session, baseline,
            new AttributionOptions { TokenA = 5, TokenB = 9, Positions = [query], Edges = edges });
        Assert.All(found.Edges["all"], slope => Assert.Equal(0, slope, 1e-5));
        Assert.Contains(found.Edges["some"], slope => Math.Abs(slope) > 1e-4);
    }

    [Theory]
    [InlineData("llava15", "one_image")]
    [InlineData("qwen25vl", "one_image_nonsquare")]
    [InlineData("llava15-gqa-f16-sharded", "one_image")]
    public void WhatIsRecorded_NeedNotBeGoneThroughAgain(string name, string @case)
    {
        // If position 0 is among the positions, the whole prompt is one run; otherwise everything before them is a frozen prefix. The bits
        // of the other edges are the same.
        using var tiny = Tiny.Open(name, @case);
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var last = tiny.Prompt.Length - 1;
        EdgeGroup[] edges = [new("some", [last - 2, last], [.. Enumerable.Range(0, last - 4)])];
        Attribution Found(params EdgeGroup[] more) =>
            Attribution.Of(tiny.Session, baseline, new AttributionOptions
            {
                TokenA = 5, TokenB = 9, Positions = [last - 2, last], Edges = [.. edges, .. more], Steps = 3,
            });
        var (part, whole) = (Found(), Found(new EdgeGroup("first", [0], [0])));
        Assert.Equal(whole.Heads, part.Heads);
        Assert.Equal(whole.Neurons, part.Neurons);
        Assert.Equal(whole.Edges["some"], part.Edges["some"]);
    }

    [Fact]
    public void WhatDoesNotExist_IsRefused()
    {
        using var tiny = Tiny.Open();
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var options = new AttributionOptions { TokenA = 1, TokenB = 2, Positions = [3] };
        foreach (var (wrong, expected) in new[]
        {
            (options with { TokenA = -1 }, "token: expected 0 to"),
            (options with { Positions = [tiny.Prompt.Length] }, "position: expected 0 to"),
            (options with { Edges = [new EdgeGroup("ahead", [2], [3])] }, "ahead: expected a query that attends to one of the keys"),
            (options with { Edges = [new EdgeGroup("empty", [2], [])] }, "empty: expected a query that attends to one of the keys"),
            (options with { Steps = 0 }, "steps: expected at least 1, found 0"),
            (options with { RowsPerPass = 0 }, "rows per pass: expected at least 1, found 0"),
        })
        {
            var refused = Assert.Throws<InputException>(() => Attribution.Of(tiny.Session, baseline, wrong));
            Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void ATokenOverItself_HasNoMargin_AndNothingGivesOne()
    {
        using var tiny = Tiny.Open();
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var last = tiny.Prompt.Length - 1;
        var found = Attribution.Of(tiny.Session, baseline, new AttributionOptions
        {
            TokenA = 5, TokenB = 5, Positions = [last - 1, last], Edges = [new EdgeGroup("some", [last], [0, 1])], Steps = 2,
        });
        Assert.Equal(0, found.Margin);
        Assert.All(found.Heads.Concat(found.Neurons).Concat(found.Edges["some"]), value => Assert.Equal(0, value));
    }

    [Fact]
    public void StepsThatShareAPass_HaveTheBitsOfStepsAlone()
    {
        using var tiny = Tiny.Open();
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var last = tiny.Prompt.Length - 1;
        Attribution Found(int rowsPerPass) =>
            Attribution.Of(tiny.Session, baseline, new AttributionOptions
            {
                TokenA = 5,
                TokenB = 9,
                Positions = [last - 1, last],
                Edges = [new EdgeGroup("some", [last], [0, 1])],
                Steps = 5,
                RowsPerPass = rowsPerPass,
            });
        var alone = Found(1);
        foreach (var rows in new[] { 4, 512 })
        {
            var together = Found(rows);
            Assert.Equal(alone.Heads, together.Heads);
            Assert.Equal(alone.Neurons, together.Neurons);
            Assert.Equal(alone.Edges["some"], together.Edges["some"]);
        }
    }

    [Fact]
    public void InTheOrganism_TheBestHeadsAreTheSame()
    {
        using var study = new DiagnosisStudy(new DiagnosisOptions { Model = Fixtures.Organism, Data = Fixtures.Conflicts });
        using var arena = new Arena();
        using var team = new Team(1);
        var (compute, decoder) = (new Compute(arena, team), study.Model.Decoder);
        var (exact, slopes, integrated) = (new double[64], new double[64], new double[64]);
        foreach (var run in study.Data.Rank.Samples.Take(12).SelectMany(s => s.Runs))
        {
            var pixels = study.Model.Preprocess([Picture.Load(run.Sample.Image!)]);
            var prompt = ConflictPrompt.Build(study.Model, run, study.Data.Layout, pixels, study.Model.Engine.On(compute).Features(pixels));
            var entities = AnswerEntities.Of(run, study.Model.Tokenizer, out _)!;
            var at = prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix);
            using var baseline = new CpuEngine(decoder).On(compute).Record(prompt);
            var variants = Enumerable.Range(0, 64).Select(
                i => new SweepItem(baseline, Intervention.HeadGain(i / 8, i % 8, 0, Positions.Of(at)))).ToList();
            double Margin(ReadOnlySpan<float> logits) => (double)logits[entities.Following] - logits[entities.Competing];
            Sweep.LastLogits(new CpuEngine(decoder).On(compute), variants,
                (i, logits) => exact[i] += Margin(baseline.LastLogits) - Margin(logits));
            Attribution Found(int steps) =>
                Attribution.Of(new CpuEngine(decoder).On(compute), baseline, new AttributionOptions
                {
                    TokenA = entities.Following, TokenB = entities.Competing, Positions = at, Steps = steps,
                });
            foreach (var (found, sums) in new[] { (Found(1), slopes), (Found(5), integrated) })
            {
                for (var i = 0; i < 64; i++) sums[i] += found.Heads[i];
            }
        }
        int[] Best(double[] scores, int count) => [.. Enumerable.Range(0, 64).OrderByDescending(i => scores[i]).Take(count)];
        // Blocking is not a small change: one of the three best heads (2.0) has a gradient near zero, as its softmax is saturated in the
        // unchanged run. On the path to zero its gradient is nonzero.
        Assert.InRange(HeadRanking.Spearman(exact, slopes), 0.85, 1);
        Assert.InRange(HeadRanking.Spearman(exact, integrated), 0.93, 1);
        Assert.Subset(Best(integrated, 10).ToHashSet(), Best(exact, 3).ToHashSet());
    }
}
