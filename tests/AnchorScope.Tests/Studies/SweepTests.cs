using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Readouts;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>The planner compared with one full pass per variant, bit for bit, on every family.</summary>
public sealed class SweepTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    public static TheoryData<string, string> Models => new()
    {
        { "llava15", "one_image" }, { "llava15", "text_only" }, { "llava15-gqa-f16-sharded", "one_image" }, { "qwen25vl", "two_images" },
        { "qwen25vl-tied-bf16", "one_image" },
        { "qwen2vl", "one_image_nonsquare" }, { "internvl3", "tiled_image" }, { "internvl3-qknorm-rms", "tiled_image" },
        { "internvl3-remote", "tiled_image" },
        { "llava-onevision", "one_image_anyres" }, { "smolvlm", "one_image_split" },
    };

    private static List<Intervention> Interventions(DecoderShape shape, Prompt prompt)
    {
        var (last, vector) = (prompt.Length - 1, Enumerable.Range(0, shape.ModelSize).Select(i => MathF.Cos(i)).ToArray());
        var late = Positions.Range(Math.Max(0, last - 6), last - 1);
        var layers = Enumerable.Range(0, shape.Layers).ToList();
        return
        [
            .. layers.SelectMany(l => Enumerable.Range(0, shape.Heads).Select(h => Intervention.HeadGain(l, h, 0, late))),
            .. layers.Select(l => Intervention.HeadGain($"last {l}", [(l, 0)], 1.5f, Positions.Of(last))),
            .. layers.Select(l => Intervention.HeadGain($"everywhere {l}", [(l, shape.Heads - 1)], 0)),
            .. layers.Select(l => Intervention.Knockout($"window {l}", layers.Skip(l).Take(3), Positions.Of(last), Positions.Range(0, 3))),
            Intervention.Knockout("one head", [shape.Layers - 1], late, Positions.Of(1), [0]),
            Intervention.Steer(1, vector, 0.5f, late),
            Intervention.Patch(Site.ResidMid, shape.Layers - 1, vector, Positions.Of(last)),
            Intervention.Patch(Site.Value, 0, vector[..shape.HeadSize], late, [0]),
            // In the last layer: edits that affect only other positions, alone and with an edit that matters, and edits that attention
            // still reads.
            Intervention.Steer(shape.Layers - 1, vector, 2, late),
            new("other queries, and a head",
                new Edit(Site.AttnScores, shape.Layers - 1, Operation.Set) { Positions = late, Keys = Positions.Of(1) },
                new Edit(Site.HeadOut, shape.Layers - 1, Operation.Scale) { Heads = [0], Factor = 2, Positions = Positions.Of(last) }),
            Intervention.Patch(Site.ResidPre, shape.Layers - 1, vector, late),
            Intervention.Patch(Site.Key, shape.Layers - 1, vector[..shape.HeadSize], late, [0]),
            // Windows that begin with the same layers and end in different ones, some at later positions only, and one combined with a head
            // edit in a later layer.
            .. layers.Skip(1).Select(l => Intervention.Knockout($"from the bottom to {l}", layers.Take(l), late, Positions.Range(0, 2))),
            .. layers.Skip(2).Select(
                l => Intervention.Knockout($"last, from the bottom to {l}", layers.Take(l), Positions.Of(last), Positions.Range(0, 2))),
            new("window, then a head to its left",
                new Edit(Site.AttnScores, 0, Operation.Set) { Positions = late, Keys = Positions.Range(0, 2) },
                new Edit(Site.HeadOut, shape.Layers - 1, Operation.Scale) { Heads = [0], Factor = 0 }),
            // The same edit twice under different names, and once with a negative zero.
            Intervention.HeadGain("again", [(0, 0)], 0, late),
            Intervention.HeadGain("again, from below", [(0, 0)], -0f, late),
            new("neurons", new Edit(Site.NeuronOut, 1, Operation.Scale) { Factor = 3, Components = [0, 3], Positions = late }),
            Intervention.None,
        ];
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void PlannedAndNaiveFiles_AreTheSameBytes(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var interventions = Interventions(tiny.Decoder.Shape, tiny.Prompt);
        byte[] Rows(string file, bool naive, int threads, long memory)
        {
            var study = new SweepStudy(tiny.Model, tiny.Prompt, interventions, new SweepOptions(memory, threads, naive));
            using var rows = SweepFile.Open(_temp.File(file), tiny.Model, tiny.Prompt, interventions, [5, 0, 17], heads: false);
            study.Run(rows);
            rows.Finish();
            return File.ReadAllBytes(_temp.File(file));
        }
        var naive = Rows("naive", true, 2, 1 << 30);
        Assert.Equal(interventions.Count, naive.Count(b => b == '\n'));
        Assert.Equal(naive, Rows("planned", false, 1, 1 << 30));
        // As little memory as the longest variant needs: many small passes.
        Assert.Equal(naive, Rows("threads", false, 3, Least(tiny, interventions, 3)));
        Assert.Empty(Directory.GetFiles(_temp.Path, "*.partial"));
    }

    /// <summary>Memory for the recorded run and a whole prompt on every thread.</summary>
    private static long Least(Tiny tiny, IReadOnlyList<Intervention> interventions, int threads)
    {
        var cost = SweepCost.Of(tiny.Model.Engine, tiny.Prompt, interventions);
        return cost.RecordedBytes + cost.BytesPerRow * tiny.Prompt.Length * threads;
    }

    [Fact]
    public void StoppedSweep_GoesOnWhereItWas_AndLosesNothing()
    {
        using var tiny = Tiny.Open();
        var interventions = Interventions(tiny.Decoder.Shape, tiny.Prompt);
        var options = new SweepOptions(Least(tiny, interventions, 1), 1, Naive: false);
        var study = new SweepStudy(tiny.Model, tiny.Prompt, interventions, options);
        SweepFile Open(string name, params int[] asked) =>
            SweepFile.Open(_temp.File(name), tiny.Model, tiny.Prompt, interventions, asked, heads: false);
        using (var whole = Open("whole", 4))
        {
            study.Run(whole);
            whole.Finish();
        }
        using (var stop = new CancellationTokenSource())
        using (var rows = Open("rows", 4))
        {
            Assert.Throws<OperationCanceledException>(() => study.Run(rows, _ => stop.Cancel(), cancel: stop.Token));
        }
        Assert.False(File.Exists(_temp.File("rows")));
        // The file of a process killed in the middle of a write.
        File.AppendAllText(_temp.File("rows.partial"), "7\t{\"name\":\"one hea");
        Assert.Contains("belongs to another run: ", Assert.Throws<InputException>(() => Open("rows", 5)).Message, StringComparison.Ordinal);
        using (var rows = Open("rows", 4))
        {
            Assert.InRange(rows.Missing.Count, 1, interventions.Count - 1);
            Assert.Contains("cannot be written", Assert.Throws<InputException>(() => Open("rows", 4)).Message, StringComparison.Ordinal);
            study.Run(rows);
            rows.Finish();
        }
        Assert.Equal(File.ReadAllBytes(_temp.File("whole")), File.ReadAllBytes(_temp.File("rows")));
        Assert.Contains("exists already", Assert.Throws<InputException>(() => Open("rows", 4)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("llava15-gqa-f16-sharded", "one_image")]
    [InlineData("qwen25vl", "two_images")]
    public void Readouts_AreThoseOfAFullRun(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (shape, last) = (tiny.Decoder.Shape, tiny.Prompt.Length - 1);
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var interventions = Interventions(shape, tiny.Prompt);
        SweepItem[] variants = [.. interventions.Select(i => new SweepItem(baseline, i))];
        foreach (var readouts in new Readout[][]
        {
            [Readout.Output],
            [Readout.Output with { Tokens = [3, 0, 250] }, Readout.Output],
            [new Readout(1)],
            [new Readout(0, last - 3) { FinalNorm = false }],
            [new Readout(2, last - 3), new Readout(1, 2) { Tokens = [9] }, Readout.Output],
        })
        {
            var seen = new bool[variants.Length];
            Sweep.Run(tiny.Session, variants, readouts, (variant, i, read) =>
            {
                var trace = new Trace([Site.ResidPost]);
                tiny.Alone(interventions[variant], trace);
                var (layer, position) = (readouts[i].Layer ?? shape.Layers - 1, readouts[i].Position ?? last);
                var resid = trace[Site.ResidPost, layer].AsSpan(position * shape.ModelSize, shape.ModelSize);
                var lens = LogitLens.Logits(tiny.Session, resid, readouts[i].FinalNorm);
                Assert.Equal(readouts[i].Tokens is { } tokens ? [.. tokens.Select(t => lens[t])] : lens, read.ToArray());
                seen[variant] = true;
            });
            Assert.DoesNotContain(false, seen);
        }
    }

    [Fact]
    public void ReadoutOutOfRange_IsRefused()
    {
        using var tiny = Tiny.Open();
        using var baseline = tiny.Session.Record(tiny.Prompt);
        foreach (var readout in new[] { new Readout(99), new Readout(0, 4000), Readout.Output with { Tokens = [1 << 20] } })
            Assert.Throws<InputException>(() => Sweep.Plan(tiny.Model.Engine, [new SweepItem(baseline, Intervention.None)], [readout]));
    }

    [Fact]
    public void BaselineKeptFromACornerOn_RefusesWhatStartsBeforeIt()
    {
        using var tiny = Tiny.Open();
        using var baseline = tiny.Session.Record(tiny.Prompt, new RecordOptions { From = 10 });
        var block = Intervention.HeadGain(1, 0, 0, Positions.Of(12));
        var got = Array.Empty<float>();
        Sweep.LastLogits(tiny.Session, [new SweepItem(baseline, block)], (_, logits) => got = logits.ToArray());
        Assert.Equal(tiny.LastAlone(block), got);
        Assert.Throws<InputException>(
            () => Sweep.LastLogits(tiny.Session, [new SweepItem(baseline, Intervention.HeadGain(1, 0, 0))], (_, _) => { }));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void GenerationOfManyVariants_IsThatOfEach(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var interventions = Interventions(tiny.Decoder.Shape, tiny.Prompt);
        var generated = SweepGeneration.Run(tiny.Session, [.. interventions.Select(i => new SweepItem(baseline, i))], 5, rowsPerPass: 50);
        for (var i = 0; i < interventions.Count; i++)
        {
            var alone = Generation.Run(tiny.Session, tiny.Prompt, new SequenceOptions(5) { Intervention = interventions[i] }).Tokens;
            Assert.Equal(alone, generated[i]);
            // One variant that stops does not stop the others.
            if (i == 0)
                Assert.Equal(alone.TakeWhile(t => t != alone[2]).Append(alone[2]),
                    SweepGeneration.Run(tiny.Session, [new SweepItem(baseline, interventions[i]),
                        new SweepItem(baseline, Intervention.None)], 5, new HashSet<int> { alone[2] })[0]);
        }
    }

    [Fact]
    public void CostModel_CountsWhatThePlanRuns()
    {
        using var tiny = Tiny.Open();
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var interventions = Interventions(tiny.Decoder.Shape, tiny.Prompt);
        var cost = SweepCost.Of(tiny.Model.Engine, tiny.Prompt, interventions);
        var plan = Sweep.Plan(tiny.Model.Engine, [.. interventions.Select(i => new SweepItem(baseline, i))],
            [Readout.Output], cost.RowsPerPass);
        Assert.Equal(cost.Passes, plan.Count(p => p.Rows > 0));
        Assert.Equal(interventions.Count, cost.Interventions);
        // Not computed: the baseline, the steering, the cut and every head in the last layer that affect only other positions, and
        // duplicates.
        Assert.Equal(interventions.Count - 4 - tiny.Decoder.Shape.Heads, cost.Variants);
        Assert.InRange(cost.Saving, 1, cost.Interventions);
        Assert.All(plan, p => Assert.True(p.Rows <= cost.RowsPerPass));
        var refused = Assert.Throws<InputException>(() => SweepCost.Of(tiny.Model.Engine, tiny.Prompt, interventions, 1000));
        Assert.Contains("--memory", refused.Message, StringComparison.Ordinal);
        // Without a limit, as much memory as needed is used.
        Assert.True(SweepCost.Of(tiny.Model.Engine, tiny.Prompt, interventions, threads: 1 << 20).RowsPerPass >= tiny.Prompt.Length);
    }

    [Fact]
    public void WindowsThatBeginAlike_ShareWhatTheyHaveInCommon()
    {
        using var tiny = Tiny.Open();
        var (layers, rows) = (tiny.Decoder.Shape.Layers, 5);
        Intervention[] windows = [
            .. Enumerable.Range(1, 3).Select(
                count => Intervention.Knockout($"{count}", Enumerable.Range(0, count),
                    Positions.Of(tiny.Prompt.Length - rows), Positions.Of(0)))];
        // The first passes through all layers, the second separates from it after layer 0, the third from the second after layer 1.
        Assert.Equal(rows * (layers + layers - 1 + layers - 2), SweepCost.Of(tiny.Model.Engine, tiny.Prompt, windows).RowLayers);
        // They share nothing if memory allows only one of them per pass.
        var cost = SweepCost.Of(tiny.Model.Engine, tiny.Prompt, windows);
        // The recorded run needs memory for every position, so the passes are made small by the number of threads.
        var threads = tiny.Prompt.Length / rows + 1;
        Assert.Equal(rows * 3 * layers, SweepCost.Of(tiny.Model.Engine, tiny.Prompt, windows,
            cost.RecordedBytes + rows * cost.BytesPerRow * threads, threads).RowLayers);
    }
}
