using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>What a sweep over one prompt computes, counted before it runs.</summary>
/// <param name="Variants">Interventions that change something.</param>
/// <param name="RowLayers">Rows times layers with the planner: each variant from its corner on.</param>
/// <param name="NaiveRowLayers">The same with one full pass a variant.</param>
/// <param name="Operations">Floating-point operations in the decoder's products and attention, the baseline's pass and the heads' logits included.</param>
/// <param name="NaiveOperations">The same with one full pass a variant.</param>
/// <param name="RowsPerPass">Rows that the memory allows in one pass.</param>
/// <param name="Passes">How many passes that makes.</param>
/// <param name="BytesPerRow">Activations of a row in a pass.</param>
public sealed record SweepCost(int Variants, long RowLayers, long NaiveRowLayers, double Operations, double NaiveOperations, int RowsPerPass, int Passes, long BytesPerRow)
{
    /// <summary>Rows beyond which weights are shared by enough of them and activations only fill caches.</summary>
    public const int MostRows = 1024;

    /// <summary>How many times fewer operations than one full pass a variant.</summary>
    public double Saving => NaiveOperations / Operations;

    /// <summary>Counts the sweep of <paramref name="interventions"/> over a prompt of <paramref name="length"/> positions.</summary>
    /// <param name="memory">Bytes that a pass may take for activations.</param>
    /// <exception cref="InputException">Not even the longest variant fits.</exception>
    public static SweepCost Of(DecoderShape shape, int vocabulary, int length, IReadOnlyList<Intervention> interventions, long memory)
    {
        var changing = interventions.Where(i => i.Edits.Count > 0).OrderBy(i => i.FirstLayer).ToList();
        var bytes = BytesOf(shape, vocabulary);
        var longest = changing.Select(i => RowsOf(i, length)).DefaultIfEmpty(1).Max();
        var rows = (int)Math.Clamp(memory / bytes, 0, MostRows);
        if (memory / bytes < longest) throw new InputException($"--memory: expected at least {longest * bytes} bytes, the activations of the longest variant ({longest} rows of {bytes} bytes), found {memory}");
        rows = Math.Max(rows, longest);
        double head = 2.0 * shape.ModelSize * vocabulary, full = Layer(shape, 0, length) * shape.Layers + head;
        return new SweepCost(
            changing.Count, changing.Sum(i => (long)RowsOf(i, length) * (shape.Layers - i.FirstLayer)), (long)changing.Count * length * shape.Layers,
            full + changing.Sum(i => Layer(shape, length - RowsOf(i, length), length) * (shape.Layers - i.FirstLayer) + head), Math.Max(1, changing.Count) * full,
            rows, Sweep.Passes([.. changing.Select(i => RowsOf(i, length))], rows).Count, bytes);
    }

    /// <summary>Rows of a variant: from the first position that it changes, the last one at least.</summary>
    public static int RowsOf(Intervention intervention, int length) => Math.Max(1, length - Math.Min(intervention.FirstPosition, length));

    /// <summary>Operations of positions [from, to) in one layer.</summary>
    private static double Layer(DecoderShape shape, int from, int to)
    {
        double rows = to - from, width = shape.ModelSize, queries = shape.Width(Site.Query), keys = shape.Width(Site.Key);
        // Every position sees itself and those before it, once for the scores and once for the values.
        var seen = (to * (to + 1.0) - from * (from + 1.0)) / 2;
        return 2 * rows * (width * (2 * queries + 2 * keys) + 3 * width * shape.MlpSize) + 4 * seen * queries;
    }

    // Stream, norm, then either attention or MLP; keys and values of its own; logits of a variant's last row at most.
    private static long BytesOf(DecoderShape shape, int vocabulary)
    {
        long width = shape.ModelSize, queries = shape.Width(Site.Query), keys = shape.Width(Site.Key);
        return sizeof(float) * (2 * width + Math.Max(width + 2 * queries + 4 * keys, width + 2L * shape.MlpSize) + width + vocabulary);
    }
}
