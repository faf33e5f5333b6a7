using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>A recorded run, and edits that give its values to another one.</summary>
internal sealed class Exchange
{
    /// <summary>Every site that a run can record.</summary>
    public static readonly Site[] Sites = [.. Enum.GetValues<Site>().Where(site => site != Site.AttnScores)];

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

    /// <summary>Both kinds are written out, so that a new site fails here until it is put into one.</summary>
    public static bool HasHeads(Site site) => site switch
    {
        Site.QueryProj or Site.Query or Site.KeyProj or Site.Key or Site.Value or Site.AttnScores or Site.AttnPattern
            or Site.HeadOut => true,
        Site.ResidPre or Site.AttnOut or Site.ResidMid or Site.NeuronOut or Site.MlpOut or Site.ResidPost => false,
        _ => throw new ArgumentOutOfRangeException(nameof(site), site, "say here whether it has heads"),
    };

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
