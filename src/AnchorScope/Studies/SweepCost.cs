using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>The cost of a sweep over one prompt, computed before it runs.</summary>
public sealed record SweepCost
{
    /// <summary>Number of requested variants.</summary>
    public required int Interventions { get; init; }

    /// <summary>Number of computed variants: those that can change a readout, with equivalent ones counted once.</summary>
    public required int Variants { get; init; }

    /// <summary>Rows times layers with the planner: each variant from its corner on.</summary>
    public required long RowLayers { get; init; }

    /// <summary>Rows times layers with one full pass per variant.</summary>
    public required long NaiveRowLayers { get; init; }

    /// <summary>Floating-point operations of the variants: matrix products and attention of the decoder, and the logits.</summary>
    public required double Operations { get; init; }

    /// <summary>Operations of the recorded run they start from, which are also those of one full pass.</summary>
    public required double BaselineOperations { get; init; }

    /// <summary>Bytes of weights read, once per pass, including the recorded run.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Bytes of weights read with one full pass per variant.</summary>
    public required long NaiveWeightBytes { get; init; }

    /// <summary>Number of rows per pass that memory allows.</summary>
    public required int RowsPerPass { get; init; }

    /// <summary>Number of passes.</summary>
    public required int Passes { get; init; }

    /// <summary>Bytes of activations per row of a pass.</summary>
    public required long BytesPerRow { get; init; }

    /// <summary>Bytes of the recorded run: keys and values of all positions, and the activations that variants start from.</summary>
    public required long RecordedBytes { get; init; }

    /// <summary>Memory limit in bytes if none is given. A sweep that needs more uses what it needs.</summary>
    public const long DefaultMemory = 1L << 30;

    /// <summary>
    /// Rows per pass beyond which more rows do not help: the cost of reading weights is amortised, and activations no longer fit in cache.
    /// </summary>
    public const int MostRows = 1024;

    /// <summary>Operations with one full pass per variant.</summary>
    public double NaiveOperations => Interventions * BaselineOperations;

    /// <summary>Ratio of <see cref="NaiveOperations"/> to the operations of the sweep, including the recorded run.</summary>
    public double Saving => NaiveOperations / (BaselineOperations + Operations);

    /// <summary>Computes the cost of <paramref name="interventions"/> over <paramref name="prompt"/>, read at the last position.</summary>
    /// <param name="memory">Bytes for the recorded run and the activations of all concurrent passes; null: <see cref="DefaultMemory"/>, or
    /// more if needed.</param>
    /// <param name="threads">Number of threads, each of which runs separate passes.</param>
    /// <exception cref="InputException">Even the longest variant does not fit in memory along with the recorded run.</exception>
    public static SweepCost Of(
        IEngine engine, Prompt prompt, IReadOnlyList<Intervention> interventions, long? memory = null, int threads = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        var shape = engine.Shape;
        var changes = Change.Of(shape, interventions, _ => prompt, [Readout.Output]).FindAll(c => c.Corner.Rows > 0);
        var (longest, shortest) = (changes.Select(c => c.Corner.Rows).DefaultIfEmpty(1).Max(),
            changes.Select(c => c.Corner.Rows).DefaultIfEmpty(1).Min());
        // Logits are one row per variant, whatever its number of rows.
        var bytes = engine.RowBytes + sizeof(float) * (shape.ModelSize + (long)engine.VocabularySize) / shortest;
        var length = prompt.Length;
        var recorded = engine.RecordedBytes(length, FirstOf(interventions, prompt));
        // The recorded run is computed as a whole, before any variant.
        var least = Math.Max(recorded + longest * bytes * threads, recorded + prompt.Length * bytes);
        var room = (Math.Max(memory ?? DefaultMemory, memory is null ? least : 0) - recorded) / threads / bytes;
        if (memory < least)
            throw new InputException($"--memory: expected at least {least} bytes ({recorded} of the recorded run; "
                + $"{bytes} bytes a row for its {length} positions or, after it, for the longest variant of "
                + $"{longest} on {threads} threads), found {memory}");
        // Every thread gets a pass, but no pass is smaller than a variant needs.
        var perPass = (int)Math.Max(
            longest, Math.Min(Math.Min(room, MostRows), (changes.Sum(c => (long)c.Corner.Rows) + threads - 1) / threads));
        var groups = Change.GroupByTrunk(changes, shape.Layers - 1, perPass);
        var passes = Sweep.Passes([.. groups.Select(g => g.Sum(c => c.Corner.Rows))], perPass);
        double unembed = 2.0 * shape.ModelSize * engine.VocabularySize, full = Layer(shape, 0, prompt.Length) * shape.Layers + unembed;
        Corner[] corners = [.. changes.Select(c => c.Corner)];
        return new SweepCost
        {
            Interventions = interventions.Count,
            Variants = corners.Length,
            RowLayers = corners.Sum(c => (long)c.Rows * (c.EndLayer - c.Layer)),
            NaiveRowLayers = (long)interventions.Count * prompt.Length * shape.Layers,
            Operations = corners.Sum(c => OperationsOf(shape, c)) + corners.Length * unembed,
            BaselineOperations = full,
            WeightBytes = engine.WeightBytes(0) + passes.Sum(p => engine.WeightBytes(groups[p.First][0].Corner.Layer)),
            NaiveWeightBytes = interventions.Count * engine.WeightBytes(0),
            RowsPerPass = perPass,
            Passes = passes.Count,
            BytesPerRow = bytes,
            RecordedBytes = recorded,
        };
    }

    /// <summary>
    /// First position that any of <paramref name="interventions"/> changes, or the last one. Of earlier positions only keys and values are
    /// kept.
    /// </summary>
    internal static int FirstOf(IEnumerable<Intervention> interventions, Prompt prompt) =>
        Math.Min(prompt.Length - 1, interventions.Select(i => i.FirstPosition).DefaultIfEmpty(int.MaxValue).Min());

    /// <summary>
    /// Operations in the layers of one variant. In the last layer only keys and values are computed for all rows but the last.
    /// </summary>
    private static double OperationsOf(DecoderShape shape, Corner corner)
    {
        var (layers, to) = (corner.EndLayer - corner.Layer, corner.EndPosition);
        var whole = layers - 1 - (corner.AfterAttention ? 1 : 0);
        double first = corner.AfterAttention && layers > 1 ? corner.Rows * AfterAttention(shape) : 0;
        double last = corner.AfterAttention && layers == 1
            ? AfterAttention(shape) : Layer(shape, to - 1, to) + (corner.Rows - 1.0) * 4 * shape.ModelSize * shape.Width(Site.Key);
        return first + Math.Max(0, whole) * Layer(shape, corner.Position, to) + last;
    }

    /// <summary>Operations of positions [from, to) in one layer.</summary>
    private static double Layer(DecoderShape shape, int from, int to)
    {
        double rows = to - from, width = shape.ModelSize, queries = shape.Width(Site.Query), keys = shape.Width(Site.Key);
        // Every position attends to itself and those before it, once for the scores and once for the values.
        var seen = (to * (to + 1.0) - from * (from + 1.0)) / 2;
        return rows * (2 * width * (queries + 2 * keys) + AfterAttention(shape)) + 4 * seen * queries;
    }

    /// <summary>Operations of one row in o_proj and MLP.</summary>
    private static double AfterAttention(DecoderShape shape) => 2.0 * shape.ModelSize * (shape.Width(Site.HeadOut) + 3.0 * shape.MlpSize);
}
