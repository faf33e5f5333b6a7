using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>
/// A prompt and the text generated after it, under one intervention: its keys and values, the state of its sampler, and why it ended.
/// <see cref="Next"/> returns the rows it needs next and <see cref="Take"/> receives their logits, so that any number of sequences can
/// share a pass (<see cref="SequenceBatch"/>). A sequence has the same bits in every batch and in pieces of any size.
/// </summary>
public sealed class Sequence : IDisposable
{
    private const int MostTokens = 1 << 24;

    private readonly Prompt _prompt;
    private readonly SequenceOptions _options;
    private readonly Sampler _sampler;
    private readonly ISequenceState _state;
    private readonly List<int> _tokens = [];
    private readonly List<int> _text;
    private readonly List<float[]> _logits = [];
    private readonly List<Trace> _traces = [];
    private readonly int[] _recorded;
    private bool _disposed;

    /// <summary>Validates intervention and sampling. Nothing is computed yet.</summary>
    /// <param name="session">The session that computes it.</param>
    /// <param name="past">A recorded run whose keys and values are shared: of the same prompt, so that the sequence starts where its
    /// intervention can first have an effect, or of a prompt that equals its first positions. The caller keeps ownership. Null: the
    /// sequence starts at the first position.</param>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt, or has no effect.</exception>
    public Sequence(ISession session, Prompt prompt, SequenceOptions options, IRecordedRun? past = null)
        : this(prompt, options, () => session.Begin(prompt, options.Intervention, options.Tokens, past))
    {
    }

    /// <summary>A sequence that shares the keys and values of its first positions.</summary>
    /// <param name="session">The session that computes it.</param>
    /// <param name="prefix">Kept from another sequence.</param>
    /// <param name="count">Number of positions that are shared, at most <see cref="ISequencePrefix.SharedCount"/>.</param>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt, or has no effect.</exception>
    public Sequence(ISession session, Prompt prompt, SequenceOptions options, ISequencePrefix prefix, int count)
        : this(prompt, options, () => session.Begin(prompt, options.Intervention, options.Tokens, prefix, count))
    {
    }

    private Sequence(Prompt prompt, SequenceOptions options, Func<ISequenceState> begin)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Tokens, 1);
        if (options.Tokens > MostTokens) throw new InputException($"tokens: expected at most {MostTokens}, found {options.Tokens}");
        options.Sampling.Validate(name => $"sampling: {name}");
        (_prompt, _options, _text) = (prompt, options, [.. prompt.Tokens]);
        _sampler = new Sampler(options.Sampling);
        _recorded = [.. options.Positions.Distinct().Order()];
        if (_recorded.Length == 0 != (options.Sites.Count == 0))
            throw new ArgumentException("expected sites and positions to record, or neither", nameof(options));
        if (options.Sites.Contains(Site.AttnScores))
            throw new ArgumentException("attention scores are not kept; record AttnPattern", nameof(options));
        _state = begin();
        if (_recorded is not [var first, ..] || (first >= _state.Count && _recorded[^1] < prompt.Length)) return;
        var start = _state.Count;
        _state.Dispose();
        throw new ArgumentException($"positions to record: expected {start} to {prompt.Last}, which the sequence computes, found {first} "
            + $"to {_recorded[^1]}", nameof(options));
    }

    /// <summary>Tokens generated so far.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>The logits that each token was chosen from [token][vocabulary]; empty unless they are kept.</summary>
    public IReadOnlyList<float[]> Logits => _logits;

    /// <summary>Values of a recorded site at a recorded position of the prompt [width].</summary>
    /// <exception cref="ArgumentException">They were not recorded, or are not computed yet.</exception>
    public ReadOnlySpan<float> Row(Site site, int layer, int position)
    {
        foreach (var trace in _traces)
        {
            if (trace.Has(site, layer) && trace.Positions!.Contains(position)) return trace.Row(site, layer, position);
        }
        throw new ArgumentException($"layer {layer}, {SiteNames.Of(site)} at position {position} was not recorded", nameof(position));
    }

    /// <summary>Attention probabilities of one head at a recorded position of the prompt [keys], the keys of shared positions
    /// included.</summary>
    /// <exception cref="ArgumentException">They were not recorded, or are not computed yet.</exception>
    internal ReadOnlySpan<float> Attention(int layer, int head, int position)
    {
        foreach (var trace in _traces)
        {
            if (trace.Has(Site.AttnPattern, layer) && trace.Positions!.Contains(position))
                return trace.PatternRow(layer, head, position);
        }
        throw new ArgumentException($"layer {layer}, attention at position {position} was not recorded", nameof(position));
    }

    /// <summary>Frees what was recorded, once it has been read.</summary>
    internal void Forget() => _traces.Clear();

    /// <summary>Copies the keys and values of the first positions for other sequences.</summary>
    /// <param name="session">A session of the same model.</param>
    /// <param name="count">Number of positions, at most those computed so far: <see cref="Computed"/>.</param>
    public ISequencePrefix Keep(ISession session, int count) => session.Keep(_state, count);

    /// <summary>Number of positions whose keys and values are computed, shared ones included.</summary>
    public int Computed => _state.Count;

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
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        if (Finished is { } reason) throw new InvalidOperationException($"the sequence has ended ({reason}) and has no next step");
        if (IsDecoding) return new SequenceRows(_state, 1, _tokens[^1]);
        return new SequenceRows(_state, Math.Min(rows, Pending)) { Trace = TraceOf(_state.Count, Math.Min(rows, Pending)) };
    }

    private Trace? TraceOf(int start, int count)
    {
        int[] recorded = [.. _recorded.Where(p => p >= start && p < start + count)];
        if (recorded.Length == 0) return null;
        // A piece whose pass was cancelled is computed again.
        _traces.RemoveAll(trace => trace.Positions![0] >= start);
        _traces.Add(new Trace(_options.Sites, recorded));
        return _traces[^1];
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
        catch
        {
            // An error of the caller's own callback: without its token the sequence cannot go on.
            Finished = FinishReason.Failed;
            throw;
        }
    }

    /// <summary>Ends the sequence before its last token, for instance at a text that ends it: <see cref="FinishReason.Stop"/>.</summary>
    public void End() => Finished ??= FinishReason.Stop;

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
        _options.Chosen?.Invoke(token, logits);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        _state.Dispose();
    }
}
