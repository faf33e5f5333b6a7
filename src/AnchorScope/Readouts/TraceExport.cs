using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Readouts;

/// <summary>
/// Exports one full run as named arrays, for comparison with the reference library. Names and shapes are in docs/sites.md.
/// </summary>
public static class TraceExport
{
    /// <summary>Names of the arrays that are written only on request.</summary>
    public static IReadOnlyList<string> Optional { get; } =
        ["z", "q", "k", "v", "k_rope", "attn", "resid_mid", "neuron_out", "l0", "inputs_embeds", "final_norm", "lens", "rope", "vision"];

    private static readonly (string Name, Site Site)[] HeadArrays = [("q", Site.QueryProj), ("k", Site.KeyProj),
        ("v", Site.Value), ("k_rope", Site.Key)];

    /// <summary>Runs <paramref name="prompt"/> under <paramref name="intervention"/> and returns the arrays.</summary>
    /// <param name="pixels">Pixel values of its pictures, or null.</param>
    /// <param name="keep">Names from <see cref="Optional"/>.</param>
    /// <param name="generated">Positions that may be generated after the prompt. <paramref name="intervention"/> may refer to them.</param>
    public static IReadOnlyList<TensorData> Run(
        VisionLanguageModel model, Prompt prompt, PixelValues? pixels, Intervention intervention, IReadOnlySet<string> keep,
        ISession session, int generated = 0)
    {
        var (shape, length) = (model.Engine.Shape, prompt.Length);
        intervention.Validate(shape, length, generated);
        var (layers, width) = (shape.Layers, shape.ModelSize);
        var sites = new HashSet<Site> { Site.ResidPost, Site.AttnOut, Site.MlpOut };
        foreach (var site in new[] { Site.ResidMid, Site.NeuronOut, Site.HeadOut, Site.AttnPattern })
        {
            if (keep.Contains(SiteNames.Of(site))) sites.Add(site);
        }
        foreach (var (name, site) in HeadArrays)
        {
            if (keep.Contains(name)) sites.Add(site);
        }
        if (keep.Contains("l0")) sites.UnionWith([Site.Query, Site.Key, Site.Value]);
        var trace = new Trace(sites);
        var arrays = new List<TensorData>();
        if (pixels is not null) arrays.AddRange(Vision(pixels, keep.Contains("vision"), session));
        var resid = session.Forward(prompt, intervention, trace, generated);
        arrays.Add(TensorData.Of("lm.logits", session.Unembed(resid), length, model.Engine.VocabularySize));
        arrays.Add(Stacked("lm.hidden", Site.ResidPost, length, width));
        arrays.Add(Stacked("lm.attn_out", Site.AttnOut, length, width));
        arrays.Add(Stacked("lm.mlp_out", Site.MlpOut, length, width));
        if (keep.Contains("resid_mid")) arrays.Add(Stacked("lm.resid_mid", Site.ResidMid, length, width));
        if (keep.Contains("neuron_out")) arrays.Add(Stacked("lm.neuron_out", Site.NeuronOut, length, shape.MlpSize));
        if (keep.Contains("z")) arrays.Add(Stacked("lm.z", Site.HeadOut, length, shape.Width(Site.HeadOut)));
        foreach (var (name, site) in HeadArrays)
        {
            if (keep.Contains(name)) arrays.Add(Stacked("lm." + name, site, length, shape.Width(site)));
        }
        if (keep.Contains("attn")) arrays.Add(Stacked("lm.attn", Site.AttnPattern, shape.Heads, length, length));
        if (keep.Contains("inputs_embeds")) arrays.Add(TensorData.Of("lm.inputs_embeds", prompt.Embeddings, length, width));
        if (keep.Contains("final_norm")) arrays.Add(TensorData.Of("lm.final_norm", session.FinalNorm(resid), length, width));
        if (keep.Contains("lens"))
        {
            float[] lens = [.. session.Unembed(prompt.Embeddings),
                .. Enumerable.Range(0, layers).SelectMany(l => session.Unembed(trace[Site.ResidPost, l]))];
            arrays.Add(TensorData.Of("lens.logits", lens, layers + 1, length, model.Engine.VocabularySize));
        }
        if (keep.Contains("l0"))
        {
            arrays.Add(ByHead("lm.l0.q_rope", Site.Query, shape.Heads));
            arrays.Add(ByHead("lm.l0.k_rope", Site.Key, shape.KeyHeads));
            arrays.Add(ByHead("lm.l0.v", Site.Value, shape.KeyHeads));
        }
        if (keep.Contains("rope"))
        {
            arrays.Add(Angles("lm.rope_cos", 0));
            arrays.Add(Angles("lm.rope_sin", 1));
        }
        return arrays;

        TensorData Stacked(string name, Site site, params long[] axes) =>
            TensorData.Of(name, [.. Enumerable.Range(0, layers).SelectMany(layer => trace[site, layer])], [layers, .. axes]);

        TensorData ByHead(string name, Site site, int heads)
        {
            var rows = trace[site, 0];                                              // [pos, head x d_head]
            var turned = new float[rows.Length];                                    // [head, pos, d_head]
            for (var i = 0; i < length * heads; i++)
                rows.AsSpan(i * shape.HeadSize, shape.HeadSize).CopyTo(turned.AsSpan((i % heads * length + i / heads) * shape.HeadSize));
            return TensorData.Of(name, turned, heads, length, shape.HeadSize);
        }

        TensorData Angles(string name, int half)
        {
            var size = shape.HeadSize / 2;
            var axes = model.RotaryAxes;
            float[] table = [.. Enumerable.Range(0, axes).SelectMany(axis => prompt.Coordinates.SelectMany(c =>
            {
                var part = model.RotaryAngles(c[axis])[(half * size)..((half + 1) * size)];
                return part.Concat(part);
            }))];
            // With several axes, as in the reference: the angles of every pair on each axis, before each pair selects its axis.
            return axes == 1
                ? TensorData.Of(name, table, 1, length, shape.HeadSize) : TensorData.Of(name, table, axes, 1, length, shape.HeadSize);
        }
    }

    private static IEnumerable<TensorData> Vision(PixelValues pixels, bool layers, ISession session)
    {
        var trace = layers ? new VisionTrace() : null;
        var (features, width) = (session.Features(pixels, trace), session.Engine.Shape.ModelSize);
        var arrays = new List<TensorData> { TensorData.Of("vision.features", features, features.Length / width, width) };
        if (trace is null) return arrays;
        arrays.Add(TensorData.Of("vision.embeddings", trace.Embeddings, trace.Axes));
        arrays.AddRange(trace.Layers.Select((layer, i) => TensorData.Of($"vision.layer_{i}", layer, trace.Axes)));
        return arrays;
    }
}
