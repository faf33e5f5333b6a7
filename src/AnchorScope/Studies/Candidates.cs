using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Position of a neuron's MLP relative to the necessary heads. The MLP of layer l reads what attention of layer l has written.
/// </summary>
internal enum NeuronPlace
{
    /// <summary>Before all necessary heads.</summary>
    Before,

    /// <summary>After some of them.</summary>
    Among,

    /// <summary>After all of them.</summary>
    After,
}

/// <summary>Candidates for exact measurement, selected by gradient-based estimates.</summary>
/// <param name="Heads">Layer and head.</param>
/// <param name="Neurons">Layer and neuron.</param>
/// <param name="Components">Layer, head and component of the output, for the best heads.</param>
/// <param name="Edges">Name of an edge, and the single head in which it is cut.</param>
internal sealed record Candidates(
    IReadOnlyList<(int Layer, int Head)> Heads, IReadOnlyList<(int Layer, int Neuron)> Neurons,
    IReadOnlyList<(int Layer, int Head, int Component)> Components,
    IReadOnlyList<(string Edge, int Layer, int Head)> Edges)
{
    /// <summary>Share of the heads that a screen selects for blocking; more if larger sets are requested.</summary>
    public const double HeadShare = 0.25;

    /// <summary>Number of conflicts of the ranking set, the first ones, on which parts smaller than a head are measured.</summary>
    public const int PartSamples = 100;

    /// <summary>Number of neurons for each <see cref="NeuronPlace"/>.</summary>
    public const int PerPlace = 8;

    /// <summary>Number of necessary heads whose components are measured.</summary>
    public const int HeadsOpened = 3;

    /// <summary>Number of pairs of edge and head.</summary>
    public const int EdgesCut = 16;

    /// <summary>The heads to block: the strongest over all runs or over the runs of one modality.</summary>
    public static Candidates OfHeads(double[] all, double[] vision, double[] text, int headsPerLayer, DiagnosisOptions options)
    {
        var count = HeadRanking.Count(Math.Max(HeadShare, options.Shares.Max()), all.Length, TopRounding.Ceiling);
        return new([.. HeadRanking.Strongest(count, headsPerLayer, all, vision, text)], [], [], []);
    }

    /// <summary>The neurons to silence, for each place the strongest by their mean estimate, and the edges to cut in one head.</summary>
    /// <param name="arbitration">The necessary heads (top 5 %).</param>
    public static Candidates OfParts(IReadOnlyList<RunResult> runs, IEnumerable<Edge> edges, DecoderShape shape,
        IReadOnlyList<(int Layer, int Head)> arbitration)
    {
        var neurons = NeuronMeans(runs, shape);
        var order = HeadRanking.Order([.. neurons.Select(Math.Abs)],
            shape.MlpSize).Where(n => neurons[n.Layer * shape.MlpSize + n.Head] != 0);
        var pairs = edges.SelectMany(
            edge => EdgeMeans(runs, edge.Name).Select(
                (value, i) => (edge.Name, Layer: i / shape.Heads, Head: i % shape.Heads, Value: value)));
        return new(
            [], [.. order.GroupBy(n => PlaceOf(n.Layer, arbitration)).SelectMany(place => place.Take(PerPlace)).Order()],
            [.. arbitration.Take(HeadsOpened).SelectMany(h => Enumerable.Range(0, shape.HeadSize).Select(c => (h.Layer, h.Head, c)))],
            [.. pairs.OrderByDescending(p => Math.Abs(p.Value)).Take(EdgesCut).Select(p => (p.Name, p.Layer, p.Head))]);
    }

    /// <summary>Place of a layer's MLP relative to the necessary heads.</summary>
    public static NeuronPlace PlaceOf(int layer, IReadOnlyList<(int Layer, int Head)> arbitration) =>
        layer < arbitration.Min(h => h.Layer)
            ? NeuronPlace.Before : layer < arbitration.Max(h => h.Layer) ? NeuronPlace.Among : NeuronPlace.After;

    /// <summary>Mean estimate of an edge in every head [layer x head], over the runs that have the edge; empty if none has.</summary>
    public static double[] EdgeMeans(IEnumerable<RunResult> runs, string edge)
    {
        var curves = runs.Select(r => r.Curves.GetValueOrDefault(RankedRuns.EdgeEstimates + edge)).OfType<float[]>().ToList();
        return [.. Enumerable.Range(0, curves.Count == 0 ? 0 : curves[0].Length).Select(i => curves.Average(c => (double)c[i]))];
    }

    /// <summary>
    /// Mean estimate of every neuron [layer x d_mlp]. A neuron that is not among a run's strongest counts as 0 in that run.
    /// </summary>
    public static double[] NeuronMeans(IEnumerable<RunResult> runs, DecoderShape shape)
    {
        var (sums, count) = (new double[shape.Layers * shape.MlpSize], 0);
        foreach (var run in runs.Where(r => r.Curves.ContainsKey(RankedRuns.NeuronIds)))
        {
            var (ids, values) = (run.Curves[RankedRuns.NeuronIds], run.Curves[RankedRuns.NeuronEstimates]);
            for (var i = 0; i < ids.Length; i++) sums[(int)ids[i]] += values[i];
            count++;
        }
        return [.. sums.Select(s => s / Math.Max(1, count))];
    }
}

/// <summary>What is known at the beginning of a phase.</summary>
/// <param name="Parts">In the ranking phase: the samples whose neurons and edges are estimated.</param>
internal sealed record PhasePlan(Candidates? Candidates = null, HeadPlan? Heads = null, ConflictSet? Parts = null);
