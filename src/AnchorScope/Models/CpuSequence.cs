using System.Runtime.InteropServices;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>A sequence on the CPU: its keys and values, and its next rows.</summary>
internal sealed class CpuSequence : ISequenceState
{
    private readonly Decoder _decoder;
    private readonly Prompt _prompt;
    private readonly EditIndex _edits;
    private readonly Coordinate[] _after;
    private readonly KeyValues _own;
    // Held, not only its memory: the caller may have no other reference to it.
    private readonly RecordedRun? _recorded;
    private readonly KeptPrefix? _prefix;
    private readonly KeyValues? _shared;
    private readonly RowBlock? _corner;
    private readonly int _start;
    private readonly List<int> _fed = [];
    private readonly SpareArenas _spare;
    private readonly Arena _memory;
    private int _stepping;
    private bool _disposed;

    private CpuSequence(Decoder decoder, Prompt prompt, Intervention intervention, int tokens, Beginning from, SpareArenas spare)
    {
        var (shape, length, (start, recorded, prefix)) = (decoder.Shape, prompt.Length, from);
        // The last generated token is never fed back.
        intervention.Validate(shape, length, tokens - 1);
        _edits = EditIndex.Of(prompt.Steered(intervention), shape, length, tokens - 1);
        (_decoder, _prompt, _recorded, _spare, _start, Count) = (decoder, prompt, recorded, spare, start, start);
        _after = [.. Enumerable.Range(prompt.RotaryLength, tokens).Select(Coordinate.At)];
        _shared = prefix?.Enter(start);
        (_prefix, _memory) = (prefix, spare.Take());
        try
        {
            _own = KeyValues.In(_memory, shape.Layers, shape.KeyHeads, shape.HeadSize, start, length - start + tokens);
            if (ReferenceEquals(recorded?.Prompt, prompt)) _corner = Corner(recorded!, intervention, start);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Where a sequence starts, and what has the positions before.</summary>
    private sealed record Beginning(int Start, RecordedRun? Recorded, KeptPrefix? Prefix);

    /// <summary>A sequence that starts at the first position, or from a recorded run.</summary>
    /// <param name="spare">Provides the memory of keys and values, and receives it back.</param>
    public static CpuSequence Of(
        Decoder decoder, Prompt prompt, Intervention intervention, int tokens, IRecordedRun? past, SpareArenas spare)
    {
        var recorded = past is null ? null : RecordedRun.Of(past, decoder);
        var start = 0;
        if (ReferenceEquals(recorded?.Prompt, prompt)) start = Math.Min(intervention.FirstPosition, prompt.Length - 1);
        else if (recorded is not null)
        {
            CheckPrefix(recorded, prompt, intervention);
            start = recorded.Prompt.Length;
        }
        return new CpuSequence(decoder, prompt, intervention, tokens, new Beginning(start, recorded, null), spare);
    }

    /// <summary>A sequence that starts after the first <paramref name="count"/> positions of a prefix.</summary>
    /// <param name="spare">Provides the memory of keys and values, and receives it back.</param>
    public static CpuSequence Of(
        Decoder decoder, Prompt prompt, Intervention intervention, int tokens, KeptPrefix prefix, int count, SpareArenas spare)
    {
        intervention.Validate(decoder.Shape, prompt.Length, tokens - 1);
        var most = prefix.SharedCount(prompt, intervention);
        if (count < 1 || count > most)
            throw new ArgumentException(most == 0 ? "the prefix shares no position with this prompt under this intervention"
                : $"expected 1 to {most} positions, those that the prefix shares with the prompt, found {count}", nameof(count));
        return new CpuSequence(decoder, prompt, intervention, tokens, new Beginning(count, null, prefix), spare);
    }

    /// <inheritdoc/>
    public int Count { get; private set; }

    /// <summary>The recorded run whose keys and values it shares, or null.</summary>
    public RecordedRun? Recorded => _recorded;

    /// <summary>The sequence behind a handle.</summary>
    /// <exception cref="ArgumentException">The handle is of another engine or another model.</exception>
    public static CpuSequence Of(ISequenceState handle, Decoder decoder) =>
        handle is CpuSequence own && ReferenceEquals(own._decoder, decoder)
            ? own : throw new ArgumentException("this sequence belongs to another model or engine", nameof(handle));

    /// <summary>Marks sequences as being computed, so that no other session computes them at the same time.</summary>
    /// <exception cref="InvalidOperationException">Another thread is computing one.</exception>
    public static Stepping Enter(CpuSequence[] sequences) => new(sequences);

    /// <summary>Sequences that are being computed.</summary>
    public sealed class Stepping : IDisposable
    {
        private readonly List<CpuSequence> _entered = [];

        public Stepping(CpuSequence[] sequences)
        {
            foreach (var sequence in sequences.Distinct())
            {
                if (Interlocked.Exchange(ref sequence._stepping, 1) == 0)
                {
                    _entered.Add(sequence);
                    continue;
                }
                Dispose();
                throw new InvalidOperationException("another thread is computing this sequence: a sequence cannot be shared");
            }
        }

        public void Dispose()
        {
            foreach (var sequence in _entered) Volatile.Write(ref sequence._stepping, 0);
        }
    }

    /// <summary>The next rows as a block of a pass.</summary>
    public RowBlock Next(SequenceRows rows, Arena arena)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(ISequenceState));
        var left = _prompt.Length - Count;
        // A wrong count would read keys and values that no pass has written.
        if (rows.Token is not null ? left > 0 || rows.Count != 1 : rows.Count < 1 || rows.Count > left)
            throw new ArgumentException(left > 0 ? $"expected 1 to {left} further rows of the prompt, found {Found(rows)}"
                : $"expected one generated token, found {Found(rows)}", nameof(rows));
        var (past, traces) = (Past, TracesOf(rows));
        _own.Keep(Count - _start);
        if (rows.Token is { } token)
        {
            var row = arena.Take(1, _decoder.Shape.ModelSize);
            _decoder.Embed([token], row);
            return new RowBlock(row, _after.AsMemory(Count - _prompt.Length, 1), Count,
                _edits) { Past = past, Own = _own, Traces = traces };
        }
        var coordinates = _prompt.Coordinates.AsMemory(Count, rows.Count);
        if (_corner is not null)
        {
            return new RowBlock(_corner.Entry.RowRange(Count - _start, rows.Count), coordinates, Count, _corner.Edits!)
            {
                FirstLayer = _corner.FirstLayer,
                HeadOutputs = _corner.HeadOutputs?.RowRange(Count - _start, rows.Count),
                Past = past,
                Own = _own,
                Traces = traces,
            };
        }
        var width = _decoder.Shape.ModelSize;
        var entry = Tensor.From(arena, _prompt.Embeddings.AsSpan(Count * width, rows.Count * width), rows.Count, width);
        return new RowBlock(entry, coordinates, Count, _edits) { Past = past, Own = _own, Traces = traces };
    }

