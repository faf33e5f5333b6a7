using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Baking;

/// <summary>The second half of the proof: a baked model computes what the original computes when it is steered.</summary>
/// <param name="exact">Whether nothing was rounded and all factors are 0 or powers of two. Then the bits must be equal.</param>
internal sealed class BakedLogits(VisionLanguageModel original, VisionLanguageModel baked, HeadGains gains, bool exact, ISession session)
{
    private const int Draws = 3;
    private const int RowsAtOnce = 32; // because logits of a long prompt and a large vocabulary do not fit into memory

    private readonly Compute _compute = CpuSession.ComputeOf(session);
    private double _difference, _bound, _largest;
    private long _equal, _all;
    private int _prompts, _positions;

    /// <summary>Number of compared logits: those of every token at every position.</summary>
    public long Count => _all;

    /// <summary>Number of logits with equal bits.</summary>
    public long Equal => _equal;

    /// <summary>Largest difference between two logits.</summary>
    public double Difference => _difference;

    /// <summary>
    /// Largest difference that rounding can cause; 0 if nothing is rounded. Otherwise it is the response of the steered run to errors of
    /// the largest size that rounding allows (<see cref="RoundingBound"/>), added with random signs to the attention output of every
    /// changed layer at every position; the maximum of three draws.
    /// </summary>
    public double Bound => _bound;

    /// <summary>Largest magnitude of a steered logit.</summary>
    public double Largest => _largest;

    /// <summary>
    /// Runs a prompt that each model prepares itself, as in normal use. Different tokens count as an infinite difference.
    /// </summary>
    public void Run(Func<VisionLanguageModel, ISession, Prompt> prompt, CancellationToken cancel)
    {
        var mark = _compute.Arena.Here();
        var trace = new Trace([Site.HeadOut]);
        var (asked, answered, decoder) = (prompt(original, session), prompt(baked, baked.Engine.On(_compute)), original.Decoder);
        (_prompts, _positions) = (_prompts + 1, _positions + asked.Length);
        if (!asked.Tokens.AsSpan().SequenceEqual(answered.Tokens))
        {
            _difference = double.PositiveInfinity;
            return;
        }
        var steered = Forward(decoder, asked, gains.Steering, [trace], cancel);
        var found = Forward(baked.Decoder, answered, Intervention.None, [], cancel);
        Compare(steered, found, (a, b) =>
        {
            _all += a.Length;
            for (var i = 0; i < a.Length; i++)
            {
                if (BitConverter.SingleToUInt32Bits(a[i]) == BitConverter.SingleToUInt32Bits(b[i])) _equal++;
                _difference = Math.Max(_difference, Math.Abs((double)a[i] - b[i]));
                _largest = Math.Max(_largest, Math.Abs(a[i]));
            }
        });
        var bounds = exact ? null : RoundingBound.Of(decoder, gains, trace, _compute);
        for (var draw = 0UL; draw < Draws && bounds is not null; draw++)
        {
            var errors = new Intervention(
                "errors", [.. gains.Steering.Edits, .. RoundingBound.Errors(bounds, decoder.Shape.ModelSize, draw)]);
            var inner = _compute.Arena.Here();
            Compare(steered, Forward(decoder, asked, errors, [], cancel), (a, b) =>
            {
                for (var i = 0; i < a.Length; i++) _bound = Math.Max(_bound, Math.Abs((double)a[i] - b[i]));
            });
            _compute.Arena.Release(inner);
        }
        _compute.Arena.Release(mark);
    }

    /// <summary>The result.</summary>
    public BakedCheck Check
    {
        get
        {
            var (where, relative) = ($"{Plural.Of(_prompts, "prompt")}, {Plural.Of(_positions, "position")}", _largest > 0
                ? _difference / _largest : 0);
            var measured = $"largest difference {_difference:0.###e+0} ({relative:0.###e+0} of the largest logit, {_largest:0.###})";
            return exact
                ? new BakedCheck("baked logits = steered logits, bit for bit", $"{_equal} of {_all} equal; {measured}; {where}",
                    _equal == _all && _difference == 0)
                : new BakedCheck("baked logits = steered logits within the rounding of weights",
                    $"{measured}; bound {_bound:0.###e+0}; {_equal} of {_all} equal bit for bit; {where}", _difference <= _bound);
        }
    }

    /// <summary>The derivation of the bound, for readers.</summary>
    public string Reason
    {
        get
        {
            if (exact)
                return "No product was rounded and every factor is 0 or a power of two, so W (g z) and (W g) z have the same terms: "
                    + "with a power of two the same products, with 0 zeros that may differ in sign, "
                    + "and a sum that starts at +0 is the same after adding either zero. The bits must be equal.";
            var type = string.Join(", ", gains.Heads.Select(h => original.Decoder.Layers[h.Layer].OutputProjection.Weight.Type).Distinct()
                .Select(t => $"{t.Name} rounds by up to {RoundingBound.Roundoff(t):0.##e+0} of a value"));
            return $"Bound: {type}, and float32 sums of n products by up to 6 sqrt(n) x 6e-8 of their magnitudes. Added up over |W||g z| "
                + "this limits the error of every attention output; the steered run was given errors of that size, with random signs, "
                + $"at every position of every changed layer, {Draws} times, and the largest change of a logit is the bound. "
                + "Real errors are smaller, because they cancel.";
        }
    }

    /// <summary>Runs the whole prompt from the embeddings. Returns the residual stream [pos, d_model] in the arena.</summary>
    private Tensor Forward(Decoder decoder, Prompt prompt, Intervention intervention, Trace[] traces, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var entry = Tensor.From(_compute.Arena, prompt.Embeddings, prompt.Length, decoder.Shape.ModelSize);
        return decoder.Forward(
            new Pass(decoder.Shape, [new RowBlock(entry, prompt.Coordinates, 0, intervention) { Traces = traces }], _compute));
    }

    /// <summary>Computes the logits of two runs, the steered original first, for some positions at a time.</summary>
    private void Compare(Tensor steered, Tensor other, Action<ReadOnlySpan<float>, ReadOnlySpan<float>> take)
    {
        for (var from = 0; from < steered.Rows; from += RowsAtOnce)
        {
            var mark = _compute.Arena.Here();
            var rows = Math.Min(RowsAtOnce, steered.Rows - from);
            var (a, b) = (original.Decoder.Unembed(steered.RowRange(from, rows), _compute),
                baked.Decoder.Unembed(other.RowRange(from, rows), _compute));
            for (var row = 0; row < rows; row++) take(a[row], b[row]);
            _compute.Arena.Release(mark);
        }
    }
}
