namespace AnchorScope.Engines;

/// <summary>
/// A model with its own memory and threads. Not thread-safe: open one session per thread. Every call gives the same bits, whatever was
/// called before it and however runs are packed into passes.
/// </summary>
public interface ISession : IDisposable
{
    /// <summary>The model and its device.</summary>
    IEngine Engine { get; }

    /// <summary>Image features of pictures [image tokens of all pictures, d_model], row-major.</summary>
    /// <param name="pixels">The preprocessed pictures.</param>
    /// <param name="trace">Receives the residual stream of the tower's layers; null to record nothing.</param>
    float[] Features(PixelValues pixels, VisionTrace? trace = null);

    /// <summary>Copies the embeddings of <paramref name="tokens"/> into <paramref name="rows"/> [token, d_model].</summary>
    /// <exception cref="InputException">A token is outside the vocabulary.</exception>
    void Embed(ReadOnlySpan<int> tokens, Span<float> rows);

    /// <summary>Runs a prompt once, with its own steering, and keeps what its variants start from.</summary>
    /// <param name="options">What to keep; null for the defaults.</param>
    IRecordedRun Record(Prompt prompt, RecordOptions? options = null);

    /// <summary>Throws unless a recorded run can be used by this session.</summary>
    /// <exception cref="ArgumentException">It belongs to another model or engine.</exception>
    /// <exception cref="ObjectDisposedException">It, the session or the model is disposed of.</exception>
    void Check(IRecordedRun recorded);

    /// <summary>Runs a whole prompt, from the embeddings, under an intervention.</summary>
    /// <param name="trace">Receives the sites it requests; null to record nothing.</param>
    /// <param name="generated">Positions that may be generated after the prompt. The intervention may refer to them.</param>
    /// <returns>The residual stream after the last layer [pos, d_model].</returns>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt.</exception>
    float[] Forward(Prompt prompt, Interventions.Intervention intervention, Trace? trace = null, int generated = 0);

    /// <summary>
    /// One batched forward pass of many runs. Each run joins the pass at its first layer. Every readout is taken from every run.
    /// </summary>
    /// <param name="runs">In any order, but a run comes after its <see cref="RunPlan.Trunk"/>.</param>
    /// <param name="readouts">The logits to read.</param>
    /// <param name="take">Called for each run and readout.</param>
    /// <exception cref="InputException">An intervention does not fit the model or the prompt.</exception>
    void Run(IReadOnlyList<RunPlan> runs, IReadOnlyList<Readout> readouts, TakeLogits take);

    /// <summary>One forward and one backward pass of runs from the embeddings. Fills the traces of the plans.</summary>
    /// <param name="loss">The gradient of the loss with respect to the logits.</param>
    /// <param name="lowestLayer">The backward pass stops before this layer's input: layers below it are skipped.</param>
    void Differentiate(IReadOnlyList<GradientPlan> runs, LossGradient loss, int lowestLayer = 0);

    /// <summary>Creates the keys and values of a sequence that is generated step by step.</summary>
    /// <param name="intervention">Applied to the prompt and to every step after it.</param>
    /// <param name="tokens">Maximum number of tokens generated after the prompt.</param>
    /// <param name="past">A recorded run whose keys and values are shared: of the same prompt, or of a prompt without edits that equals its
    /// first positions. Null: the sequence starts at the first position.</param>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt, or has no effect.</exception>
    ISequenceState Begin(Prompt prompt, Interventions.Intervention intervention, int tokens, IRecordedRun? past = null);

    /// <summary>Creates the keys and values of a sequence that shares those of its first positions with other sequences.</summary>
    /// <param name="prefix">Kept from another sequence. The sequence keeps it alive.</param>
    /// <param name="count">Number of positions that are shared: at least 1, at most <see cref="ISequencePrefix.SharedCount"/>.</param>
    /// <inheritdoc cref="Begin(Prompt, Interventions.Intervention, int, IRecordedRun?)"/>
    ISequenceState Begin(Prompt prompt, Interventions.Intervention intervention, int tokens, ISequencePrefix prefix, int count);

    /// <summary>Copies the keys and values of the first positions of a sequence, so that other sequences can start after them.</summary>
    /// <param name="sequence">A sequence that has computed them.</param>
    /// <param name="count">Number of positions, at most <see cref="ISequenceState.Count"/>.</param>
    ISequencePrefix Keep(ISequenceState sequence, int count);

    /// <summary>One pass of the next rows of many sequences.</summary>
    /// <param name="rows">The next rows of each sequence.</param>
    /// <param name="take">Called with the logits of the last row, for each sequence that chooses a token after it.</param>
    void Step(IReadOnlyList<SequenceRows> rows, TakeLogits take);

    /// <summary>Logits of rows of the residual stream, through final norm and head.</summary>
    /// <param name="rows">Residual stream [row, d_model].</param>
    /// <param name="finalNorm">Whether the final norm is applied first, as in the model.</param>
    /// <param name="tokens">Tokens whose logits are computed; null for the whole vocabulary.</param>
    /// <returns>Logits [row, tokens].</returns>
    float[] Unembed(ReadOnlySpan<float> rows, bool finalNorm = true, IReadOnlyList<int>? tokens = null);

    /// <summary>Applies only the final norm [row, d_model].</summary>
    float[] FinalNorm(ReadOnlySpan<float> rows);
}

/// <summary>Receives the logits of one run.</summary>
/// <param name="run">Index of the run.</param>
/// <param name="readout">Index of the readout.</param>
/// <param name="logits">[tokens of the readout, or vocabulary]; valid only during the call.</param>
public delegate void TakeLogits(int run, int readout, ReadOnlySpan<float> logits);
