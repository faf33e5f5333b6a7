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
    private readonly RowBlock? _corner;
    private readonly int _start;
    private readonly SpareArenas _spare;
    private readonly Arena _memory;
    private bool _disposed;

    /// <param name="spare">Provides the memory of keys and values, and receives it back.</param>
    public CpuSequence(Decoder decoder, Prompt prompt, Intervention intervention, int tokens, IRecordedRun? past, SpareArenas spare)
    {
        var (shape, length) = (decoder.Shape, prompt.Length);
        // The last generated token is never fed back.
        intervention.Validate(shape, length, tokens - 1);
        var edits = prompt.Steered(intervention);
        (_decoder, _prompt, _edits) = (decoder, prompt, EditIndex.Of(edits, shape, length, tokens - 1));
        _after = [.. Enumerable.Range(prompt.RotaryLength, tokens).Select(Coordinate.At)];
        var recorded = past is null ? null : RecordedRun.Of(past, decoder);
        var same = recorded is null || ReferenceEquals(recorded.Prompt, prompt);
        var start = recorded is null ? 0 : same ? Math.Min(intervention.FirstPosition, length - 1) : recorded.Prompt.Length;
        if (!same) CheckPrefix(recorded!, prompt, intervention);
        _recorded = recorded;
        Count = _start = start;
        (_spare, _memory) = (spare, spare.Take());
        try
        {
            _own = KeyValues.In(_memory, shape.Layers, shape.KeyHeads, shape.HeadSize, start, length - start + tokens);
            if (recorded is not null && same) _corner = Corner(recorded, intervention, start);
        }
        catch
        {
            spare.Give(_memory);
            throw;
        }
    }

    /// <inheritdoc/>
    public int Count { get; private set; }

    /// <summary>The sequence behind a handle.</summary>
    /// <exception cref="ArgumentException">The handle is of another engine or another model.</exception>
    public static CpuSequence Of(ISequenceState handle, Decoder decoder) =>
        handle is CpuSequence own && ReferenceEquals(own._decoder, decoder)
            ? own : throw new ArgumentException("expected a sequence of this model on this engine, found one of another", nameof(handle));

    /// <summary>The next rows as a block of a pass.</summary>
    public RowBlock Next(SequenceRows rows, Arena arena)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        // Throws if the recorded run is disposed of.
        var past = _recorded?.KeyValues;
        _own.Keep(Count - _start);
        if (rows.Token is { } token)
        {
            var row = arena.Take(1, _decoder.Shape.ModelSize);
            _decoder.Embed([token], row);
            return new RowBlock(row, _after.AsMemory(Count - _prompt.Length, 1), Count, _edits) { Past = past, Own = _own };
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
            };
        }
        var width = _decoder.Shape.ModelSize;
        var entry = Tensor.From(arena, _prompt.Embeddings.AsSpan(Count * width, rows.Count * width), rows.Count, width);
        return new RowBlock(entry, coordinates, Count, _edits) { Past = past, Own = _own };
    }

    /// <summary>Whether a token is chosen from the last of the next rows.</summary>
    public bool Chooses(SequenceRows rows) => rows.Token is not null || Count + rows.Count == _prompt.Length;

    /// <summary>Counts rows that the decoder has processed.</summary>
    public void Advance(int rows) => Count += rows;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_disposed) _spare.Give(_memory);
        _disposed = true;
    }

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
        if (!prompt.Embeddings.AsSpan(0, count * width).SequenceEqual(past.Prompt.Embeddings)
            || !prompt.Coordinates.AsSpan(0, count).SequenceEqual(past.Prompt.Coordinates))
            throw new ArgumentException("expected a recorded run of the first positions of the prompt, found one that begins otherwise",
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
