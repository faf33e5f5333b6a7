namespace AnchorScope.Engines;

/// <summary>
/// What computes for one user: a model with memory and threads of its own. It is not thread-safe; open one for each thread. Every call gives
/// the same bits whatever was called before it and however runs are packed into passes.
/// </summary>
public interface ISession : IDisposable
{
    /// <summary>The model and its device.</summary>
    IEngine Engine { get; }

    /// <summary>Image features of pictures [image tokens of all pictures, d_model], row after row.</summary>
    /// <param name="pixels">The pictures, preprocessed.</param>
    /// <param name="trace">Receives the residual stream of the tower's layers; null: nothing is recorded.</param>
    float[] Features(PixelValues pixels, VisionTrace? trace = null);

    /// <summary>Copies the embeddings of <paramref name="tokens"/> into <paramref name="rows"/> [token, d_model].</summary>
    /// <exception cref="InputException">A token is outside the vocabulary.</exception>
    void Embed(ReadOnlySpan<int> tokens, Span<float> rows);

    /// <summary>Runs a prompt once, under its own steering, and keeps what variants of it start from.</summary>
    IRecordedRun Record(Prompt prompt, RecordOptions? options = null);

    /// <summary>Runs a prompt whole, from the embeddings, under an intervention.</summary>
    /// <param name="trace">Receives the sites that it asks for; null: nothing is recorded.</param>
    /// <param name="generated">Positions that may be generated after the prompt: the intervention may name them, too.</param>
    /// <returns>The residual stream that leaves the last layer [pos, d_model].</returns>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt.</exception>
    float[] Forward(Prompt prompt, Interventions.Intervention intervention, Trace? trace = null, int generated = 0);

    /// <summary>One pass of many runs, each from the place where it joins; every readout is read of every run.</summary>
    /// <param name="runs">In any order, but a run comes after its <see cref="RunPlan.Trunk"/>.</param>
    /// <param name="take">Called for each run and readout while the pass's memory lasts.</param>
    /// <exception cref="InputException">An intervention does not fit the model or the prompt.</exception>
    void Run(IReadOnlyList<RunPlan> runs, IReadOnlyList<Readout> readouts, TakeLogits take);

    /// <summary>One forward and one backward pass of runs from the embeddings; fills the traces of the plans.</summary>
    /// <param name="lowestLayer">Layers below it are not gone through backwards.</param>
    void Differentiate(IReadOnlyList<GradientPlan> runs, LossGradient loss, int lowestLayer = 0);

    /// <summary>Opens the keys and values of a sequence that is generated step by step.</summary>
    /// <param name="intervention">What is changed, in the prompt and in every step after it.</param>
    /// <param name="tokens">Tokens that may be generated after the prompt.</param>
    /// <param name="past">
    /// A recorded run whose keys and values are shared: of the same prompt, or of one that is its first positions and carries no edits.
    /// Null: the sequence starts at the first position.
    /// </param>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt, or does nothing.</exception>
    ISequenceState Begin(Prompt prompt, Interventions.Intervention intervention, int tokens, IRecordedRun? past = null);

    /// <summary>One pass of the next rows of many sequences.</summary>
    /// <param name="take">Called for each whose rows end where a token is chosen, with the logits of the last row.</param>
    void Step(IReadOnlyList<SequenceRows> rows, TakeLogits take);

    /// <summary>Logits of rows of the residual stream, through final norm and head.</summary>
    /// <param name="rows">Residual stream [row, d_model].</param>
    /// <param name="finalNorm">Whether the final norm comes first, as in the model.</param>
    /// <param name="tokens">Tokens whose logits are wanted; null: the whole vocabulary.</param>
    /// <returns>Logits [row, tokens].</returns>
    float[] Unembed(ReadOnlySpan<float> rows, bool finalNorm = true, IReadOnlyList<int>? tokens = null);

    /// <summary>The final norm alone [row, d_model].</summary>
    float[] FinalNorm(ReadOnlySpan<float> rows);
}

/// <summary>Receives what was read of one run.</summary>
/// <param name="run">Its index.</param>
/// <param name="readout">Index of the readout.</param>
/// <param name="logits">[tokens of the readout, or vocabulary]; valid during the call.</param>
public delegate void TakeLogits(int run, int readout, ReadOnlySpan<float> logits);
