using System.Runtime.InteropServices;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Keys and values of the first positions of a sequence on the CPU, with all they were computed from.</summary>
internal sealed class KeptPrefix : ISequencePrefix
{
    private readonly Decoder _decoder;
    private readonly int[] _tokens;
    private readonly Coordinate[] _coordinates;
    private readonly float[] _embeddings;
    private readonly Intervention _edits;
    private readonly KeyValues _kept;
    private readonly Lifetime _lifetime;

    /// <param name="tokens">Prompt and fed-back tokens [count].</param>
    /// <param name="coordinates">Their rotary coordinates [count].</param>
    /// <param name="embeddings">Inputs of the first layer [count, d_model].</param>
    /// <param name="edits">All edits of the run, those of the prompt's steering included.</param>
    /// <param name="past">Keys and values of the first positions, or null.</param>
    /// <param name="own">Keys and values of the positions after them.</param>
    public KeptPrefix(Decoder decoder, int[] tokens, Coordinate[] coordinates, float[] embeddings, Intervention edits, KeyValues? past,
        KeyValues own)
    {
        (_decoder, _tokens, _coordinates, _embeddings, _edits) = (decoder, tokens, coordinates, embeddings, edits);
        var shape = decoder.Shape;
        _kept = new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, 0, tokens.Length);
        _lifetime = new Lifetime(typeof(ISequencePrefix), _kept.Dispose);
        Append(past, Math.Min(tokens.Length, own.Start));
        Append(own, tokens.Length - own.Start);
    }

    /// <inheritdoc/>
    public int Count => _tokens.Length;

    /// <inheritdoc/>
    public long Bytes => _decoder.Shape.Layers * KeyValues.BytesOf(_kept.Heads, _kept.HeadSize, Count)
        + sizeof(float) * (long)_embeddings.Length;

    /// <summary>The prefix behind a handle.</summary>
    /// <exception cref="ArgumentException">The handle is of another engine or another model.</exception>
    public static KeptPrefix Of(ISequencePrefix handle, Decoder decoder) =>
        handle is KeptPrefix own && ReferenceEquals(own._decoder, decoder)
            ? own : throw new ArgumentException("this prefix belongs to another model or engine", nameof(handle));

    /// <inheritdoc/>
    public int SharedCount(Prompt prompt, Intervention intervention)
    {
        var width = _decoder.Shape.ModelSize;
        var most = Math.Min(Count, prompt.Length - 1);
        var count = 0;
        while (count < most && _tokens[count] == prompt.Tokens[count] && _coordinates[count] == prompt.Coordinates[count]) count++;
        // The tokens of two pictures are the same, their embeddings are not. Bits are compared: 0 and -0 are different inputs.
        var same = MemoryMarshal.AsBytes(_embeddings.AsSpan(0, count * width))
            .CommonPrefixLength(MemoryMarshal.AsBytes(prompt.Embeddings.AsSpan(0, count * width)));
        return SharedEdits.Positions(_edits, prompt.Steered(intervention), same / (width * sizeof(float)));
    }

    /// <summary>The keys and values of the first positions, for one sequence. They stay alive until it calls <see cref="Leave"/>.</summary>
    public KeyValues Enter(int count)
    {
        _lifetime.Enter();
        return _kept.First(count);
    }

    /// <summary>A sequence no longer needs the keys and values.</summary>
    public void Leave() => _lifetime.Leave();

    /// <inheritdoc/>
    public void Dispose() => _lifetime.Close();

    private void Append(KeyValues? source, int count)
    {
        if (source is null || count <= 0) return;
        for (var layer = 0; layer < _decoder.Shape.Layers; layer++) _kept.CopyFrom(layer, source.First(count));
        _kept.Advance(count);
    }
}
