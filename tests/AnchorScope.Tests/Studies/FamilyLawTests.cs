using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// Laws of a single run on every family that loads, bit for bit. <see cref="SweepTests"/> contains those of many runs at once.
/// </summary>
public sealed class FamilyLawTests
{
    public static TheoryData<string, string> Models => SweepTests.Models;

    [Theory]
    [MemberData(nameof(Models))]
    public void WhatChangesNothing_ChangesNoBit(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var plain = tiny.Alone(Intervention.None);
        Assert.Equal(plain, tiny.Alone(new Intervention("nothing")));
        Assert.Equal(plain,
            tiny.Alone(new Intervention("gain 1 everywhere",
                [.. Enumerable.Range(0, tiny.Decoder.Shape.Layers)
                    .Select(layer => new Edit(Site.HeadOut, layer, Operation.Scale) { Factor = 1 })])));
        using (var team = new Team(3)) Assert.Equal(plain, With(tiny, tiny.Compute with { Team = team }));
        tiny.Decoder.Pack();
        Assert.Equal(plain, tiny.Alone(Intervention.None));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void LensAtTheLastLayer_IsTheOutput(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var trace = new Trace([Site.ResidPost]);
        var logits = tiny.Alone(Intervention.HeadGain(1, 0, 2), trace);
        Assert.Equal(logits, LogitLens.Logits(tiny.Session, trace[Site.ResidPost, tiny.Decoder.Shape.Layers - 1]));
    }

    /// <summary>Includes rotary coordinates of generated tokens: after a picture they continue as the family defines.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void Decoding_IsPrefill(string name, string @case)
    {
        foreach (var family in Enum.GetValues<KernelFamily>())
        {
            using var tiny = Tiny.Open(name, @case, family);
            var block = Intervention.HeadGain(1, 0, 0);
            var generated = Generation.Run(tiny.Session, tiny.Prompt, new SequenceOptions(4) { Intervention = block, KeepLogits = true });
            for (var step = 0; step < generated.Tokens.Count; step++)
            {
                var whole = tiny.Model.Prompt([.. tiny.Prompt.Tokens, .. generated.Tokens.Take(step)], tiny.Pixels,
                    tiny.Pixels is null ? null : tiny.Session.Features(tiny.Pixels));
                var entry = Tensor.From(tiny.Compute.Arena, whole.Embeddings, whole.Length, tiny.Decoder.Shape.ModelSize);
                var resid = tiny.Decoder.Forward(
                    new Pass(tiny.Decoder.Shape, [new RowBlock(entry, whole.Coordinates, 0, block)], tiny.Compute));
                Assert.Equal(tiny.Decoder.Unembed(resid.RowRange(whole.Length - 1, 1), tiny.Compute).ToArray(), generated.Logits[step]);
            }
        }
    }

    /// <summary>Activations are in native memory: a step leaves almost nothing to the garbage collector.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void ADecodingStep_AllocatesLessThanAKilobyte(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (shape, compute) = (tiny.Decoder.Shape, tiny.Compute);
        using var past = new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, 0, 64);
        Coordinate[] coordinates = [.. Enumerable.Range(0, 64).Select(Coordinate.At)];
        void Step()
        {
            var mark = compute.Arena.Here();
            var row = compute.Arena.Take(1, shape.ModelSize);
            tiny.Decoder.Embed([7], row);
            var run = new RowBlock(row, coordinates.AsMemory(past.Count, 1), past.Count, Intervention.None) { Own = past };
            tiny.Decoder.Unembed(tiny.Decoder.ForwardLast(new Pass(shape, [run], compute)), compute);
            compute.Arena.Release(mark);
        }
        for (var i = 0; i < 4; i++) Step();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 40; i++) Step();
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / 40, 0, 1023);
    }

    private static float[] With(Tiny tiny, Compute compute)
    {
        var entry = Tensor.From(compute.Arena, tiny.Prompt.Embeddings, tiny.Prompt.Length, tiny.Decoder.Shape.ModelSize);
        var resid = tiny.Decoder.Forward(
            new Pass(tiny.Decoder.Shape, [new RowBlock(entry, tiny.Prompt.Coordinates, 0, Intervention.None)], compute));
        return tiny.Decoder.Unembed(resid, compute).ToArray();
    }
}
