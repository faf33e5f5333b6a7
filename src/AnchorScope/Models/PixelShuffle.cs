using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Concatenates square blocks of patches into one vector each: fewer and wider image tokens.</summary>
internal static class PixelShuffle
{
    /// <summary>[tile x token, d] to [tile x (side / factor)^2, factor^2 x d]; within a block, row-major.</summary>
    /// <param name="tokens">Tokens per tile; the last <paramref name="side"/>^2 are its patches, row-major.</param>
    public static Tensor Forward(Tensor stream, int tokens, int side, int factor, Arena arena)
    {
        var (tiles, small, first) = (stream.Rows / tokens, side / factor, tokens - side * side);
        var shuffled = arena.Take(tiles * small * small, factor * factor * stream.Columns);
        for (var row = 0; row < shuffled.Rows; row++)
        {
            var (tile, y, x) = (row / (small * small), row / small % small * factor, row % small * factor);
            for (var i = 0; i < factor * factor; i++)
                stream[tile * tokens + first + (y + i / factor) * side + x + i % factor].CopyTo(shuffled[row][(i * stream.Columns)..]);
        }
        return shuffled;
    }

    /// <summary>The inverse; tokens that are not patches get zeros.</summary>
    public static Tensor Backward(Tensor shuffled, int tokens, int side, int factor, Arena arena)
    {
        var (small, first, width) = (side / factor, tokens - side * side, shuffled.Columns / (factor * factor));
        var stream = arena.TakeZeros(shuffled.Rows / (small * small) * tokens, width);
        for (var row = 0; row < shuffled.Rows; row++)
        {
            var (tile, y, x) = (row / (small * small), row / small % small * factor, row % small * factor);
            for (var i = 0; i < factor * factor; i++)
                shuffled[row].Slice(i * width, width).CopyTo(stream[tile * tokens + first + (y + i / factor) * side + x + i % factor]);
        }
        return stream;
    }
}
