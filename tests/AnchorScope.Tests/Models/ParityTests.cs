using System.Runtime.InteropServices;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Readouts;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Models;

/// <summary>Every array that the reference library stored for the checkpoints of every family, site by site.</summary>
public sealed class ParityTests
{
    private static IReadOnlyList<(string Model, string Case)> All
    {
        get
        {
            var cases = new List<(string, string)>();
            foreach (var model in Directory.GetDirectories(Fixtures.Path()).Where(m => Directory.Exists(Path.Combine(m, "golden")))
                .Order(StringComparer.Ordinal))
            {
                foreach (var file in Directory.GetFiles(Path.Combine(model, "golden"), "*.json").Order(StringComparer.Ordinal))
                    cases.Add((Path.GetFileName(model), Path.GetFileNameWithoutExtension(file)));
            }
            // The same weights in the layout of the original code.
            cases.Add(("internvl3-remote", "tiled_image"));
            cases.Add(("internvl3-remote", "two_images"));
            return cases;
        }
    }

    public static TheoryData<string, string> Cases => Data(All);

    /// <summary>Cases of checkpoints that have a chat template.</summary>
    internal static TheoryData<string, string> Own => Data(All.Where(c => c.Model != "internvl3-remote"));

    /// <summary>Cases with sweeps and a lens.</summary>
    public static TheoryData<string, string> FullCases => Data(All.Where(c =>
    {
        using var golden = Golden.Open(c.Model, c.Case);
        return golden.Has("sweep.block_each_head_all_pos.last_logits");
    }));

    [Fact]
    public void EveryFamily_HasItsCases()
    {
        Assert.Equal(18, All.Count);
        Assert.Equal(10, FullCases.Count);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void EverySite_IsTheReferences(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var arrays = TraceExport.Run(tiny.Model, tiny.Prompt, tiny.Pixels, Intervention.None,
            TraceExport.Optional.ToHashSet(StringComparer.Ordinal), tiny.Session);
        var written = arrays.ToDictionary(a => a.Name, StringComparer.Ordinal);
        var compared = tiny.Golden.Names.Where(
            n => (n.StartsWith("lm.", StringComparison.Ordinal) || n.StartsWith("vision.", StringComparison.Ordinal)) && n != "lens.logits")
            .ToList();
        Assert.NotEmpty(compared);
        foreach (var array in compared)
        {
            Assert.True(written.ContainsKey(array), $"{array} is not written");
            Assert.Equal(tiny.Golden.Shape(array), written[array].Shape);
            var got = MemoryMarshal.Cast<byte, float>(written[array].Bytes.Span);
            if (array == "lm.attn") Close.AssertAbsolute(array, tiny.Golden.Singles(array), got, Close.Probability);
            else Close.AssertRows(array, tiny.Golden.Singles(array), got, tiny.Golden.Shape(array)[^1]);
        }
        var axes = tiny.Golden.Shape("inputs.position_ids").Length == 3 ? 3 : 1;
        Assert.Equal(tiny.Golden.Ints("inputs.position_ids"),
            Enumerable.Range(0, axes).SelectMany(axis => tiny.Prompt.Coordinates.Select(c => c[axis])));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void EveryIntervention_IsTheReferences(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        foreach (var intervention in tiny.Golden.Interventions())
            Close.AssertRows(intervention.Name, tiny.Golden.Singles($"iv.{intervention.Name}.logits"), tiny.Alone(intervention),
                tiny.Decoder.VocabularySize);
    }

    [Theory]
    [MemberData(nameof(FullCases))]
    public void Sweeps_AreTheReferences(string name, string @case)
    {
        foreach (var family in Enum.GetValues<KernelFamily>()) Sweeps(name, @case, family);
    }

    private static void Sweeps(string name, string @case, KernelFamily family)
    {
        using var tiny = Tiny.Open(name, @case, family);
        var shape = tiny.Decoder.Shape;
        using var baseline = tiny.Session.Record(tiny.Prompt);
        var heads = Enumerable.Range(0, shape.Layers).SelectMany(l => Enumerable.Range(0, shape.Heads).Select(h => (l, h))).ToList();
        var last = Positions.Of(tiny.Prompt.Length - 1);
        var windows = Enumerable.Range(0, shape.Layers).Select(layer => Intervention.Knockout(
            $"window {layer}", Enumerable.Range(layer - 1, 3).Where(l => l >= 0 && l < shape.Layers), last,
            Positions.Of(tiny.Golden.ImagePositions)));
        foreach (var (sweep, variants) in new (string, IEnumerable<Intervention>)[]
        {
            ("sweep.block_each_head_all_pos.last_logits", heads.Select(h => Intervention.HeadGain(h.l, h.h, 0))),
            ("sweep.block_each_head_last_pos.last_logits", heads.Select(h => Intervention.HeadGain(h.l, h.h, 0, last))),
            ("sweep.knock_last_from_image_window3.last_logits", windows),
        })
        {
            var list = variants.Select(v => new SweepItem(baseline, v)).ToList();
            var got = new float[list.Count * tiny.Decoder.VocabularySize];
            Sweep.LastLogits(tiny.Session, list, (i, logits) => logits.CopyTo(got.AsSpan(i * tiny.Decoder.VocabularySize)));
            Close.AssertRows(sweep, tiny.Golden.Singles(sweep), got, tiny.Decoder.VocabularySize);
        }
    }

    [Theory]
    [MemberData(nameof(FullCases))]
    public void Lens_IsTheReferences(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var positions = tiny.Golden.Ints("lens.positions");
        var trace = new Trace([Site.ResidPost], positions);
        tiny.Alone(Intervention.None, trace);
        var width = tiny.Decoder.Shape.ModelSize;
        var rows = positions.SelectMany(p => tiny.Prompt.Embeddings[(p * width)..((p + 1) * width)])
            .Concat(Enumerable.Range(0, tiny.Decoder.Shape.Layers).SelectMany(l => trace[Site.ResidPost, l])).ToArray();
        Close.AssertRows("lens.logits", tiny.Golden.Singles("lens.logits"), LogitLens.Logits(tiny.Session, rows),
            tiny.Decoder.VocabularySize);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void GreedyGeneration_IsTheReferences(string name, string @case)
    {
        foreach (var family in Enum.GetValues<KernelFamily>())
        {
            using var tiny = Tiny.Open(name, @case, family);
            var ids = tiny.Golden.Ints("gen.ids");
            var generated = Generation.Run(tiny.Session, tiny.Prompt, new SequenceOptions(ids.Length) { KeepLogits = true });
            Assert.Equal(ids, generated.Tokens);
            Close.AssertRows("gen.logits", tiny.Golden.Singles("gen.logits"), generated.Logits.SelectMany(l => l).ToArray(),
                tiny.Decoder.VocabularySize);
        }
    }

    private static TheoryData<string, string> Data(IEnumerable<(string Model, string Case)> cases)
    {
        var data = new TheoryData<string, string>();
        foreach (var (model, @case) in cases) data.Add(model, @case);
        return data;
    }
}
