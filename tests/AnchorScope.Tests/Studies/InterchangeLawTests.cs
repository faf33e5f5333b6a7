using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// Laws of interchanges, bit for bit, on every family: exchanging a run's own values changes nothing, and a donor with the same values
/// gives the same result.
/// </summary>
public sealed class InterchangeLawTests
{
    public static TheoryData<string, string> Models => SweepTests.Models;

    private static Positions Everywhere(Tiny tiny) => Positions.Range(0, tiny.Prompt.Length);

    private static Positions Some(Tiny tiny) => Positions.Of(2, 3, tiny.Prompt.Length - 4, tiny.Prompt.Length - 1);

    private static IEnumerable<int[]?> HeadChoices(int heads) =>
        new[] { null, [.. Enumerable.Range(0, heads).Reverse()], [heads - 1], Enumerable.Range(0, heads).Where(h => h % 2 == 0).ToArray() };

    private static IEnumerable<int> Layers(Tiny tiny) => Enumerable.Range(0, tiny.Decoder.Shape.Layers);

    [Theory]
    [MemberData(nameof(Models))]
    public void OwnValues_ChangeNoBit(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var vector = Enumerable.Range(0, tiny.Decoder.Shape.ModelSize).Select(i => MathF.Sin(i)).ToArray();
        foreach (var beside in new Intervention[]
        {
            Intervention.None,
            new("cut and steered", [.. Intervention.Knockout("", Layers(tiny), Some(tiny), Positions.Of(1)).Edits,
                new Edit(Site.ResidPost, 0, Operation.Add) { Vector = vector }]),
        })
        {
            var own = new Exchange(tiny, tiny.Prompt, beside);
            foreach (var site in Exchange.Sites)
            {
                foreach (var heads in Exchange.HasHeads(site) ? HeadChoices(own.HeadsAt(site)) : [null])
                {
                    foreach (var positions in new[] { Everywhere(tiny), Some(tiny) })
                        Same(own.Logits,
                            tiny.Alone(
                                new Intervention("own", [.. beside.Edits, .. Layers(tiny).Select(l => own.At(site, l, positions, heads))])),
                            $"{site} of heads {Text(heads)} at {positions}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void OwnValuesAlongEdges_ChangeNoBit(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var late = Positions.Range(tiny.Prompt.Length - 6, tiny.Prompt.Length);
        foreach (var beside in new[] { Intervention.None, Intervention.Knockout("", Layers(tiny), late, Positions.Of(1), [0]) })
        {
            var own = new Exchange(tiny, tiny.Prompt, beside);
            foreach (var sites in new Site[][] { [Site.Key], [Site.Value], [Site.Key, Site.Value] })
            {
                foreach (var heads in HeadChoices(own.Shape.Heads))
                {
                    foreach (var (queries, keys) in new[] { (Positions.All, Everywhere(tiny)), (late, Some(tiny)),
                        (Positions.Of(tiny.Prompt.Length - 1), Positions.Range(0, 5)) })
                    {
                        var edits = Layers(tiny).SelectMany(l => sites.Select(s => own.Along(s, l, queries, keys, heads)));
                        Same(own.Logits, tiny.Alone(new Intervention("own", [.. beside.Edits, .. edits])),
                            $"{string.Join('+', sites)} of heads {Text(heads)} from {queries} to {keys}");
                    }
                }
            }
        }
    }

    /// <summary>Values are replaced, not added: sites that depend on nothing else equal the donor's.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void AllOfADonor_IsTheDonor(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var prompt = Exchange.Other(tiny);
        Assert.Equal(tiny.Prompt.Length, prompt.Length);
        var donor = new Exchange(tiny, prompt, Intervention.None);
        var (last, all, width) = (donor.Shape.Layers - 1, Everywhere(tiny), tiny.Decoder.VocabularySize);
        Assert.NotEqual(donor.Logits[^width..], tiny.LastAlone(Intervention.None));
        foreach (var edits in new Edit[][]
        {
            [donor.At(Site.ResidPost, last, all)],
            [donor.At(Site.ResidPre, 0, all)],
            [donor.At(Site.ResidPre, last, all)],
            [donor.At(Site.ResidMid, 0, all)],
            [donor.At(Site.ResidMid, last, all), donor.At(Site.MlpOut, last, all)],
            [donor.At(Site.ResidMid, last, all), donor.At(Site.NeuronOut, last, all)],
            [.. Layers(tiny).SelectMany(l => new[] { donor.At(Site.AttnOut, l, all), donor.At(Site.MlpOut, l, all) }),
                donor.At(Site.ResidPre, 0, all)],
        }) Same(donor.Logits, tiny.Alone(new Intervention("donor", edits)), string.Join(", ", edits.Select(e => $"{e.Site} {e.Layer}")));
        // Exchanged at the last position only, no other position has the donor's values.
        var only = tiny.Alone(new Intervention("last", donor.At(Site.ResidPost, last, Positions.Of(prompt.Length - 1))));
        Same(donor.Logits[^width..], only[^width..], "last position");
        Same(tiny.Alone(Intervention.None)[..^width], only[..^width], "the others");
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void WhatMakesHeadOutputs_MakesTheDonors(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var donor = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        var all = Everywhere(tiny);
        int[] heads = [.. Enumerable.Range(0, donor.Shape.Heads)], keyHeads = [.. Enumerable.Range(0, donor.Shape.KeyHeads)];
        foreach (var layer in Layers(tiny))
        {
            var z = tiny.Alone(new Intervention("z", donor.At(Site.HeadOut, layer, all, heads)));
            Same(z, tiny.Alone(new Intervention("z whole", donor.At(Site.HeadOut, layer, all))), "z");
            Same(z, tiny.Alone(new Intervention("attn_out", donor.At(Site.AttnOut, layer, all))), "attn_out");
            Same(z,
                tiny.Alone(new Intervention("projected", donor.At(Site.QueryProj, layer, all, heads),
                    donor.At(Site.KeyProj, layer, all, keyHeads), donor.At(Site.Value, layer, all, keyHeads))), "q, k and v as projected");
            Same(z,
                tiny.Alone(new Intervention("rotated", donor.At(Site.Query, layer, all), donor.At(Site.Key, layer, all),
                    donor.At(Site.Value, layer, all))), "q, k and v");
            Same(z, tiny.Alone(new Intervention("read", donor.At(Site.AttnPattern, layer, all, heads), donor.At(Site.Value, layer, all))),
                "pattern and v");
            Same(z,
                tiny.Alone(new Intervention("edges", donor.At(Site.QueryProj, layer, all), donor.Along(Site.Key, layer, all, all),
                    donor.Along(Site.Value, layer, all, all, heads))), "q and edges");
        }
    }

    /// <summary>If every query that can see the keys belongs to the edge, no query sees the run's own keys.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void EdgesFromEveryQuery_AreAnInterchangeOfKeysAndValues(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var donor = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        var plain = tiny.Alone(Intervention.None);
        foreach (var keys in new[] { Some(tiny), Positions.Range(tiny.Prompt.Length - 5, tiny.Prompt.Length), Positions.Of(0) })
        {
            var seeing = Positions.Range(keys.First, tiny.Prompt.Length);
            foreach (var sites in new Site[][] { [Site.Key], [Site.Value], [Site.Key, Site.Value] })
            {
                var whole = tiny.Alone(
                    new Intervention("whole", [.. Layers(tiny).SelectMany(l => sites.Select(s => donor.At(s, l, keys)))]));
                Assert.NotEqual(plain, whole);
                Same(whole,
                    tiny.Alone(
                        new Intervention("edges", [.. Layers(tiny).SelectMany(l => sites.Select(s => donor.Along(s, l, seeing, keys)))])),
                    $"{string.Join('+', sites)} at {keys}");
                Same(whole,
                    tiny.Alone(
                        new Intervention("edges",
                            [.. Layers(tiny).SelectMany(
                                l =>
                                    sites.Select(
                                        s => donor.Along(s, l, Positions.All, keys, [.. Enumerable.Range(0, donor.Shape.Heads)])))])),
                    $"{string.Join('+', sites)} at {keys}, from all");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void PatternOfADonorWithTheSameKeys_IsItsQueries(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var other = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        int[] heads = [.. Enumerable.Range(0, other.Shape.Heads)];
        foreach (var layer in Layers(tiny))
        {
            // A donor with the run's own keys: the run itself with other queries.
            foreach (var edit in new[] { other.At(Site.Query, layer, Some(tiny), [heads[^1]]),
                other.At(Site.QueryProj, layer, Some(tiny), heads) })
            {
                var asked = new Exchange(tiny, tiny.Prompt, new Intervention("queries", edit));
                Same(asked.Logits, tiny.Alone(new Intervention("pattern", asked.At(Site.AttnPattern, layer, Some(tiny), edit.Heads))),
                    $"{edit.Site} in layer {layer}");
            }
        }
    }

    [Fact]
    public void AddedRows_AreAddedEachAtItsPosition()
    {
        using var tiny = Tiny.Open("llava15-gqa-f16-sharded");
        var (shape, width) = (tiny.Decoder.Shape, tiny.Decoder.Shape.HeadSize);
        float[] a = [.. Enumerable.Range(0, 2 * width).Select(i => MathF.Sin(i))],
            b = [.. Enumerable.Range(0, 2 * width).Select(i => MathF.Cos(i))];
        var together = new Edit(Site.HeadOut, 1, Operation.Add)
            { Heads = [2, 0], Positions = Positions.Of(9, 20), Factor = 0.5f, Rows = new DonorRows([.. a, .. b], 2) };
        Edit One(int position, int head, float[] vector) =>
            new(Site.HeadOut, 1, Operation.Add) { Heads = [head], Positions = Positions.Of(position), Factor = 0.5f, Vector = vector };
        var apart = tiny.Alone(
            new Intervention("apart", One(9, 2, a[..width]), One(9, 0, a[width..]), One(20, 2, b[..width]), One(20, 0, b[width..])));
        Same(apart, tiny.Alone(new Intervention("together", together)), "heads");
        var neurons = new Edit(Site.NeuronOut, 2, Operation.Add)
            { Components = [5, 1], Positions = Positions.Of(3, 30), Rows = new DonorRows([1, 2, 3, 4], 2) };
        Edit Neuron(int position, params float[] vector) =>
            new(Site.NeuronOut, 2, Operation.Add) { Components = [5, 1], Positions = Positions.Of(position), Vector = vector };
        Same(tiny.Alone(new Intervention("apart", Neuron(3, 1, 2), Neuron(30, 3, 4))),
            tiny.Alone(new Intervention("together", neurons)), "neurons");
        var steer = Enumerable.Range(0, shape.ModelSize).Select(i => MathF.Sin(i)).ToArray();
        var rows = new Edit(Site.ResidPost, 0, Operation.Add)
            { Positions = Positions.Of(4, 5), Factor = 2, Rows = new DonorRows([.. steer, .. steer], 2) };
        Same(tiny.Alone(Intervention.Steer(0, steer, 2, Positions.Of(4, 5))), tiny.Alone(new Intervention("rows", rows)), "steering");
    }

    [Theory]
    [InlineData("llava15-gqa-f16-sharded", "one_image", KernelFamily.Panel)]
    [InlineData("llava15-gqa-f16-sharded", "one_image", KernelFamily.Direct)]
    [InlineData("qwen25vl", "two_images", KernelFamily.Panel)]
    public void Decoding_IsPrefill(string name, string @case, object familyGiven)
    {
        var family = (KernelFamily)familyGiven;
        using var tiny = Tiny.Open(name, @case, family);
        var donor = new Exchange(tiny, Exchange.Other(tiny), Intervention.None);
        var (some, length, layers) = (Some(tiny), tiny.Prompt.Length, donor.Shape.Layers);
        var later = Positions.Range(length - 2, length + 3);
        var plain = Generation.Run(tiny.Session, tiny.Prompt, new SequenceOptions(4) { KeepLogits = true });
        foreach (var intervention in Exchange.Sites.Select(
            site => new Intervention($"{site}", Exchange.HasHeads(site) ? donor.At(site, 1, some, [1]) : donor.At(site, 1, some))).Concat(
        [
            new("edges of generated queries", donor.Along(Site.Key, 0, later, some),
                donor.Along(Site.Value, layers - 1, later, some, [0, 2])),
            new("edges of all", donor.Along(Site.Key, layers - 1, Positions.All, some),
                donor.Along(Site.Value, layers - 1, Positions.All, Positions.Range(0, 4))),
            new("values of generated positions",
                new Edit(Site.Value, 1, Operation.Set) { Positions = later, Rows = donor.Rows(Site.Value, 1, [0, 1, 2, 3, 4], null) }),
        ]))
        {
            var generated = Generation.Run(tiny.Session, tiny.Prompt,
                new SequenceOptions(4) { Intervention = intervention, KeepLogits = true });
            Assert.NotEqual(plain.Logits[1], generated.Logits[1]);
            // A model of random weights may generate the image placeholder token, from which no prompt can be made.
            var steps = generated.Tokens.TakeWhile(t => t != tiny.Prompt.Tokens[tiny.Golden.ImagePositions[0]]).Count() + 1;
            Assert.InRange(steps, 2, 5);
            for (var step = 0; step < Math.Min(4, steps); step++)
            {
                var whole = tiny.Model.Prompt([.. tiny.Prompt.Tokens, .. generated.Tokens.Take(step)], tiny.Pixels,
                    tiny.Session.Features(tiny.Pixels!));
                var entry = Tensor.From(tiny.Compute.Arena, whole.Embeddings, whole.Length, donor.Shape.ModelSize);
                var resid = tiny.Decoder.Forward(new Pass(donor.Shape,
                    [new RowBlock(entry, whole.Coordinates, 0, EditIndex.Of(intervention, donor.Shape, length, 4))], tiny.Compute));
                Same(tiny.Decoder.Unembed(resid.RowRange(whole.Length - 1, 1), tiny.Compute).ToArray(), generated.Logits[step],
                    $"{intervention.Name}, step {step}");
            }
        }
    }

    private static string Text(int[]? heads) => heads is null ? "all" : string.Join(',', heads);

    private static void Same(float[] expected, float[] found, string what) => Assert.True(expected.AsSpan().SequenceEqual(found), what);
}
