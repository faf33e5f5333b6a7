using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>What a recorded run keeps.</summary>
public sealed record RecordOptions
{
    /// <summary>First position from which a variant may start; of those before it keys and values are kept and nothing else.</summary>
    public int From { get; init; }

    /// <summary>Further sites to record.</summary>
    public IReadOnlyCollection<Site> Sites { get; init; } = [];

    /// <summary>Where these are recorded; null: at every position.</summary>
    public IReadOnlyCollection<int>? Positions { get; init; }
}

/// <summary>
/// A prompt that was run once: a handle of what an engine keeps of it (keys and values, residual stream and head outputs), and what may be read.
/// </summary>
public interface IRecordedRun : IDisposable
{
    /// <summary>The prompt.</summary>
    Prompt Prompt { get; }

    /// <summary>First position from which a variant may start.</summary>
    int From { get; }

    /// <summary>Logits at the last position [vocabulary].</summary>
    float[] LastLogits { get; }

    /// <summary>What was recorded besides, where it was asked for.</summary>
    Trace? Trace { get; }
}

/// <summary>
/// A block of rows in a pass, as data: positions of a recorded prompt under an intervention, from the layer at which they can first differ.
/// </summary>
/// <param name="Recorded">The run whose prompt, keys, values and activations it starts from.</param>
/// <param name="Intervention">What is changed. The prompt's own steering is added by the engine.</param>
public sealed record RunPlan(IRecordedRun Recorded, Intervention Intervention)
{
    /// <summary>First position that is computed; those before it are as recorded.</summary>
    public required int Position { get; init; }

    /// <summary>The position after the last one that is computed.</summary>
    public required int EndPosition { get; init; }

    /// <summary>Layer at which the run joins the pass.</summary>
    public required int Layer { get; init; }

    /// <summary>Whether it joins after that layer's attention, with the recorded head outputs.</summary>
    public bool AfterAttention { get; init; }

    /// <summary>Index of a run of the same pass whose residual stream it takes over at <see cref="Layer"/>; null: the recorded one.</summary>
    public int? Trunk { get; init; }
}

/// <summary>A run of which a forward and a backward pass are made.</summary>
/// <param name="Prompt">The prompt.</param>
/// <param name="Intervention">What is changed. The prompt's own steering is added by the engine.</param>
/// <param name="Gradients">Receives the gradient with respect to the values of its sites.</param>
public sealed record GradientPlan(Prompt Prompt, Intervention Intervention, Trace Gradients)
{
    /// <summary>First position that is computed; those before it are those of <see cref="Past"/> and held constant.</summary>
    public int Position { get; init; }

    /// <summary>A recorded run of the same prompt, for what lies before <see cref="Position"/>; null where that is 0.</summary>
    public IRecordedRun? Past { get; init; }

    /// <summary>Receives values of the forward pass; null: nothing is recorded.</summary>
    public Trace? Values { get; init; }
}

/// <summary>The gradient of a loss with respect to the logits at the last position of each run.</summary>
/// <param name="ReadsLogits">Whether <paramref name="At"/> needs the logits; where it does not, they are not computed.</param>
/// <param name="At">Is given the index of a run and its logits [vocabulary], which are all 0 where they are not read, and replaces them by the gradient.</param>
public sealed record LossGradient(bool ReadsLogits, LossGradientAt At)
{
    /// <summary>The margin of one token over another: its gradient is 1 at the first and -1 at the second, and 0 where both are the same.</summary>
    public static LossGradient Margin(int token, int other) => new(ReadsLogits: false, (_, gradient) =>
    {
        gradient[token] += 1;
        gradient[other] -= 1;
    });
}

/// <summary>Replaces the logits of a run by the gradient of the loss with respect to them.</summary>
public delegate void LossGradientAt(int run, Span<float> logits);

/// <summary>The keys and values of a sequence on an engine: a handle.</summary>
public interface ISequenceState : IDisposable
{
    /// <summary>Positions that are in its keys and values, shared ones included.</summary>
    int Count { get; }
}

/// <summary>The next rows of a sequence.</summary>
/// <param name="State">Its keys and values.</param>
/// <param name="Count">How many positions of the prompt follow those that are done; 1 for a generated token.</param>
/// <param name="Token">The token that was generated; null: rows of the prompt.</param>
public sealed record SequenceRows(ISequenceState State, int Count, int? Token = null);
