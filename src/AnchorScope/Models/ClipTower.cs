using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Reads the vision transformers of CLIP and SigLIP, whose layers have the same tensor names.</summary>
internal static class ClipTower
{
    /// <summary>CLIP: a class token, a norm before the first layer, no bias in the patch embedding.</summary>
    /// <param name="config">vision_config.</param>
    /// <param name="prefix">Prefix of the tensor names before <c>embeddings.…</c>.</param>
    public static PatchTower Read(ConfigSection config, Weights weights, string prefix)
    {
        var sizes = VisionSettings.Read(config, VisionSettings.Clip);
        var embeddings = prefix + "embeddings.";
        var tower = new PatchTower(
            sizes.ImageSize, sizes.PatchSize,
            new Linear(weights.Get(embeddings + "patch_embedding.weight", sizes.Width, 3, sizes.PatchSize, sizes.PatchSize)),
            new Vector(weights.Get(embeddings + "position_embedding.weight", sizes.Patches + 1, sizes.Width)),
            Layers(sizes, weights, prefix))
        {
            ClassToken = new Vector(weights.Get(embeddings + "class_embedding", sizes.Width)),
            PreNorm = Norm(weights, prefix + "pre_layrnorm", sizes),
        };
        // LLaVA reads an inner layer, so the norm after the last one is stored but never applied.
        weights.MarkUnused(
            tensor => tensor.StartsWith(prefix + "post_layernorm.", StringComparison.Ordinal) || tensor == embeddings + "position_ids");
        return tower;
    }

    /// <summary>SigLIP: no class token, a bias in the patch embedding.</summary>
    /// <param name="defaults">Values for absent keys.</param>
    /// <param name="bucketed">Whether positions are those of <see cref="BucketedPositions"/>.</param>
    public static PatchTower ReadSiglip(ConfigSection config, Weights weights, string prefix, VisionSettings defaults, bool bucketed =
        false)
    {
        var sizes = VisionSettings.Read(config, defaults);
        var embeddings = prefix + "embeddings.";
        var tower = new PatchTower(
            sizes.ImageSize, sizes.PatchSize,
            new Linear(weights.Get(embeddings + "patch_embedding.weight", sizes.Width, 3, sizes.PatchSize, sizes.PatchSize),
                weights.Get(embeddings + "patch_embedding.bias", sizes.Width)),
            new Vector(weights.Get(embeddings + "position_embedding.weight", sizes.Patches, sizes.Width)), Layers(sizes, weights, prefix))
        {
            Places = bucketed ? BucketedPositions.Of(sizes.ImageSize / sizes.PatchSize) : null,
        };
        // Some checkpoints contain a pooling head, which no language model uses.
        weights.MarkUnused(
            tensor => tensor.StartsWith(prefix + "head.", StringComparison.Ordinal) || tensor == embeddings + "position_ids");
        return tower;
    }

    /// <summary>The norm after the last layer.</summary>
    public static Norm PostNorm(ConfigSection config, Weights weights, string prefix, VisionSettings defaults) =>
        Norm(weights, prefix + "post_layernorm", VisionSettings.Read(config, defaults));

    private static VisionLayer[] Layers(VisionSettings sizes, Weights weights, string prefix) =>
        [.. Enumerable.Range(0, sizes.Layers).Select(i =>
        {
            var at = $"{prefix}encoder.layers.{i}.";
            Linear Project(string name, int outputs, int inputs) =>
                new(weights.Get($"{at}{name}.weight", outputs, inputs), weights.Get($"{at}{name}.bias", outputs));
            Linear Square(string name) => Project("self_attn." + name, sizes.Width, sizes.Width);
            return new VisionLayer(
                Norm(weights, at + "layer_norm1", sizes),
                new AttentionWeights(Square("q_proj"), Square("k_proj"), Square("v_proj"), Square("out_proj")),
                Norm(weights, at + "layer_norm2", sizes),
                new VisionMlp(null, Project("mlp.fc1", sizes.MlpSize, sizes.Width), Project("mlp.fc2", sizes.Width, sizes.MlpSize),
                    sizes.Activation), sizes.Heads);
        })];

    private static Norm Norm(Weights weights, string name, VisionSettings sizes) =>
        new(weights.Get(name + ".weight", sizes.Width), weights.Get(name + ".bias", sizes.Width), sizes.Epsilon);
}
