using System.Runtime.InteropServices;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Rows of a pass to a trace, and back.</summary>
internal static class TraceRows
{
    /// <summary>Keeps the rows of a run that the trace asks for.</summary>
    /// <param name="rows">Of the run, in the order of its positions.</param>
    /// <param name="firstPosition">Position of the first row.</param>
    public static void Keep(Trace trace, Site site, int layer, Tensor rows, int firstPosition)
    {
        var count = trace.Positions?.Count ?? rows.Rows;
        var kept = trace.Room(site, layer, count, rows.Columns, firstPosition);
        for (var i = 0; i < count; i++) rows[trace.Positions is { } positions ? positions[i] - firstPosition : i].CopyTo(kept.AsSpan(i * rows.Columns));
    }

    /// <summary>What was recorded of one site, as a matrix of <paramref name="columns"/>; it lasts as long as the trace.</summary>
    public static unsafe Tensor Matrix(Trace trace, Site site, int layer, int columns)
    {
        var values = trace[site, layer];
        return new Tensor((float*)Marshal.UnsafeAddrOfPinnedArrayElement(values, 0), values.Length / columns, columns);
    }
}
