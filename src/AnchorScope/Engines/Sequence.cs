namespace AnchorScope.Engines;

/// <summary>
/// A prompt and the text generated after it, under one intervention: its keys and values, the state of its sampler, and why it ended.
/// <see cref="Next"/> returns the rows it needs next and <see cref="Take"/> receives their logits, so that any number of sequences can
/// share a pass (<see cref="SequenceBatch"/>). A sequence has the same bits in every batch and in pieces of any size.
/// </summary>
public sealed class Sequence : IDisposable
{
    private readonly Prompt _prompt;
    private readonly SequenceOptions _options;
    private readonly Sampler _sampler;
    private readonly ISequenceState _state;
    private readonly List<int> _tokens = [];
    private readonly List<int> _text;
    private readonly List<float[]> _logits = [];
    private bool _disposed;

    /// <summary>Validates intervention and sampling. Nothing is computed yet.</summary>
    /// <param name="session">The session that computes it.</param>
    /// <param name="past">A recorded run whose keys and values are shared: of the same prompt, so that the sequence starts where its
    /// intervention can first have an effect, or of a prompt that equals its first positions. The caller keeps ownership. Null: the
    /// sequence starts at the first position.</param>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt, or has no effect.</exception>
    public Sequence(ISession session, Prompt prompt, SequenceOptions options, IRecordedRun? past = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Tokens, 1);
        options.Sampling.Validate(name => $"sampling: {name}");
        (_prompt, _options, _text) = (prompt, options, [.. prompt.Tokens]);
        _sampler = new Sampler(options.Sampling);
        _state = session.Begin(prompt, options.Intervention, options.Tokens, past);
    }

    /// <summary>Tokens generated so far.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>The logits that each token was chosen from [token][vocabulary]; empty unless they are kept.</summary>
    public IReadOnlyList<float[]> Logits => _logits;

    /// <summary>Why there is no next step; null if there is one.</summary>
    public FinishReason? Finished { get; private set; }

    /// <summary>
    /// Number of rows to compute before the next token can be chosen: the remaining rows of the prompt, or one for the last token; 0 if the
    /// sequence has ended.
    /// </summary>
    public int Pending => Finished is not null ? 0 : Math.Max(1, _prompt.Length - _state.Count);

    /// <summary>Whether the prompt has been processed and the first token chosen.</summary>
    public bool IsDecoding => _tokens.Count > 0;

    /// <summary>The next rows, at most <paramref name="rows"/> of those that are pending.</summary>
    public SequenceRows Next(int rows)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Finished is { } reason) throw new InvalidOperationException($"the sequence has ended ({reason}) and has no next step");
        if (IsDecoding) return new SequenceRows(_state, 1, _tokens[^1]);
        return new SequenceRows(_state, Math.Min(rows, Pending));
    }

    /// <summary>Chooses the next token. If none can be chosen, the sequence ends and <see cref="Error"/> says why.</summary>
    /// <param name="logits">Logits of the last row of the prompt, or of the last token [vocabulary].</param>
    public void Take(ReadOnlySpan<float> logits)
    {
        try
        {
            Choose(logits);
        }
        catch (InputException e)
        {
            // Others share the pass: one that fails must not stop them.
            (Error, Finished) = (e, FinishReason.Failed);
        }
    }

    /// <summary>Why no token could be chosen; null: it did not fail.</summary>
    public InputException? Error { get; private set; }

    private void Choose(ReadOnlySpan<float> logits)
    {
        LogitRange.Check(logits, _options.Intervention.Name);
        if (_options.KeepLogits) _logits.Add(logits.ToArray());
        var token = _sampler.Choose(
            _options.Rules.Any ? _options.Rules.Apply(logits, _text, _prompt.Length, _prompt.Length + _options.Tokens) : logits);
        _tokens.Add(token);
        _text.Add(token);
        Finished = _options.Stop.Contains(token) ? FinishReason.Stop : _tokens.Count == _options.Tokens ? FinishReason.Length : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        _state.Dispose();
    }
}
