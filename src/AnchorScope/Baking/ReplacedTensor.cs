using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>A tensor in which some rows or columns get other values, each rounded to the nearest value of the stored type.</summary>
/// <param name="From">Contains the tensor's new values under its name.</param>
internal sealed record ReplacedTensor(
    SafetensorsFile File, TensorEntry Entry, TensorLines Lines, Parameters From) : ChangedTensor(File, Entry)
{
    /// <inheritdoc/>
    public override long Values => Lines.Count;

    /// <inheritdoc/>
    public override unsafe long Change(Span<byte> piece, long first)
    {
        var size = Entry.Type.Bytes();
        var (end, rounded, back) = (first + piece.Length / size, 0L, Array.Empty<float>());
        var values = From[Entry.Name];
        foreach (var (start, count) in Lines.Stretches)
        {
            var (from, to) = (Math.Max(first, start), Math.Min(end, start + count));
            if (from >= to) continue;
            var given = values[(int)from..(int)to];
            var stored = piece[(int)((from - first) * size)..(int)((to - first) * size)];
            Narrowing.FromSingles(given, Entry.Type, stored);
            if (back.Length < given.Length) back = new float[given.Length];
            fixed (byte* bytes = stored) Widening.ToSingles(bytes, Entry.Type, back.AsSpan(0, given.Length));
            for (var i = 0; i < given.Length; i++)
            {
                if (!float.IsFinite(back[i])) throw NotFinite(from + i, given[i]);
                if (back[i] != given[i]) rounded++;
            }
        }
        return rounded;
    }

    private InputException NotFinite(long at, float value) =>
        InputException.At(File.Path, $"tensor {Quoted.Of(Entry.Name)}: element {at}", $"a finite {Entry.Type.Name} value",
            $"{value}: too large for the type, or training diverged (a lower --rate may help)");
}

/// <summary>A tensor in which some rows or columns may have any values: those of another file are used.</summary>
/// <param name="Other">A file with the same layout.</param>
internal sealed record FreeTensor(
    SafetensorsFile File, TensorEntry Entry, TensorLines Lines, SafetensorsFile Other) : ChangedTensor(File, Entry)
{
    /// <inheritdoc/>
    public override long Values => Lines.Count;

    /// <inheritdoc/>
    public override long Change(Span<byte> piece, long first)
    {
        var size = Entry.Type.Bytes();
        var end = first + piece.Length / size;
        foreach (var (start, count) in Lines.Stretches)
        {
            var (from, to) = (Math.Max(first, start), Math.Min(end, start + count));
            if (from < to) Other.Slice(Entry.Offset + from * size, (int)((to - from) * size)).CopyTo(piece[(int)((from - first) * size)..]);
        }
        return 0;
    }
}
