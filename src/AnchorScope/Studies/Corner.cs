using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>
/// The part of the computation that a variant changes: from where a readout can first differ from the baseline to the last readout.
/// </summary>
/// <param name="Layer">First layer.</param>
/// <param name="Position">First position.</param>
/// <param name="AfterAttention">Whether it starts after the attention of its first layer.</param>
/// <param name="EndLayer">The layer after the last one.</param>
/// <param name="EndPosition">The position after the last one.</param>
internal sealed record Corner(int Layer, int Position, bool AfterAttention, int EndLayer, int EndPosition)
{
    /// <summary>Number of rows in a pass; 0 if no readout can differ from the baseline's output.</summary>
    public int Rows => Layer >= EndLayer ? 0 : EndPosition - Position;

    /// <summary>The corner of <paramref name="intervention"/>, extended to the first readout if that is earlier.</summary>
    public static Corner Of(Intervention intervention, DecoderShape shape, Prompt prompt, IReadOnlyList<Readout> readouts)
    {
        var (first, end, firstPosition, endPosition) = (int.MaxValue, 0, int.MaxValue, 0);
        foreach (var readout in readouts)
        {
            var (layer, position) = (readout.LayerIn(shape), readout.PositionIn(prompt));
            (first, end) = (Math.Min(first, layer), Math.Max(end, layer + 1));
            (firstPosition, endPosition) = (Math.Min(firstPosition, position), Math.Max(endPosition, position + 1));
        }
        var (changed, from, afterAttention) = (int.MaxValue, int.MaxValue, true);
        foreach (var edit in intervention.Edits)
        {
            if (edit.Layer < changed) (changed, afterAttention) = (edit.Layer, true);
            if (edit.Layer == changed) afterAttention &= !edit.Site.IsBefore(Site.HeadOut);
            from = Math.Min(from, edit.Positions.First);
        }
        if (intervention.Edits.Count == 0 && readouts.All(r => r == Readout.Output))
            return new Corner(end, prompt.Length, false, end, prompt.Length);
        return new Corner(Math.Min(changed, first), Math.Min(from, firstPosition), afterAttention && changed <= first, end, endPosition);
    }

    /// <summary>
    /// The edits of <paramref name="intervention"/> that can affect the readouts. Edits above the last layer that is read cannot. In that
    /// layer, an edit matters only at the positions that are read, or if it changes keys, values or the residual stream before them, which
    /// attention reads at other positions.
    /// </summary>
    public static Intervention Reaching(Intervention intervention, DecoderShape shape, Prompt prompt, IReadOnlyList<Readout> readouts)
    {
        if (intervention.Edits.Count == 0) return intervention;
        var (last, lastRead, end) = (0, 0, 0);
        foreach (var readout in readouts)
        {
            var (layer, position) = (readout.LayerIn(shape), readout.PositionIn(prompt));
            lastRead = layer > last ? position : layer == last ? Math.Max(lastRead, position) : lastRead;
            (last, end) = (Math.Max(last, layer), Math.Max(end, position));
        }
        bool IsRead(Edit edit) => readouts.Any(r => r.LayerIn(shape) == last && edit.Positions.Contains(r.PositionIn(prompt)));
        bool Reaches(Edit edit) => edit.Layer < last
            ? edit.Positions.First <= end
            : edit.Layer == last && (edit.ReachesOthers ? edit.Positions.First <= lastRead : IsRead(edit));
        return intervention.Edits.All(Reaches) ? intervention : intervention with { Edits = [.. intervention.Edits.Where(Reaches)] };
    }
}
