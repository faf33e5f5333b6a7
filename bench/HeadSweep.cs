using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>Every head blocked once: shared by the sections on sweeps.</summary>
internal static class HeadSweep
{
    /// <summary>Number of instruction positions.</summary>
    public const int Instruction = 25;

    /// <summary>Number of positions after the instruction, as with a chat template.</summary>
    public const int Behind = 10;

    public static (int First, int End) InstructionIn(Prompt prompt) => (prompt.Length - Behind - Instruction, prompt.Length - Behind);

    public static List<Intervention> EachHead(DecoderShape shape, Positions at) =>
        [.. Enumerable.Range(0, shape.Layers).SelectMany(
            l => Enumerable.Range(0, shape.Heads).Select(h => Intervention.HeadGain(l, h, 0, at)))];

    public static List<Intervention> EachHeadAtInstruction(DecoderShape shape, Prompt prompt)
    {
        var (first, end) = InstructionIn(prompt);
        return EachHead(shape, Positions.Range(first, end));
    }

    /// <summary>The planned sweep, including the recorded run.</summary>
    /// <param name="from">First changed position.</param>
    public static void Run(Decoder decoder, Prompt prompt, IReadOnlyList<Intervention> variants, int from, Compute compute)
    {
        using var baseline = new CpuEngine(decoder).On(compute).Record(prompt, new RecordOptions { From = from });
        Sweep.LastLogits(new CpuEngine(decoder).On(compute), [.. variants.Select(v => new SweepItem(baseline, v))],
            (_, _) => { }, SweepCost.MostRows);
    }
}
