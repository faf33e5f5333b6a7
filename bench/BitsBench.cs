using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Checks that results stay bit-identical where they must, on the model that is timed.</summary>
internal static class BitsBench
{
    public static Results Run()
    {
        using var subject = new Subject();
        using var arena = new Arena();
        using var one = new Team(1);
        using var two = new Team(2);
        var (decoder, prompt, compute) = (subject.Model.Decoder, subject.Prompt, new Compute(arena, one));
        using var baseline = new CpuEngine(decoder).On(compute).Record(prompt);
        var last = prompt.Length - 1;
        float[] Alone(Intervention intervention, Compute on) => Sweep.FullPass(new CpuEngine(decoder).On(on), prompt, intervention);
        float[][] Swept(params Intervention[] interventions)
        {
            var got = new float[interventions.Length][];
            Sweep.LastLogits(new CpuEngine(decoder).On(compute), [.. interventions.Select(i => new SweepItem(baseline, i))],
                (i, logits) => got[i] = logits.ToArray());
            return got;
        }
        var plain = Alone(Intervention.None, compute);
        Intervention[] some = [
            .. Enumerable.Range(0, 24).Select(i => Intervention.HeadGain(i / 2, i % 12, 0, Positions.Range(last - 20, last)))];
        using var unpacked = VisionLanguageModel.Open(subject.Folder);
        var together = Swept(some);
        var lines = new List<Line>
        {
            Line("null intervention: a knockout window without layers, against none", Alone(new Intervention("null"), compute), plain),
            Line("gain 1 at every position, against none", Alone(Intervention.HeadGain(5, 3, 1), compute), plain),
            Line("reuse of the baseline, against a full pass", together[13], Alone(some[13], compute)),
            Line("24 variants packed, against one after the other", [.. together.SelectMany(l => l)],
                [.. some.SelectMany(v => Swept(v)[0])]),
            Line("two threads, against one", Alone(some[7], new Compute(arena, two)), Alone(some[7], compute)),
            Line("weights kept as panels, against weights as stored", plain,
                Sweep.FullPass(unpacked.Engine.On(compute), prompt, Intervention.None)),
        };
        return new Results("bits", "What must not change a bit",
            "Logits of the last position, whole vocabulary, compared bit for bit on the model of `forward`. The same laws are tests on a "
                + "tiny checkpoint of every family.", ["", ""], lines, []);
    }

    private static Line Line(string what, float[] a, float[] b)
    {
        var same = System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(a)
            .SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(b));
        return new Line(what, same ? "identical" : "different", "", same ? 1 : 0, 1);
    }
}
