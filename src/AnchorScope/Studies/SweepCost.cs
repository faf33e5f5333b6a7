using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>What a sweep over one prompt computes, counted before it runs.</summary>
/// <param name="Interventions">Variants that were asked for.</param>
/// <param name="Variants">Those of them that are computed: that change what is read, and of several that come to the same one.</param>
/// <param name="RowLayers">Rows times layers with the planner: each variant from its corner on.</param>
/// <param name="NaiveRowLayers">The same with one full pass a variant.</param>
/// <param name="Operations">Floating-point operations of the variants: the decoder's products and attention, and the logits.</param>
/// <param name="BaselineOperations">Those of the recorded run that they start from; a full pass of one variant costs the same.</param>
/// <param name="WeightBytes">Bytes of weights read, each once a pass, the baseline's included.</param>
/// <param name="NaiveWeightBytes">The same with one full pass a variant.</param>
/// <param name="RowsPerPass">Rows that the memory allows in one pass.</param>
/// <param name="Passes">How many passes that makes.</param>
/// <param name="BytesPerRow">Activations of a row in a pass.</param>
/// <param name="RecordedBytes">What the recorded run keeps: keys and values of all positions, and what variants start from.</param>
public sealed record SweepCost(
    int Interventions, int Variants, long RowLayers, long NaiveRowLayers, double Operations, double BaselineOperations, long WeightBytes, long NaiveWeightBytes, int RowsPerPass, int Passes, long BytesPerRow, long RecordedBytes)
{
    /// <summary>Bytes that a sweep may take where nothing else is asked for; one that needs more takes what it needs.</summary>
    public const long DefaultMemory = 1L << 30;

    /// <summary>Rows beyond which weights are shared by enough of them and activations only fill caches.</summary>
    public const int MostRows = 1024;

    /// <summary>Operations of one full pass a variant.</summary>
    public double NaiveOperations => Interventions * BaselineOperations;

    /// <summary>How many times fewer operations than one full pass a variant.</summary>
    public double Saving => NaiveOperations / (BaselineOperations + Operations);

    /// <summary>Counts the sweep of <paramref name="interventions"/> over <paramref name="prompt"/>, read at the last position.</summary>
    /// <param name="memory">Bytes that the recorded run and the activations of all passes together may take; null: <see cref="DefaultMemory"/>, or what is needed.</param>
    /// <param name="threads">Threads that each run passes of their own.</param>
    /// <exception cref="InputException">Not even the longest variant fits beside the recorded run.</exception>
    public static SweepCost Of(IEngine engine, Prompt prompt, IReadOnlyList<Intervention> interventions, long? memory = null, int threads = 1)
    {
        var shape = engine.Shape;
        var changes = Change.Of(shape, interventions, _ => prompt, [Readout.Output]).FindAll(c => c.Corner.Rows > 0);
        var (longest, shortest) = (changes.Select(c => c.Corner.Rows).DefaultIfEmpty(1).Max(), changes.Select(c => c.Corner.Rows).DefaultIfEmpty(1).Min());
        // Logits are one row a variant, however many rows it has.
        var bytes = engine.RowBytes + sizeof(float) * (shape.ModelSize + (long)engine.VocabularySize) / shortest;
        var recorded = engine.RecordedBytes(prompt.Length, FirstOf(interventions, prompt));
        // The recorded run goes through whole, before any variant.
        var least = Math.Max(recorded + longest * bytes * threads, recorded + prompt.Length * bytes);
        var room = (Math.Max(memory ?? DefaultMemory, memory is null ? least : 0) - recorded) / threads / bytes;
        if (memory < least)
            throw new InputException($"--memory: expected at least {least} bytes ({recorded} of the recorded run; {bytes} bytes a row for its {prompt.Length} positions or, after it, for the longest variant of {longest} on {threads} threads), found {memory}");
        // Every thread gets a pass, but no pass is cut below what a variant needs.
        var perPass = (int)Math.Max(longest, Math.Min(Math.Min(room, MostRows), (changes.Sum(c => (long)c.Corner.Rows) + threads - 1) / threads));
        var together = Change.Together(changes, shape.Layers - 1, perPass);
        var passes = Sweep.Passes([.. together.Select(g => g.Sum(c => c.Corner.Rows))], perPass);
        double unembed = 2.0 * shape.ModelSize * engine.VocabularySize, full = Layer(shape, 0, prompt.Length) * shape.Layers + unembed;
        Corner[] corners = [.. changes.Select(c => c.Corner)];
        return new SweepCost(
            interventions.Count, corners.Length, corners.Sum(c => (long)c.Rows * (c.EndLayer - c.Layer)), (long)interventions.Count * prompt.Length * shape.Layers,
            corners.Sum(c => OperationsOf(shape, c)) + corners.Length * unembed, full,
            engine.WeightBytes(0) + passes.Sum(p => engine.WeightBytes(together[p.First][0].Corner.Layer)), interventions.Count * engine.WeightBytes(0), perPass, passes.Count, bytes, recorded);
    }

    /// <summary>First position that any of <paramref name="interventions"/> changes, or the last one: nothing before it is kept but keys and values.</summary>
    internal static int FirstOf(IEnumerable<Intervention> interventions, Prompt prompt) => Math.Min(prompt.Length - 1, interventions.Select(i => i.FirstPosition).DefaultIfEmpty(int.MaxValue).Min());

    /// <summary>Operations of one variant's layers; the last one takes only keys and values of all rows but the last.</summary>
    private static double OperationsOf(DecoderShape shape, Corner corner)
    {
        var (layers, to) = (corner.EndLayer - corner.Layer, corner.EndPosition);
        var whole = layers - 1 - (corner.AfterAttention ? 1 : 0);
        double first = corner.AfterAttention && layers > 1 ? corner.Rows * AfterAttention(shape) : 0;
        double last = corner.AfterAttention && layers == 1 ? AfterAttention(shape) : Layer(shape, to - 1, to) + (corner.Rows - 1.0) * 4 * shape.ModelSize * shape.Width(Site.Key);
        return first + Math.Max(0, whole) * Layer(shape, corner.Position, to) + last;
    }

    /// <summary>Operations of positions [from, to) in one layer.</summary>
    private static double Layer(DecoderShape shape, int from, int to)
    {
        double rows = to - from, width = shape.ModelSize, queries = shape.Width(Site.Query), keys = shape.Width(Site.Key);
        // Every position sees itself and those before it, once for the scores and once for the values.
        var seen = (to * (to + 1.0) - from * (from + 1.0)) / 2;
        return rows * (2 * width * (queries + 2 * keys) + AfterAttention(shape)) + 4 * seen * queries;
    }

    /// <summary>Operations of one row in o_proj and MLP.</summary>
    private static double AfterAttention(DecoderShape shape) => 2.0 * shape.ModelSize * (shape.Width(Site.HeadOut) + 3.0 * shape.MlpSize);
}
