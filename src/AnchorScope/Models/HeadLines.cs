using AnchorScope.Checkpoints;

namespace AnchorScope.Models;

/// <summary>The rows and columns of a decoder's weights that belong to single heads.</summary>
internal static class HeadLines
{
    /// <summary>Columns of o_proj that multiply the outputs of some heads of a layer.</summary>
    public static TensorLines Output(Decoder decoder, int layer, IEnumerable<int> heads)
    {
        var size = decoder.Shape.HeadSize;
        return TensorLines.Of(decoder.Layers[layer].OutputProjection.Weight.Tensor, columns: true,
            heads.Select(h => ((long)h * size, (long)size)));
    }

    /// <summary>
    /// The rows of the query, key and value projections and the columns of o_proj of some heads, tensor by tensor. With grouped-query
    /// attention, a head's key and value rows are those of its group. Biases are not included.
    /// </summary>
    public static IReadOnlyList<TensorLines> All(Decoder decoder, IEnumerable<(int Layer, int Head)> heads)
    {
        var shape = decoder.Shape;
        var group = shape.Heads / shape.KeyHeads;
        var lines = new List<TensorLines>();
        foreach (var layer in heads.GroupBy(h => h.Layer, h => h.Head).OrderBy(g => g.Key))
        {
            var attn = decoder.Layers[layer.Key].AttentionProjections;
            (Weight Weight, IEnumerable<int> Heads)[] parts = [(attn.Query.Weight, layer), (attn.Key.Weight, layer.Select(h => h / group)),
                (attn.Value.Weight, layer.Select(h => h / group))];
            // A fused projection is one tensor.
            foreach (var tensor in parts.GroupBy(p => p.Weight.Name, StringComparer.Ordinal))
                lines.Add(TensorLines.Of(tensor.First().Weight.Tensor, columns: false,
                    tensor.SelectMany(p => p.Heads.Select(h => (p.Weight.TensorRow((long)h * shape.HeadSize), (long)shape.HeadSize)))));
            lines.Add(Output(decoder, layer.Key, layer));
        }
        return lines;
    }
}
