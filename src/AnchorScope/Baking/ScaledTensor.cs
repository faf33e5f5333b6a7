using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>A tensor [d_model, head x d_head] in which some columns are multiplied.</summary>
/// <param name="File">Its weight file.</param>
/// <param name="Entry">Its entry in the header of that file.</param>
/// <param name="HeadSize">Number of columns of a head.</param>
/// <param name="Columns">First column and factor of each head, in order.</param>
internal sealed record ScaledTensor(
    SafetensorsFile File, TensorEntry Entry, int HeadSize, IReadOnlyList<(int First, float Factor)> Columns) : ChangedTensor(File, Entry)
{
    /// <inheritdoc/>
    public override long Values => Entry.Shape[0] * Columns.Count * HeadSize;

    /// <inheritdoc/>
    public override long Change(Span<byte> piece, long first)
    {
        var (width, size) = (Entry.Shape[1], Entry.Type.Bytes());
        var end = first + piece.Length / size;
        var rounded = 0L;
        for (var row = first / width; row * width < end; row++)
        {
            foreach (var (column, factor) in Columns)
            {
                var from = Math.Max(first, row * width + column);
                var to = Math.Min(end, row * width + column + HeadSize);
                if (from >= to) continue;
                var values = piece[(int)((from - first) * size)..(int)((to - first) * size)];
                rounded += RoundedProduct.Multiply(values, Entry.Type, factor, out var fault);
                if (fault >= 0) throw NotFinite(row, from + fault - row * width, factor);
            }
        }
        return rounded;
    }

    private InputException NotFinite(long row, long column, float factor) => InputException.At(
        File.Path, $"tensor {Quoted.Of(Entry.Name)}: [{row}, {column}] x {factor}", $"a finite {Entry.Type.Name} value",
        "infinity or no number: the factor is too large for what is stored");
}
