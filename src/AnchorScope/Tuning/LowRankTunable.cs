using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Tensors;
using System.Security.Cryptography;
using System.Text;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace AnchorScope.Tuning;

/// <summary>
/// Some lines of a tensor with two low-rank factors: B A is added to the packed lines [rows, width], with B [rows, rank] and A [rank,
/// width].
/// </summary>
internal sealed record LowRankPair(TensorLines Lines, string A, string B);

/// <summary>
/// Trains a low-rank addition to the heads' rows of the query, key and value projections and to their columns of o_proj. There is one pair
/// of factors per tensor, shared by the heads of a layer. As an addition to the whole tensor, B has zeros in other rows, or A in other
/// columns (Hu et al. 2021, restricted to heads).
/// </summary>
internal sealed class LowRankTunable : Tunable
{
    private readonly IReadOnlyList<LowRankPair> _pairs;
    private readonly List<float[]> _start;
    private readonly Gradients _gradients;

    /// <summary>Starts with B = 0 and with uniform random values in A, so that the addition is 0.</summary>
    public LowRankTunable(VisionLanguageModel model, IReadOnlyList<(int Layer, int Head)> heads, int rank, ulong seed)
        : this(model.Checkpoint, [.. HeadLines.All(model.Decoder, heads).Select(l => new LowRankPair(l, l.Tensor + ".A", l.Tensor + ".B"))],
            rank, seed)
    {
    }

    private LowRankTunable(Checkpoint original, IReadOnlyList<LowRankPair> pairs, int rank, ulong seed)
        : base(original, pairs.Select(p => p.Lines.Tensor))
    {
        (_pairs, Rank) = (pairs, rank);
        _start = [.. pairs.Select(p => Packed(p.Lines))];
        Learnt = Parameters.Zeros(
            "factors", pairs.SelectMany(p => new[] { (p.A, new long[] { rank, p.Lines.Width }), (p.B, [p.Lines.Rows, rank]) }));
        foreach (var pair in pairs)
        {
            var draws = new SplitMix(BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\n{pair.A}"))));
            foreach (ref var value in Learnt[pair.A]) value = (float)((2 * draws.Uniform() - 1) / Math.Sqrt(pair.Lines.Width));
        }
        _gradients = new Gradients(Learnt.Entries);
    }

    /// <summary>Rank of each addition.</summary>
    public int Rank { get; }

    /// <summary>The factors by tensor.</summary>
    public IReadOnlyList<LowRankPair> Pairs => _pairs;

    /// <inheritdoc/>
    public override Parameters Learnt { get; }

    /// <inheritdoc/>
    public override void Apply()
    {
        for (var i = 0; i < _pairs.Count; i++)
        {
            var (pair, sum) = (_pairs[i], _start[i].ToArray());
            Span<float> a = Learnt[pair.A], b = Learnt[pair.B];
            var width = pair.Lines.Width;
            for (var row = 0; row < pair.Lines.Rows; row++)
            {
                var into = sum.AsSpan(row * width, width);
                for (var k = 0; k < Rank; k++) TensorPrimitives.MultiplyAdd(a.Slice(k * width, width), b[row * Rank + k], into, into);
            }
            pair.Lines.Scatter(sum, Weights[pair.Lines.Tensor]);
        }
    }

    /// <inheritdoc/>
    public override Gradients Backward(Gradients byWeights)
    {
        _gradients.Clear();
        foreach (var pair in _pairs)
        {
            var (width, d) = (pair.Lines.Width, new float[pair.Lines.Count]);
            pair.Lines.Gather(byWeights[pair.Lines.Tensor], d);
            Span<float> a = Learnt[pair.A], b = Learnt[pair.B], da = _gradients[pair.A], db = _gradients[pair.B];
            for (var row = 0; row < pair.Lines.Rows; row++)
            {
                var line = d.AsSpan(row * width, width);
                for (var k = 0; k < Rank; k++)
                {
                    db[row * Rank + k] = TensorPrimitives.Dot(line, a.Slice(k * width, width));
                    TensorPrimitives.MultiplyAdd(line, b[row * Rank + k], da.Slice(k * width, width), da.Slice(k * width, width));
                }
            }
        }
        return _gradients;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ChangedTensor> Changes() => Replaced(_pairs.Select(p => p.Lines));

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _gradients.Dispose();
    }
}
