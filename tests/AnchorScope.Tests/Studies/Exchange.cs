using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>A recorded run, and edits that give its values to another one.</summary>
internal sealed class Exchange
{
    public static readonly Site[] Sites =
    [
        Site.ResidPre, Site.QueryProj, Site.Query, Site.KeyProj, Site.Key, Site.Value, Site.AttnPattern, Site.HeadOut, Site.AttnOut,
        Site.ResidMid, Site.NeuronOut, Site.MlpOut, Site.ResidPost,
    ];

    private readonly Trace _trace = new(Sites);

    public Exchange(Tiny tiny, Prompt prompt, Intervention intervention)
    {
        (Shape, Length) = (tiny.Decoder.Shape, prompt.Length);
        var mark = tiny.Compute.Arena.Here();
        var entry = Tensor.From(tiny.Compute.Arena, prompt.Embeddings, prompt.Length, Shape.ModelSize);
        var resid = tiny.Decoder.Forward(
            new Pass(Shape, [new RowBlock(entry, prompt.Coordinates, 0, intervention) { Traces = [_trace] }], tiny.Compute));
        Logits = tiny.Decoder.Unembed(resid, tiny.Compute).ToArray();
        tiny.Compute.Arena.Release(mark);
    }

    public DecoderShape Shape { get; }

    public int Length { get; }

    /// <summary>Logits [T, V].</summary>
    public float[] Logits { get; }

    /// <summary>A prompt of the same length with another word at the start and others at the end.</summary>
    public static Prompt Other(Tiny tiny)
    {
        int[] tokens = [.. tiny.Prompt.Tokens];
        foreach (var at in new[] { 0, tokens.Length - 3, tokens.Length - 1 }) tokens[at] = tokens[at] == 7 ? 9 : 7;
        return tiny.Model.Prompt(tokens, tiny.Pixels, tiny.Pixels is null ? null : tiny.Session.Features(tiny.Pixels));
    }

    public static bool HasHeads(Site site) =>
        site is Site.QueryProj or Site.Query or Site.KeyProj or Site.Key or Site.Value or Site.AttnPattern or Site.HeadOut;

    public int HeadsAt(Site site) => site is Site.KeyProj or Site.Key or Site.Value ? Shape.KeyHeads : Shape.Heads;

    /// <summary>Puts this run's values of a site at the same positions of another run.</summary>
    public Edit At(Site site, int layer, Positions positions, IReadOnlyList<int>? heads = null) =>
        new(site, layer, Operation.Set) { Positions = positions, Heads = heads, Rows = Rows(site, layer, positions.List, heads) };

    /// <summary>Puts them at <paramref name="keys"/> for <paramref name="queries"/> alone.</summary>
    public Edit Along(Site site, int layer, Positions queries, Positions keys, IReadOnlyList<int>? heads = null) =>
        new(site, layer, Operation.Set) { Positions = queries, Keys = keys, Heads = heads, Rows = Rows(site, layer, keys.List, null) };

    public DonorRows Rows(Site site, int layer, IReadOnlyList<int> positions, IReadOnlyList<int>? heads)
    {
        var values = _trace[site, layer];
        if (site != Site.AttnPattern) return DonorRows.Of(values, Shape.Width(site), positions, heads, Shape.HeadSize);
        var named = heads ?? [.. Enumerable.Range(0, Shape.Heads)];
        return new DonorRows(
            [.. positions.SelectMany(p => named.SelectMany(h => values[((h * Length + p) * Length)..((h * Length + p + 1) * Length)]))],
            positions.Count);
    }
}
