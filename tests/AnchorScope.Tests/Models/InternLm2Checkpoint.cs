using AnchorScope.Checkpoints;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>
/// The tiny InternVL with InternLM2's tensor names, queries, keys and values fused group by group, and the plain checkpoint that gives the
/// same bits.
/// </summary>
internal static class InternLm2Checkpoint
{
    /// <param name="biased">Whether all attention projections have biases. If not, the plain checkpoint has zero biases of queries, keys
    /// and values.</param>
    public static (string Plain, string Fused) Write(TempFolder temp, bool biased)
    {
        const string Name = "internvl3-remote", Decoder = "language_model.";
        var (plain, fused) = (temp.Copy(Fixtures.Path(Name), "plain"), temp.Copy(Fixtures.Path(Name), "fused"));
        var tensors = new SortedDictionary<string, (float[] Values, long[] Shape)>(StringComparer.Ordinal);
        using (var file = SafetensorsFile.Open(Fixtures.Path(Name, "model.safetensors")))
        {
            foreach (var entry in file.Tensors.Values) tensors[entry.Name] = (file.ReadSingles(entry.Name), entry.Shape);
        }
        // Qwen2 has its biases always, so without them they are zero.
        if (!biased)
        {
            foreach (var (name, tensor) in tensors.Where(
                t => t.Key.StartsWith(Decoder, StringComparison.Ordinal) && t.Key.EndsWith(".bias", StringComparison.Ordinal)))
                Array.Clear(tensor.Values);
        }
        Save(plain, tensors);
        const int Layers = 4, Groups = 2, Queries = 2, HeadSize = 16;
        for (var layer = 0; layer < Layers; layer++)
        {
            var at = $"{Decoder}model.layers.{layer}.";
            foreach (var kind in new[] { "weight", "bias" })
            {
                var (q, k, v) = (Take($"{at}self_attn.q_proj.{kind}"), Take($"{at}self_attn.k_proj.{kind}"),
                    Take($"{at}self_attn.v_proj.{kind}"));
                var size = kind == "bias" ? HeadSize : HeadSize * (int)q.Shape[1];
                var values = Enumerable.Range(0, Groups).SelectMany(
                    g => q.Values.Skip(g * Queries * size).Take(Queries * size).Concat(k.Values.Skip(g * size).Take(size))
                        .Concat(v.Values.Skip(g * size).Take(size))).ToArray();
                var rows = (Queries + 2) * Groups * HeadSize;
                if (kind == "weight") tensors[$"{at}attention.wqkv.weight"] = (values, [rows, q.Shape[1]]);
                else if (biased) tensors[$"{at}attention.wqkv.bias"] = (values, [rows]);
            }
            var output = tensors[$"{at}attention.wo.weight"] = Take($"{at}self_attn.o_proj.weight");
            if (biased) tensors[$"{at}attention.wo.bias"] = (new float[output.Shape[0]], [output.Shape[0]]);
            foreach (var (from, to) in new[] { ("mlp.gate_proj", "feed_forward.w1"), ("mlp.up_proj", "feed_forward.w3"),
                ("mlp.down_proj", "feed_forward.w2"), ("input_layernorm", "attention_norm"), ("post_attention_layernorm", "ffn_norm") })
                tensors[$"{at}{to}.weight"] = Take($"{at}{from}.weight");
        }
        tensors[Decoder + "model.tok_embeddings.weight"] = Take(Decoder + "model.embed_tokens.weight");
        tensors[Decoder + "output.weight"] = Take(Decoder + "lm_head.weight");
        Save(fused, tensors);
        var config = Path.Combine(fused, "config.json");
        var text = File.ReadAllText(config);
        const string Type = "\"model_type\": \"qwen2\"";
        Assert.Contains(Type, text, StringComparison.Ordinal);
        File.WriteAllText(config, text.Replace(Type, $"\"model_type\": \"internlm2\", \"bias\": {(biased ? "true" : "false")}",
            StringComparison.Ordinal));
        return (plain, fused);

        (float[] Values, long[] Shape) Take(string name)
        {
            Assert.True(tensors.Remove(name, out var tensor), name);
            return tensor;
        }

        static void Save(string folder, SortedDictionary<string, (float[] Values, long[] Shape)> tensors) => SafetensorsWriter.Write(
            Path.Combine(folder, "model.safetensors"), [.. tensors.Select(t => TensorData.Of(t.Key, t.Value.Values, t.Value.Shape))],
            new Dictionary<string, string>(StringComparer.Ordinal));
    }
}
