using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tuning;

namespace AnchorScope.Tests.Tuning;

/// <summary>The training loop: its result is determined by data and options alone.</summary>
public sealed class TunerTests : IDisposable
{
    private static readonly (int Layer, int Head)[] Heads = [(2, 0), (3, 0), (3, 2)];

    private readonly TempFolder _temp = new();
    private readonly VisionLanguageModel _model = VisionLanguageModel.Open(Fixtures.Organism);

    private static TuningOptions Options =>
        new() { Kind = TuningKind.LowRank, Steps = 12, Batch = 6, MeasureEvery = 3, Rank = 2, Seed = 3 };

    private (TuningData Train, TuningData Validate) Data =>
        _data ??= (TuningWorld.Load(_model, _temp, "train", 1, 12, 6), TuningWorld.Load(_model, _temp, "validate", 2, 8, 4));

    private (TuningData Train, TuningData Validate)? _data;

    private (TuningRun Run, float[] Learnt) Run(string folder, int threads, TuningOptions? options = null, double rate = 0.003,
        Action<int, TuningPoint>? progress = null, CancellationToken cancel = default)
    {
        var given = options ?? Options;
        using Tunable tunable = given.Kind == TuningKind.Gain
            ? new GainTunable(_model, Heads) : new LowRankTunable(_model, Heads, given.Rank, given.Seed);
        var run = new Tuner(_model, Data.Train, Data.Validate, given, threads).Run(tunable, rate, _temp.File(folder), progress, cancel);
        return (run, [.. tunable.Learnt.Entries.SelectMany(e => tunable.Learnt[e.Name].ToArray())]);
    }

    [Fact]
    public void AnInterruptedRun_OnOtherThreads_EndsWithTheSameBits()
    {
        var (whole, learnt) = Run("whole", 1);
        Assert.Equal(12, whole.Steps);
        Assert.True(whole.Best.Validation.Total < whole.Curve[0].Validation.Total, $"{whole.Curve[0]} {whole.Best}");
        foreach (var at in new[] { 2, 5, 10 })
        {
            using var stop = new CancellationTokenSource();
            Assert.Throws<OperationCanceledException>(() => Run("parts", 3, progress: (step, _) =>
            {
                if (step == at) stop.Cancel();
            }, cancel: stop.Token));
        }
        var (parts, again) = Run("parts", 2);
        Assert.Equal(learnt, again);
        Assert.Equal(whole.Curve, parts.Curve);
        // A run that has ended is not run again.
        Assert.Equal(learnt, Run("parts", 1, progress: (step, _) => Assert.Equal(12, step)).Learnt);
    }

    [Fact]
    public void WhatOnlyGetsWorse_EndsEarly_WithTheOriginal()
    {
        var (run, learnt) = Run("worse", 2, Options with { Kind = TuningKind.Gain, Steps = 100, MeasureEvery = 10, Patience = 2 }, rate: 1);
        Assert.Equal((20, 0), (run.Steps, run.Best.Step));
        Assert.Equal([1, 1, 1], learnt);
    }

    [Fact]
    public void TheObjective_IsItsDefinition()
    {
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        using var gain = new GainTunable(_model, Heads);
        gain.Set(1.5f);
        using var changed = VisionLanguageModel.Of(AnchorScope.Checkpoints.Checkpoint.Over(_model.Checkpoint, gain.Weights));
        var (answer, kept, follows) = (new List<double>(), new List<double>(), 0);
        foreach (var item in Data.Validate.Items)
        {
            var (now, before) = (Probabilities(changed, item), Probabilities(_model, item));
            if (item.Run.Sample.Kind == AnchorScope.Conflicts.SampleKind.Conflict)
            {
                answer.Add(-Math.Log(now[item.Entities.Following]));
                if (item.Entities.FollowingForms.Contains(Array.IndexOf(now, now.Max()))) follows++;
            }
            else
            {
                kept.Add(before.Zip(now).Sum(p => p.First * Math.Log(p.First / p.Second)));
            }
        }
        var found = TuningObjective.Of(Data.Validate.Items, TuningData.Measure(changed, Data.Validate.Items, 2, default), keep: 0.5);
        Assert.Equal(answer.Average(), found.Answer, 1e-6);
        // Divergences are small differences of logarithms of float32 logits.
        Assert.Equal(kept.Average(), found.Kept, 1e-6);
        Assert.Equal(found.Answer + 0.5 * found.Kept, found.Total);
        Assert.Equal((double)follows / answer.Count, found.Follows);
        Assert.True(found.Kept > 1e-4);
        using var none = new Gradients([]);
        TuningObjective.Share[] shares = [
            .. Data.Validate.Items.Select(i => new TuningObjective.Share(i, i.Conflict ? 1.0 / answer.Count : 0.5 / kept.Count))];
        Assert.Equal(found.Total, TuningObjective.Add(changed.Decoder, shares, TapeKind.Store, compute, none), 1e-6);

        double[] Probabilities(VisionLanguageModel model, TuningItem item)
        {
            var logits = TuningObjective.LastLogits(model.Decoder, [item], compute)[0].ToArray();
            var sum = logits.Sum(l => Math.Exp((double)l - logits.Max()));
            return [.. logits.Select(l => Math.Exp((double)l - logits.Max()) / sum)];
        }
    }

    [Fact]
    public void EveryItem_ComesBeforeAnyComesAgain()
    {
        var order = new TuningOrder(Data.Train.Conflicts, 4);
        var (first, second) = (order.From(0, 24).ToList(), order.From(24, 24).ToList());
        Assert.Equal(24, first.Distinct().Count());
        Assert.Equal(first.ToHashSet(), second.ToHashSet());
        Assert.NotEqual(first, second);
        Assert.Equal(first[5..20], order.From(5, 15));
    }

    public void Dispose()
    {
        _model.Dispose();
        _temp.Dispose();
    }
}
