using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>What a recorded run keeps.</summary>
public sealed record RecordOptions
{
    /// <summary>First position from which a variant may start. Of earlier positions only keys and values are kept.</summary>
    public int From { get; init; }

    /// <summary>Additional sites to record.</summary>
    public IReadOnlyCollection<Site> Sites { get; init; } = [];

    /// <summary>Positions at which these sites are recorded; null for all.</summary>
    public IReadOnlyCollection<int>? Positions { get; init; }
}

/// <summary>
/// A prompt that was run once: a handle of the activations that an engine keeps of it (keys and values, residual stream and head outputs),
/// and its readable results.
/// </summary>
public interface IRecordedRun : IDisposable
{
    /// <summary>The prompt.</summary>
    Prompt Prompt { get; }

    /// <summary>First position from which a variant may start.</summary>
    int From { get; }

    /// <summary>Logits at the last position [vocabulary].</summary>
    float[] LastLogits { get; }

    /// <summary>The additional sites that were recorded; null if none were requested.</summary>
    Trace? Trace { get; }
}

/// <summary>
/// A run of a pass, as data: positions of a recorded prompt under an intervention, from the first layer at which they can differ.
/// </summary>
/// <param name="Recorded">The recorded run whose prompt, keys, values and activations it starts from.</param>
/// <param name="Intervention">The run's own edits. The engine adds the prompt's steering.</param>
public sealed record RunPlan(IRecordedRun Recorded, Intervention Intervention)
{
    /// <summary>First position that is computed. For earlier positions the recorded keys and values are used.</summary>
    public required int Position { get; init; }

    /// <summary>The position after the last one that is computed.</summary>
    public required int EndPosition { get; init; }

    /// <summary>Layer at which the run joins the pass.</summary>
    public required int Layer { get; init; }

    /// <summary>Whether it joins after that layer's attention, with the recorded head outputs.</summary>
    public bool AfterAttention { get; init; }

    /// <summary>
    /// Index of an earlier run of the same pass whose residual stream is copied at <see cref="Layer"/>; null: the recorded one is used.
    /// </summary>
    public int? Trunk { get; init; }
}

/// <summary>A run for a forward and a backward pass.</summary>
/// <param name="Prompt">The prompt.</param>
/// <param name="Intervention">The run's own edits. The engine adds the prompt's steering.</param>
/// <param name="Gradients">Receives the gradient with respect to the values of its sites.</param>
public sealed record GradientPlan(Prompt Prompt, Intervention Intervention, Trace Gradients)
{
    /// <summary>First position that is computed. Earlier positions are taken from <see cref="Past"/> and held constant.</summary>
    public int Position { get; init; }

    /// <summary>A recorded run of the same prompt for the positions before <see cref="Position"/>; null if that is 0.</summary>
    public IRecordedRun? Past { get; init; }

    /// <summary>Receives values of the forward pass; null to record nothing.</summary>
    public Trace? Values { get; init; }
}

/// <summary>The gradient of a loss with respect to the logits at the last position of each run.</summary>
/// <param name="ReadsLogits">Whether <paramref name="At"/> needs the logits. If not, they are not computed.</param>
/// <param name="At">Receives the index of a run and its logits [vocabulary], all 0 if they were not computed, and overwrites them with the
/// gradient.</param>
public sealed record LossGradient(bool ReadsLogits, LossGradientAt At)
{
    /// <summary>
    /// The gradient of logit(token) - logit(other): 1 at the first token and -1 at the second, or 0 if both are the same.
    /// </summary>
    public static LossGradient Margin(int token, int other) => new(ReadsLogits: false, (_, gradient) =>
    {
        foreach (var named in new[] { token, other })
        {
            if (named < 0 || named >= gradient.Length)
                throw new InputException($"token: expected 0 to {gradient.Length - 1}, found {named}");
        }
        gradient[token] += 1;
        gradient[other] -= 1;
    });
}

/// <summary>Overwrites the logits of a run with the gradient of the loss with respect to them.</summary>
/// <param name="run">Index of the run.</param>
/// <param name="logits">Logits [vocabulary] on entry, gradient on return.</param>
public delegate void LossGradientAt(int run, Span<float> logits);

/// <summary>The keys and values of a sequence on an engine: a handle.</summary>
public interface ISequenceState : IDisposable
{
    /// <summary>Number of positions in its keys and values, including shared ones.</summary>
    int Count { get; }
}

/// <summary>
/// Keys and values of the first positions of a sequence, on an engine: a handle, with the tokens, embeddings and edits they were computed
/// from. They are freed when it is disposed of and no sequence uses them any more.
/// </summary>
public interface ISequencePrefix : IDisposable
{
    /// <summary>Number of positions.</summary>
    int Count { get; }

    /// <summary>Bytes of memory.</summary>
    long Bytes { get; }

    /// <summary>
    /// How many of the first positions of a prompt have exactly these keys and values under an intervention: those with the same inputs and
    /// the same edits, up to the first difference. The last position of the prompt is never counted, because its logits must be computed.
    /// </summary>
    int SharedCount(Prompt prompt, Intervention intervention);
}

/// <summary>The next rows of a sequence.</summary>
/// <param name="State">Its keys and values.</param>
/// <param name="Count">Number of further positions of the prompt; 1 for a generated token.</param>
/// <param name="Token">The generated token; null for rows of the prompt.</param>
public sealed record SequenceRows(ISequenceState State, int Count, int? Token = null)
{
    /// <summary>Records the rows; null to record nothing. If it names positions, all of them must be among the rows.</summary>
    public Trace? Trace { get; init; }
}
