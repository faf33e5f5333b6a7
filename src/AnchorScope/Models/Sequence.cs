using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// A prompt and what is generated behind it, under one intervention: its keys and values, the state of its sampler, and why it ended.
/// It says which rows it needs next and takes the logits that come of them, so that any number of sequences can share a pass
/// (<see cref="SequenceBatch"/>). A sequence has the same bits in every batch and in pieces of any size.
/// </summary>
public sealed class Sequence : IDisposable
{
    private readonly Decoder _decoder;
    private readonly Prompt _prompt;
    private readonly SequenceOptions _options;
    private readonly Intervention _edits;
    private readonly Sampler _sampler;
    private readonly Coordinate[] _after;
    private readonly KeyValues _own;
    private readonly KeyValues? _past;
    private readonly Run? _first;
    private readonly List<int> _tokens = [];
    private readonly List<int> _text;
    private readonly List<float[]> _logits = [];
    private int _done;
    private int _taken;

    /// <summary>Checks that intervention and sampling can be done; nothing is computed yet.</summary>
    /// <param name="past">
    /// Keys and values of the first positions, recorded from a run of the same prompt; kept by the caller, and shared with whom it likes.
    /// Null: there are none.
    /// </param>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt, or does nothing.</exception>
    public Sequence(Decoder decoder, Prompt prompt, SequenceOptions options, KeyValues? past = null)
        : this(decoder, prompt, options, past, null, null)
    {
    }

    /// <param name="memory">Where keys and values lie; null: in memory of their own.</param>
    internal Sequence(Decoder decoder, Prompt prompt, SequenceOptions options, Arena memory)
        : this(decoder, prompt, options, null, null, memory)
    {
    }

    /// <summary>A sequence whose prompt enters the decoder behind a recorded run's layers.</summary>
    /// <param name="first">Its rows; they go through one pass whole. <see cref="Run.Own"/> and <see cref="Run.Past"/> are those of the sequence.</param>
    internal Sequence(Decoder decoder, Prompt prompt, SequenceOptions options, Run first)
        : this(decoder, prompt, options, first.Past, first, null)
    {
    }

    private Sequence(Decoder decoder, Prompt prompt, SequenceOptions options, KeyValues? past, Run? first, Arena? memory)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Tokens, 1);
        (_decoder, _prompt, _options, _past, _first) = (decoder, prompt, options, past, first);
        _edits = prompt.Steered(options.Intervention);
        // The last token that is chosen goes through no pass.
        _edits.Validate(decoder.Shape, prompt.Length, options.Tokens - 1);
        _sampler = new Sampler(options.Sampling);
        _after = [.. Enumerable.Range(prompt.Positions, options.Tokens).Select(Coordinate.At)];
        _text = [.. prompt.Tokens];
        var start = first?.Start ?? (past is null ? 0 : past.Start + past.Count);
        if (first is null && past is not null)
        {
            if (past.Start != 0 || start >= prompt.Length) throw new ArgumentException($"expected the first positions of a prompt of {prompt.Length}, found {past.Start} to {start}", nameof(past));
            if (options.Intervention.FirstPosition < start)
                throw new ArgumentException($"{options.Intervention.Name} changes position {options.Intervention.FirstPosition}, which is recorded: the past has {start} positions", nameof(past));
        }
        var shape = decoder.Shape;
        var capacity = prompt.Length - start + options.Tokens;
        _own = first?.Own ?? (memory is null
            ? new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, start, capacity)
            : KeyValues.In(memory, shape.Layers, shape.KeyHeads, shape.HeadSize, start, capacity));
        _done = start;
    }

    /// <summary>Tokens generated so far.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>The logits that each token was chosen from [token][vocabulary], where they are kept.</summary>
    public IReadOnlyList<float[]> Logits => _logits;

    /// <summary>Why there is no next step; null: there is one.</summary>
    public FinishReason? Finished { get; private set; }

    /// <summary>Rows that have to go through the decoder before the next token can be chosen: those of the prompt, then one for each token.</summary>
    public int Pending => Finished is not null ? 0 : Math.Max(1, _prompt.Length - _done);

    /// <summary>Whether the prompt has been through the decoder.</summary>
    public bool IsDecoding => _tokens.Count > 0;

    /// <summary>The next rows as a run: at most <paramref name="rows"/> of those that are pending. What they are is settled with <see cref="Advance"/>.</summary>
    internal Run Next(int rows, Arena arena)
    {
        if (Finished is { } reason) throw new InvalidOperationException($"the sequence has ended ({reason}) and has no next step");
        if (IsDecoding)
        {
            var row = arena.Take(1, _decoder.Shape.ModelSize);
            _decoder.Embed([_tokens[^1]], row);
            _taken = 1;
            return new Run(row, _after.AsMemory(_tokens.Count - 1, 1), _prompt.Length + _tokens.Count - 1, _edits) { Past = _past, Own = _own, Owner = this };
        }
        if (_first is not null)
        {
            _taken = _first.Count;
            _first.Owner = this;
            return _first;
        }
        _taken = Math.Min(rows, _prompt.Length - _done);
        var width = _decoder.Shape.ModelSize;
        var entry = Tensor.From(arena, _prompt.Embeddings.AsSpan(_done * width, _taken * width), _taken, width);
        return new Run(entry, _prompt.Coordinates.AsMemory(_done, _taken), _done, _edits) { Past = _past, Own = _own, Owner = this };
    }

    /// <summary>Whether the rows of the last <see cref="Next"/> end where a token is chosen.</summary>
    internal bool AwaitsLogits => IsDecoding || _done + _taken == _prompt.Length;

    /// <summary>Settles the rows of the last <see cref="Next"/>, which have been through the decoder.</summary>
    /// <param name="logits">Of the last of them, where they are awaited.</param>
    internal void Advance(ReadOnlySpan<float> logits)
    {
        var chooses = AwaitsLogits;
        if (!IsDecoding) _done += _taken;
        _taken = 0;
        if (!chooses) return;
        LogitRange.Check(logits, _edits.Name);
        if (_options.KeepLogits) _logits.Add(logits.ToArray());
        var token = _sampler.Choose(_options.Rules.Any ? _options.Rules.Apply(logits, _text, _prompt.Length, _prompt.Length + _options.Tokens) : logits);
        _tokens.Add(token);
        _text.Add(token);
        Finished = _options.Stop.Contains(token) ? FinishReason.Stop : _tokens.Count == _options.Tokens ? FinishReason.Length : null;
    }

    /// <inheritdoc/>
    public void Dispose() => _own.Dispose();
}