    private static string Found(SequenceRows rows) => rows.Token is null ? $"{rows.Count} rows of the prompt"
        : rows.Count == 1 ? "a generated token" : $"{rows.Count} generated tokens";

    private Trace[] TracesOf(SequenceRows rows)
    {
        if (rows.Trace is not { } trace) return [];
        if (trace.Positions is [var first, ..] && (first < Count || trace.Positions[^1] >= Count + rows.Count))
            throw new ArgumentException($"trace: expected positions of the rows, {Count} to {Count + rows.Count - 1}, found {first} to "
                + $"{trace.Positions[^1]}", nameof(rows));
        return [trace];
    }

    /// <summary>Whether a token is chosen from the last of the next rows.</summary>
    public bool Chooses(SequenceRows rows) => rows.Token is not null || Count + rows.Count == _prompt.Length;

    /// <summary>Counts rows that the decoder has processed.</summary>
    public void Advance(SequenceRows rows)
    {
        Count += rows.Count;
        if (rows.Token is { } token) _fed.Add(token);
    }

    /// <summary>A copy of the keys and values of the first positions, for other sequences.</summary>
    public KeptPrefix Keep(int count)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(ISequenceState));
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Count);
        var (width, prompt) = (_decoder.Shape.ModelSize, Math.Min(count, _prompt.Length));
        var embeddings = new float[count * width];
        _prompt.Embeddings.AsSpan(0, prompt * width).CopyTo(embeddings);
        int[] fed = [.. _fed.Take(count - prompt)];
        _decoder.Embed(fed, embeddings.AsSpan(prompt * width));
        _own.Keep(Count - _start);
        return new KeptPrefix(_decoder, [.. _prompt.Tokens.Take(prompt), .. fed],
            [.. _prompt.Coordinates.Take(prompt), .. _after.Take(fed.Length)], embeddings, _edits.Intervention, Past, _own);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _spare.Give(_memory);
        _prefix?.Leave();
    }

    /// <summary>Keys and values of the positions before its own ones.</summary>
    /// <exception cref="ObjectDisposedException">The recorded run is disposed of.</exception>
    private KeyValues? Past => _shared ?? _recorded?.KeyValues;

    /// <summary>
    /// All rows of the prompt of a variant that starts at the layer it first changes. For the layers below, it copies the recorded keys and
    /// values.
    /// </summary>
    private RowBlock Corner(RecordedRun recorded, Intervention intervention, int start)
    {
        var layer = Math.Min(intervention.FirstLayer, _decoder.Shape.Layers - 1);
        var after = intervention.StartsAfterAttention;
        for (var below = 0; below < layer + (after ? 1 : 0); below++) _own.CopyFrom(below, recorded.KeyValues);
        var edits = EditIndex.Of(_prompt.Steered(intervention, layer, after), _decoder.Shape, _prompt.Length, _after.Length - 1);
        return new RowBlock(recorded.ResidPre(layer, start), _prompt.Coordinates.AsMemory(start), start, edits)
        {
            FirstLayer = layer,
            HeadOutputs = after ? recorded.HeadOut(layer, start) : null,
            Past = recorded.KeyValues,
            Own = _own,
        };
    }

    private static void CheckPrefix(RecordedRun past, Prompt prompt, Intervention intervention)
    {
        var count = past.Prompt.Length;
        var width = prompt.Embeddings.Length / prompt.Length;
        if (count >= prompt.Length)
            throw new ArgumentException($"expected a recorded run of fewer positions than {prompt.Length}, found {count}", nameof(past));
        // Bits are compared: 0 and -0 are different inputs.
        if (!MemoryMarshal.AsBytes(prompt.Embeddings.AsSpan(0, count * width))
                .SequenceEqual(MemoryMarshal.AsBytes(past.Prompt.Embeddings.AsSpan()))
            || !prompt.Coordinates.AsSpan(0, count).SequenceEqual(past.Prompt.Coordinates))
            throw new ArgumentException("expected a recorded run of the first positions of the prompt, found one whose first "
                + "positions differ",
                nameof(past));
        if (past.Prompt.Steering.Edits.Count > 0)
            throw new ArgumentException("expected a recorded run without steering, found one with it", nameof(past));
        var steering = prompt.Steering.Edits.Count == 0 ? int.MaxValue : prompt.Steering.FirstPosition;
        var first = Math.Min(intervention.FirstPosition, steering);
        if (first < count)
            throw new ArgumentException($"{intervention.Name} changes position {first}, which is recorded: the past has {count} positions",
                nameof(past));
    }
}
