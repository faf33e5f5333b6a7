using System.Runtime.InteropServices;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Copies rows of a pass into a trace, and reads them back.</summary>
internal static class TraceRows
{
    /// <summary>Records the rows of a run that the trace requests.</summary>
    /// <param name="rows">Rows of the run, ordered by position.</param>
    /// <param name="firstPosition">Position of the first row.</param>
    public static void Keep(Trace trace, Site site, int layer, Tensor rows, int firstPosition)
    {
        var count = trace.Positions?.Count ?? rows.Rows;
        var kept = trace.Room(site, layer, count, rows.Columns, firstPosition);
        for (var i = 0; i < count; i++)
            rows[trace.Positions is { } positions ? positions[i] - firstPosition : i].CopyTo(kept.AsSpan(i * rows.Columns));
    }

    /// <summary>The recorded values of one site as a matrix with <paramref name="columns"/> columns, valid as long as the trace.</summary>
    public static unsafe Tensor Matrix(Trace trace, Site site, int layer, int columns)
    {
        var values = trace[site, layer];
        return new Tensor((float*)Marshal.UnsafeAddrOfPinnedArrayElement(values, 0), values.Length / columns, columns);
    }
}
