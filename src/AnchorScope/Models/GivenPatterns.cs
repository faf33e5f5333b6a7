using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AnchorScope.Interventions;

namespace AnchorScope.Models;

/// <summary>Attention probabilities with which edits replace a run's own in one layer.</summary>
internal sealed unsafe class GivenPatterns
{
    private readonly Dictionary<(int Head, int Position), int> _rows = [];
    private readonly int _keys;
    private float[] _values = [];

    private GivenPatterns(int keys) => _keys = keys;

    /// <summary>
    /// The replacement probabilities [key] of <paramref name="head"/> at a position counted from the run's first row; null if there are
    /// none.
    /// </summary>
    public float* this[int head, int position] =>
        _rows.TryGetValue((head, position), out var row)
            ? (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_values)) + (long)row * _keys : null;

    /// <summary>
    /// The replacements that the edits of <paramref name="run"/> define in <paramref name="layer"/>; null if there are none.
    /// </summary>
    /// <param name="heads">Query heads of the layer.</param>
    /// <param name="keys">Keys that the run's last row attends to; keys beyond an edit's values get probability 0.</param>
    public static GivenPatterns? Of(RowBlock run, int layer, int heads, int keys)
    {
        var found = false;
        foreach (var edit in run.Edits!.At(layer)) found |= edit.Site == Site.AttnPattern;
        return found ? Read(run, layer, heads, keys) : null;
    }

    private static GivenPatterns Read(RowBlock run, int layer, int heads, int keys)
    {
        var given = new GivenPatterns(keys);
        var rows = new List<float[]>();
        foreach (var edit in run.Edits!.At(layer))
        {
            if (edit.Site != Site.AttnPattern) continue;
            var named = edit.Heads ?? [.. Enumerable.Range(0, heads)];
            var length = edit.Rows!.Width / named.Count;
            for (var i = 0; i < edit.Positions.List.Count; i++)
            {
                var position = edit.Positions.List[i] - run.Start;
                if (position < 0 || position >= run.Count) continue;
                for (var j = 0; j < named.Count; j++)
                {
                    var row = new float[keys];
                    edit.Rows[i].Slice(j * length, Math.Min(length, keys)).CopyTo(row);
                    given._rows[(named[j], position)] = rows.Count;
                    rows.Add(row);
                }
            }
        }
        given._values = GC.AllocateUninitializedArray<float>(rows.Count * keys, pinned: true);
        for (var i = 0; i < rows.Count; i++) rows[i].CopyTo(given._values, (long)i * keys);
        return given;
    }
}
