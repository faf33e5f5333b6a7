using System.Numerics.Tensors;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;

namespace AnchorScope.Tensors;

/// <summary>y = x W^T (+ b), weights [outputs, inputs] as stored in the checkpoint.</summary>
internal sealed unsafe class Linear
{
    private const int ShortPanel = 1024;
    private const int MostRowsOfShort = 252;
    private const int MostFloats = 1 << 20;

    /// <summary>
    /// Sizes from which copying tiles of rows into contiguous memory is faster, and the most rows and panels of one tile.
    /// </summary>
    private const int ManyRows = 96, ManyOutputs = 2048, MostTileRows = 516, MostPanels = 128;

    /// <summary>Floats of padding after each row of a tile: one cache line, so that rows are not a power of two apart.</summary>
    private const int Padding = 16;

    private readonly Weight _weight;
    private readonly Lock _packing = new();
    private NativeBlock? _panels;

    /// <summary>A projection with the weight [outputs, inputs] and, where the architecture has one, the bias [outputs].</summary>
    public Linear(Weight weight, Weight? bias = null)
    {
        _weight = weight;
        Outputs = checked((int)weight.Shape[0]);
        Inputs = checked((int)(weight.Shape.Aggregate(1L, (a, b) => a * b) / weight.Shape[0]));
        Bias = bias;
    }

    /// <summary>Width of the input.</summary>
    public int Inputs { get; }

    /// <summary>Width of the output.</summary>
    public int Outputs { get; }

    /// <summary>The weight [outputs, inputs] in the checkpoint's memory.</summary>
    public Weight Weight => _weight;

    /// <summary>The bias [outputs] in the checkpoint's memory; null without one.</summary>
    public Weight? Bias { get; }

    /// <summary>
    /// Keeps the weight packed as float32 panels (4 bytes per parameter) instead of packing it again in every pass. Does not change any
    /// bit.
    /// </summary>
    public void Pack()
    {
        lock (_packing)
        {
            if (_panels is not null) return;
            var panels = PanelMatMul.Panels(Outputs);
            var memory = new NativeBlock((long)panels * PanelMatMul.Width * Inputs);
            for (var panel = 0; panel < panels; panel++)
                PanelPack.Fill(_weight, panel * PanelMatMul.Width, memory.Data + (long)panel * PanelMatMul.Width * Inputs);
            _panels = memory;
        }
    }

    /// <summary>Projects every row of <paramref name="x"/> [rows, inputs] into new memory [rows, outputs].</summary>
    public Tensor Forward(Tensor x, Compute compute)
    {
        if (x.Columns != Inputs) throw new ArgumentException($"{_weight.Name} takes {Inputs} inputs, not {x.Columns}", nameof(x));
        var y = compute.Arena.Take(x.Rows, Outputs);
        if (compute.Family == KernelFamily.Panel && x.Rows >= ManyRows && Outputs >= ManyOutputs && Inputs > ShortPanel)
        {
            MultiplyTiles(x, y, compute);
            return y;
        }
        var mark = compute.Arena.Here();
        // One piece of a panel for each thread that packs weights; none when packed panels are kept.
        var packed = compute.Family == KernelFamily.Panel && _panels is null
            ? compute.Arena.TakeFloats((long)compute.Team.Size * PanelMatMul.Width * PanelMatMul.Depth)
            : null;
        var (panels, stretch) = (PanelMatMul.Panels(Outputs), Stretch(x.Rows, compute.Family));
        compute.Team.For(panels * ((x.Rows + stretch - 1) / stretch), 2L * Math.Min(stretch, x.Rows) * Inputs * PanelMatMul.Width,
            new Product(this, x, y, compute.Family, packed, panels, stretch));
        compute.Arena.Release(mark);
        return y;
    }

    /// <summary>
    /// Number of rows that are multiplied with all panels before the next rows, about equal for each stretch. Short rows stay in the L1 or
    /// L2 cache, long rows in the outer cache; reading a panel again costs less than reading all rows again for every panel. If panels are
    /// not kept, all rows form one stretch, so that a panel is packed only once.
    /// </summary>
    private int Stretch(int rows, KernelFamily family)
    {
        if (family != KernelFamily.Panel || _panels is null) return Math.Max(1, rows);
        var most = Inputs <= ShortPanel ? MostRowsOfShort : Math.Max(PanelMatMul.MostRows, MostFloats / Inputs);
        return Math.Max(1, Even(rows, most, PanelMatMul.MostRows));
    }

    /// <summary>
    /// The length of stretches of about equal length, none longer than <paramref name="most"/>, in multiples of <paramref name="unit"/>,
    /// which divides it.
    /// </summary>
    private static int Even(int total, int most, int unit)
    {
        var stretches = (total + most - 1) / most;
        return stretches == 0 ? 0 : ((total + stretches - 1) / stretches + unit - 1) / unit * unit;
    }

