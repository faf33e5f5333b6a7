using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Readouts;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>Interchanges in a sweep: each has the bits of a separate run, and none that affects the output is dropped.</summary>
public sealed class InterchangeSweepTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    private static List<Intervention> Variants(Tiny tiny, Exchange donor, Exchange other)
    {
        var (shape, last) = (donor.Shape, tiny.Prompt.Length - 1);
        var layers = Enumerable.Range(0, shape.Layers).ToList();
        var (late, question, end) = (Positions.Range(last - 6, last), Positions.Of(last - 9, last - 4, last), Positions.Of(last));
        return
        [
            .. layers.SelectMany(
                l => Exchange.Sites.Select(
                    s => new Intervention($"{s} {l}", donor.At(s, l, late, Exchange.HasHeads(s) ? [donor.HeadsAt(s) - 1] : null)))),
            .. layers.Select(l => new Intervention($"q of the last {l}", donor.At(Site.QueryProj, l, end, [0]))),
            .. layers.Select(
                l => new Intervention($"pattern from here on {l}",
                    layers.Skip(l).Select(i => donor.At(Site.AttnPattern, i, question, [1, 0])).ToArray())),
            // Windows of layers that begin alike, of values, queries and edges; with cuts among them, too.
            .. layers.Select(
                l => new Intervention($"values up to {l}", layers.Take(l + 1).Select(i => donor.At(Site.Value, i, late)).ToArray())),
            .. layers.Select(
                l => new Intervention(
                    $"queries up to {l}", layers.Take(l + 1).Select(i => donor.At(Site.QueryProj, i, question)).ToArray())),
            .. layers.Select(
                l => new Intervention(
                    $"edges up to {l}", layers.Take(l + 1).Select(i => donor.Along(Site.Value, i, end, Positions.Range(0, 6))).ToArray())),
            .. layers.Select(
                l => new Intervention($"edges and cuts up to {l}",
                    layers.Take(l + 1).SelectMany(
                        i => new[] { donor.Along(Site.Key, i, question, late, [1]),
                            new Edit(Site.AttnScores, i, Operation.Set) { Positions = end, Keys = Positions.Of(2, 3) } }).ToArray())),
            .. layers.Select(
                l => new Intervention($"edges from {l} on",
                    layers.Skip(l).SelectMany(
                        i => new[] { donor.Along(Site.Key, i, question, Positions.Of(0, last - 5)),
                            donor.Along(Site.Value, i, end, Positions.Of(0, last - 4), [0]) }).ToArray())),
            .. layers.Select(l => Intervention.Knockout($"cut {l}", [l], late, Positions.Range(0, 3))),
            new("overlapping edges", donor.Along(Site.Value, 1, question, Positions.Of(1, 2)),
                other.Along(Site.Value, 1, end, Positions.Of(2, 4)), donor.At(Site.Value, 1, Positions.Of(last - 2))),
            new("edges of all queries", donor.Along(Site.Key, 0, Positions.All, Positions.Of(0, 4)),
                donor.Along(Site.Value, shape.Layers - 1, Positions.All, Positions.Of(last - 3))),
            new("two donors", donor.At(Site.HeadOut, 1, late, [0]), other.At(Site.HeadOut, 1, late, [1]),
                donor.At(Site.AttnPattern, 2, end, [0]), other.Along(Site.Value, 2, end, late, [1])),
            // The same values twice under different names, and other values at the same place.
            new("again", donor.At(Site.HeadOut, 0, late, [shape.Heads - 1])),
            new("of another donor", other.At(Site.HeadOut, 0, late, [shape.Heads - 1])),
            new("added", new Edit(Site.AttnOut, 1, Operation.Add)
                { Positions = late, Factor = 0.5f, Rows = donor.Rows(Site.AttnOut, 1, late.List, null) }),
            Intervention.HeadGain(1, 0, 0, late),
            Intervention.None,
        ];
    }

    [Theory]
    [InlineData("llava15-gqa-f16-sharded", "one_image")]
    [InlineData("qwen25vl", "two_images")]
    [InlineData("internvl3-qknorm-rms", "tiled_image")]
    public void Sweep_EqualsEachAlone(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var donor = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        var other = new Exchange(tiny, tiny.Prompt, Intervention.HeadGain(0, 0, 3));
        var interventions = Variants(tiny, donor, other);
        using var baseline = (RecordedRun)tiny.Session.Record(tiny.Prompt);
        float[][] alone = [.. interventions.Select(tiny.LastAlone)];
        foreach (var rowsPerPass in new[] { 1, 37, 100_000 })
        {
            var got = new float[interventions.Count][];
            Sweep.LastLogits(tiny.Session, [.. interventions.Select(v => new SweepItem(baseline, v))],
                (i, logits) => got[i] = logits.ToArray(), rowsPerPass);
            for (var i = 0; i < got.Length; i++)
                Assert.True(alone[i].AsSpan().SequenceEqual(got[i]), $"{interventions[i].Name}, {rowsPerPass} rows");
        }
        // On three threads, which share the attention of a pass.
        using var team = new Team(3);
        Sweep.LastLogits(tiny.Model.Engine.On(tiny.Compute with { Team = team }),
            [.. interventions.Select(v => new SweepItem(baseline, v))],
            (i, logits) => Assert.True(alone[i].AsSpan().SequenceEqual(logits), interventions[i].Name));
        // Each as a separate pass over the recorded prefix, and without any prefix.
        foreach (var (i, intervention) in interventions.Index().Where(v => v.Item.Edits.Count > 0))
        {
            foreach (var from in new[] { intervention.FirstPosition, 0 })
            {
                var rows = tiny.Prompt.Length - from;
                var mark = tiny.Compute.Arena.Here();
                using var own = new KeyValues(donor.Shape.Layers, donor.Shape.KeyHeads, donor.Shape.HeadSize, from, rows);
                var run = new RowBlock(baseline.ResidPre(0, from), tiny.Prompt.Coordinates.AsMemory(from), from,
                    intervention) { Past = from > 0 ? baseline.KeyValues : null, Own = own };
                Assert.True(
                    alone[i].AsSpan().SequenceEqual(
                        tiny.Decoder.Unembed(tiny.Decoder.ForwardLast(new Pass(donor.Shape, [run], tiny.Compute)), tiny.Compute).ToArray()),
                    $"{intervention.Name} from {from}");
                tiny.Compute.Arena.Release(mark);
            }
        }
        var generated = SweepGeneration.Run(tiny.Session, [.. interventions.Select(v => new SweepItem(baseline, v))], 3, rowsPerPass: 50);
        for (var i = 0; i < interventions.Count; i++)
            Assert.Equal(Generation.Run(tiny.Session, tiny.Prompt, new SequenceOptions(3) { Intervention = interventions[i] }).Tokens,
                generated[i]);
    }

    [Fact]
    public void Readouts_AreThoseOfAFullRun()
    {
        using var tiny = Tiny.Open("llava15-gqa-f16-sharded");
        var donor = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        var interventions = Variants(tiny, donor, donor);
        var (last, width) = (tiny.Prompt.Length - 1, donor.Shape.ModelSize);
        using var baseline = tiny.Session.Record(tiny.Prompt);
        foreach (var readouts in new Readout[][] { [new Readout(1)], [new Readout(1, last - 4)],
            [new Readout(2, last - 3), new Readout(0, 2), Readout.Output] })
        {
            Sweep.Run(tiny.Session, [.. interventions.Select(v => new SweepItem(baseline, v))], readouts, (variant, i, read) =>
            {
                var trace = new Trace([Site.ResidPost]);
                tiny.Alone(interventions[variant], trace);
                var resid = trace[Site.ResidPost, readouts[i].Layer ?? donor.Shape.Layers - 1]
                    .AsSpan((readouts[i].Position ?? last) * width, width);
                Assert.True(LogitLens.Logits(tiny.Session, resid).AsSpan().SequenceEqual(read),
                    $"{interventions[variant].Name}, readout {i}");
            });
        }
    }

    /// <summary>
    /// In the last layer only the last position is read: edits of what it attends to matter, edits of other positions' outputs do not.
    /// </summary>
    [Fact]
    public void WhatReachesTheLastPosition_IsKept_AndNothingElse()
    {
        using var tiny = Tiny.Open("llava15-gqa-f16-sharded");
        var donor = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        var (top, last) = (donor.Shape.Layers - 1, tiny.Prompt.Length - 1);
        var (late, end) = (Positions.Range(last - 6, last), Positions.Of(last));
        var vector = Enumerable.Range(0, donor.Shape.ModelSize).Select(i => MathF.Sin(i)).ToArray();
        var plain = tiny.LastAlone(Intervention.None);
        using var baseline = tiny.Session.Record(tiny.Prompt);
        void Check(Edit edit, bool kept)
        {
            var intervention = new Intervention($"{edit.Site} {edit.Positions} {edit.Keys}", edit);
            Assert.Equal(kept ? 1 : 0, Corner.Reaching(intervention, tiny.Decoder.Shape, tiny.Prompt, [Readout.Output]).Edits.Count);
            var alone = tiny.LastAlone(intervention);
            if (kept) Assert.NotEqual(plain, alone);
            else Assert.Equal(plain, alone);
            Sweep.LastLogits(tiny.Session, [new SweepItem(baseline, intervention)], (_, logits) => Assert.Equal(alone, logits.ToArray()));
        }
        foreach (var site in new[] { Site.ResidPre, Site.KeyProj, Site.Key, Site.Value }) Check(donor.At(site, top, late), true);
        foreach (var site in Exchange.Sites.Except([Site.ResidPre, Site.KeyProj, Site.Key, Site.Value]))
            Check(donor.At(site, top, late), false);
        foreach (var site in Exchange.Sites) Check(donor.At(site, top, end), true);
        foreach (var site in Exchange.Sites) Check(donor.At(site, top - 1, late), true);
        foreach (var site in new[] { Site.Key, Site.Value })
        {
            Check(donor.Along(site, top, late, late), false);
            Check(donor.Along(site, top, Positions.Of(last - 6, last), late), true);
            Check(donor.Along(site, top, Positions.All, late, [1]), true);
            Check(donor.Along(site, top - 1, late, Positions.Of(0, last - 7)), true);
        }
    }

    [Fact]
    public void StoppedSweep_GoesOn_WithTheSameRowsOnly()
    {
        using var tiny = Tiny.Open("llava15-gqa-f16-sharded");
        var donor = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        var interventions = Variants(tiny, donor, donor).FindAll(v => v.Name != "added");
        SweepFile Open(string name, IReadOnlyList<Intervention> list) =>
            SweepFile.Open(_temp.File(name), tiny.Model, tiny.Prompt, list, [4], heads: false);
        byte[] Whole(string name, bool naive)
        {
            using var rows = Open(name, interventions);
            new SweepStudy(tiny.Model, tiny.Prompt, interventions, new SweepOptions(null, 2, naive)).Run(rows);
            rows.Finish();
            return File.ReadAllBytes(_temp.File(name));
        }
        var naive = Whole("naive", true);
        Assert.Equal(naive, Whole("whole", false));
        using (var stop = new CancellationTokenSource())
        using (var rows = Open("rows", interventions))
            Assert.Throws<OperationCanceledException>(
                () => new SweepStudy(tiny.Model, tiny.Prompt, interventions, new SweepOptions(null, 1, Naive: true)).Run(rows,
                    _ => stop.Cancel(), cancel: stop.Token));
        // One bit of one value of one donor makes it another sweep.
        var edit = interventions[^3].Edits[0];
        float[] values = [.. Enumerable.Range(0, edit.Rows!.Count).SelectMany(i => edit.Rows[i].ToArray())];
        values[^1] = MathF.BitIncrement(values[^1]);
        List<Intervention> changed = [.. interventions];
        changed[^3] = interventions[^3] with { Edits = [edit with { Rows = new DonorRows(values, edit.Rows.Count) }] };
        Assert.Contains("belongs to another run: plan has changed; remove it or choose another --out",
            Assert.Throws<InputException>(() => Open("rows", changed)).Message, StringComparison.Ordinal);
        Assert.Equal(naive, Whole("rows", false));
    }
}