    /// <summary>
    /// Product for long rows, tile by tile along the depth. A tile of many rows is copied into contiguous memory, so that it stays in the
    /// L2 cache while panels are multiplied with it. In place, rows are often a power of two apart and most of them would map to the same
    /// few cache sets. Partial sums stay in the outer cache until the next tile.
    /// </summary>
    private void MultiplyTiles(Tensor x, Tensor y, Compute compute)
    {
        var mark = compute.Arena.Here();
        var (rows, panels) = (Even(x.Rows, MostTileRows, PanelMatMul.MostRows), Even(PanelMatMul.Panels(Outputs), MostPanels, 1));
        var packed = _panels is null ? compute.Arena.TakeFloats((long)compute.Team.Size * PanelMatMul.Width * PanelMatMul.Depth) : null;
        var tile = compute.Arena.Take(Math.Min(rows, x.Rows), PanelMatMul.Depth + Padding);
        for (var row = 0; row < x.Rows; row += rows)
        {
            var count = Math.Min(rows, x.Rows - row);
            var (part, into, piece) = (x.RowRange(row, count), y.RowRange(row, count), tile.RowRange(0, count));
            for (var panel = 0; panel < PanelMatMul.Panels(Outputs); panel += panels)
            {
                for (var from = 0; from < Inputs; from += PanelMatMul.Depth)
                {
                    var length = Math.Min(PanelMatMul.Depth, Inputs - from);
                    for (var i = 0; i < count; i++) part[i].Slice(from, length).CopyTo(piece[i]);
                    compute.Team.For(Math.Min(panels, PanelMatMul.Panels(Outputs) - panel), 2L * count * length * PanelMatMul.Width,
                        new PieceProduct(this, piece, into, panel, from, length, packed));
                }
            }
        }
        compute.Arena.Release(mark);
    }

    /// <summary>One panel of outputs times one tile of the depth.</summary>
    private readonly struct PieceProduct(Linear linear, Tensor piece, Tensor y, int firstPanel, int from, int length,
        float* packed) : ITeamWork
    {
        public void Do(int chunk, int member)
        {
            var first = (firstPanel + chunk) * PanelMatMul.Width;
            var count = Math.Min(PanelMatMul.Width, linear.Outputs - first);
            var panel = linear._panels is { } kept
                ? kept.Data + (long)first * linear.Inputs + (long)from * PanelMatMul.Width
                : linear.PackPiece(first, count, from, length, packed + (long)member * PanelMatMul.Width * PanelMatMul.Depth);
            PanelMatMul.Multiply(piece.Data, piece.Columns, piece.Rows, panel, length, y.Data + first, y.Columns, count, fresh: from == 0);
            if (from + length == linear.Inputs) linear.AddBias(y, first, count);
        }
    }

    /// <summary>Packs a piece of a panel of the stored weight into <paramref name="piece"/>.</summary>
    private float* PackPiece(int first, int count, int from, int length, float* piece)
    {
        var rows = stackalloc byte*[PanelMatMul.Width];
        PanelPack.Rows(_weight, first, rows);
        PanelPack.Fill(rows, count, _weight.Type, from, length, piece);
        return piece;
    }

    /// <summary>Computes only some outputs [rows, outputs], with the same bits as in a full product.</summary>
    public Tensor Forward(Tensor x, Compute compute, IReadOnlyList<int> outputs)
    {
        var y = compute.Arena.Take(x.Rows, outputs.Count);
        var mark = compute.Arena.Here();
        var panel = compute.Arena.TakeFloats((long)PanelMatMul.Width * Inputs);
        var rows = stackalloc byte*[PanelMatMul.Width];
        for (var first = 0; first < outputs.Count; first += PanelMatMul.Width)
        {
            var count = Math.Min(PanelMatMul.Width, outputs.Count - first);
            for (var i = 0; i < count; i++) rows[i] = _weight.RowAddress(outputs[first + i]);
            PanelPack.Fill(rows, count, _weight.Type, 0, Inputs, panel);
            PanelMatMul.Multiply(x.Data, Inputs, x.Rows, panel, Inputs, y.Data + first, outputs.Count, count, fresh: true);
            for (var i = 0; i < count && Bias is not null; i++)
            {
                for (var row = 0; row < y.Rows; row++) y[row][first + i] += Bias.Singles[outputs[first + i]];
            }
        }
        compute.Arena.Release(mark);
        return y;
    }

    /// <summary>One panel of outputs times one stretch of rows.</summary>
    private readonly struct Product(Linear linear, Tensor x, Tensor y, KernelFamily family, float* packed,
        int panels, int stretch) : ITeamWork
    {
        public void Do(int chunk, int member)
        {
            var (panel, from) = (chunk % panels, chunk / panels * stretch);
            var rows = Math.Min(stretch, x.Rows - from);
            var (part, into) = (x.RowRange(from, rows), y.RowRange(from, rows));
            var first = panel * PanelMatMul.Width;
            var count = Math.Min(PanelMatMul.Width, linear.Outputs - first);
            if (family == KernelFamily.Direct) DirectMatMul.Multiply(part, linear._weight, first, count, into);
            else if (linear._panels is { } kept)
                PanelMatMul.Multiply(part.Data, x.Columns, rows, kept.Data + (long)first * x.Columns, x.Columns, into.Data + first,
                    y.Columns, count, fresh: true);
            else linear.MultiplyUnpacked(part, into, first, count, packed + (long)member * PanelMatMul.Width * PanelMatMul.Depth);
            linear.AddBias(into, first, count);
        }
    }

    /// <summary>Packs one panel piece by piece along the depth and multiplies all rows with each piece.</summary>
    private void MultiplyUnpacked(Tensor x, Tensor y, int first, int count, float* piece)
    {
        for (var from = 0; from < Inputs; from += PanelMatMul.Depth)
        {
            var depth = Math.Min(PanelMatMul.Depth, Inputs - from);
            PanelMatMul.Multiply(x.Data + from, Inputs, x.Rows, PackPiece(first, count, from, depth, piece), depth, y.Data + first, Outputs,
                count, fresh: from == 0);
        }
    }

    private void AddBias(Tensor y, int first, int count)
    {
        if (Bias is null) return;
        var bias = Bias.Singles.Slice(first, count);
        for (var row = 0; row < y.Rows; row++)
        {
            var part = new Span<float>(y.Data + (long)row * y.Columns + first, count);
            TensorPrimitives.Add(part, bias, part);
        }
    }
}
