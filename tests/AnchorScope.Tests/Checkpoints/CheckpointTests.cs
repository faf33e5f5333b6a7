using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Checkpoints;

public sealed class CheckpointTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";

    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void ASingleFile_IsOpened()
    {
        using var checkpoint = Checkpoint.Open(Fixtures.Organism);
        Assert.Equal(Fixtures.Organism, checkpoint.Folder);
        Assert.Equal("llava", checkpoint.Config.Text("model_type"));
        Assert.Equal(Hash(File.ReadAllBytes(Path.Combine(Fixtures.Organism, "model.safetensors"))), checkpoint.Sha256);
        var text = checkpoint.Config.Section("text_config");
        var table = checkpoint.Weights.Get("language_model.model.embed_tokens.weight", text.PositiveInt("vocab_size"),
            text.PositiveInt("hidden_size"));
        Assert.Equal(StoredType.BF16, table.Type);
        Assert.Equal(RawSafetensors.Tensors(checkpoint.Files.Single().Path).Sum(tensor => tensor.Bytes.LongLength), checkpoint.WeightBytes);
    }

    [Fact]
    public void Shards_AreOneSetOfWeights()
    {
        string path = Fixtures.Path("llava15-gqa-f16-sharded");
        using var checkpoint = Checkpoint.Open(path);
        var index = JsonNode.Parse(File.ReadAllText(Path.Combine(path, Index)))!;
        Assert.Equal(index["weight_map"]!.AsObject().Select(pair => pair.Key).Order(), checkpoint.Weights.Names.Order());
        Assert.Equal(index["metadata"]!["total_size"]!.GetValue<long>(), checkpoint.WeightBytes);
        Assert.Equal(2, checkpoint.Files.Count);
        string listing = string.Concat(
            checkpoint.Files.Select(file => $"{Hash(File.ReadAllBytes(file.Path))}  {Path.GetFileName(file.Path)}\n"));
        Assert.Equal(Hash(Encoding.UTF8.GetBytes(listing)), checkpoint.Sha256);
        foreach (string shard in Directory.EnumerateFiles(path, "model-*.safetensors"))
        {
            foreach (var (name, _, shape, bytes) in RawSafetensors.Tensors(shard))
            {
                float[] expected = [.. Enumerable.Range(0, bytes.Length / 2).Select(i => (float)BitConverter.ToHalf(bytes, 2 * i))];
                Assert.Equal(expected, checkpoint.Weights.Get(name, shape).ToSingles());
            }
        }
        checkpoint.Weights.AssertAllRead();
    }

    [Fact]
    public void AfterDispose_NothingIsRead()
    {
        var checkpoint = Checkpoint.Open(Fixtures.Organism);
        var norm = checkpoint.Weights.Get("language_model.model.layers.0.input_layernorm.weight", 128);
        checkpoint.Dispose();
        Assert.Throws<ObjectDisposedException>(norm.ToSingles);
        Assert.Throws<ObjectDisposedException>(() => norm.Widen(0, new float[1]));
    }

    [Fact]
    public void AFolderWithoutItsParts_SaysWhatIsMissing()
    {
        Assert.Contains("expected a local folder, found no such folder", Message(folder.File("llava-hf/llava-1.5-7b-hf")));
        Assert.Contains("config.json: the file cannot be read: there is no such file", Message(folder.Path));
        folder.Write("config.json", "{}");
        Assert.Contains("weights: expected model.safetensors or model.safetensors.index.json, found neither", Message(folder.Path));
        Assert.Contains("expected a local folder, found a file", Message(folder.File("config.json")));
        folder.Write("consolidated.safetensors", "");
        Assert.Contains("found neither, but 'consolidated.safetensors'", Message(folder.Path));
        folder.Write("pytorch_model-00001-of-00002.bin", "");
        Assert.Contains("found 'pytorch_model-00001-of-00002.bin': only safetensors is supported", Message(folder.Path));
    }

    [Theory]
    [InlineData("""{"quantization_config": {"quant_method": "gptq", "bits": 4}}""",
        "config.json: quantization_config: 'gptq' is not supported; supported: weights that are not quantised: F32, F16, BF16 or F64")]
    [InlineData("""{"text_config": {"quantization_config": {"load_in_4bit": true}}}""",
        "config.json: text_config.quantization_config: 'quantised' is not supported")]
    public void QuantisedWeights_AreRefused(string config, string expected)
    {
        folder.Write("config.json", config);
        Assert.Contains(expected, Message(folder.Path));
    }

    [Fact]
    public void AnEmptyQuantisation_IsNone()
    {
        folder.Write("config.json", """{"quantization_config": null}""");
        SafetensorsWriter.Write(folder.File("model.safetensors"), [TensorData.Of("a", [1f], 1)]);
        using var checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal(["a"], checkpoint.Weights.Names);
    }

    [Theory]
    [InlineData("""{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}""", null)]
    [InlineData("""{"weight_map": {"a": "one.safetensors"}}""", null)] // two.safetensors is no part of this checkpoint
    [InlineData("""{"weight_map": {"b": "both.safetensors", "a": "two.safetensors"}}""",
        "two.safetensors: tensor 'b' is another one than in both.safetensors, and model.safetensors.index.json lists that in "
            + "'both.safetensors'")]
    [InlineData("""{"weight_map": {"c": "both.safetensors", "d": "two.safetensors"}}""",
        "two.safetensors: tensor 'b' is another one than in both.safetensors, and model.safetensors.index.json lists neither")]
    [InlineData("""{"weight_map": {"a": "three.safetensors"}}""",
        "index.json: weight_map: the shard 'three.safetensors' is not in the folder")]
    [InlineData("""{"weight_map": {"a": "../one.safetensors"}}""",
        "weight_map: 'a': expected a plain file name that ends with .safetensors, found '../one.safetensors'")]
    [InlineData("""{"weight_map": {"a": "/etc/one.safetensors"}}""", "expected a plain file name")]
    [InlineData("""{"weight_map": {"a": "sub\\one.safetensors"}}""", "expected a plain file name")]
    [InlineData("""{"weight_map": {"a": "c:one.safetensors"}}""", "expected a plain file name")]
    [InlineData("""{"weight_map": {"a": "one\u0000.safetensors"}}""", "expected a plain file name")]
    [InlineData("""{"weight_map": {"a": ".."}}""", "expected a plain file name that ends with .safetensors, found '..'")]
    [InlineData("""{"weight_map": {"a": "folder.safetensors"}}""", "the shard 'folder.safetensors' is not in the folder")]
    [InlineData("""{"weight_map": {"a": "text.safetensors"}}""", "text.safetensors: this is a text file")]
    [InlineData("""{"weight_map": {"a": 1}}""", "weight_map: 'a': expected the name of a shard, found 1")]
    [InlineData("""{"weight_map": {}}""", "weight_map: expected at least one tensor, found none")]
    [InlineData("""{"weight_map": []}""", "weight_map: expected an object, found an array of 0")]
    [InlineData("""{"weight_map": {"a": "one.safetensors", "a": "two.safetensors"}}""", "stands twice in one object")]
    [InlineData("""{"metadata": {}}""", "weight_map: the key is missing")]
    public void AnIndex_IsHeldAgainstItsShards(string index, string? expected)
    {
        folder.Write("config.json", "{}");
        folder.Write(Index, index);
        SafetensorsWriter.Write(folder.File("one.safetensors"), [TensorData.Of("a", [1f], 1)]);
        SafetensorsWriter.Write(folder.File("two.safetensors"), [TensorData.Of("b", [2f], 1)]);
        SafetensorsWriter.Write(folder.File("both.safetensors"), [TensorData.Of("a", [1f], 1), TensorData.Of("b", [1f], 1)]);
        folder.Write("text.safetensors", "this is text");
        Directory.CreateDirectory(folder.File("folder.safetensors"));
        if (expected is not null)
        {
            Assert.Contains(expected, Message(folder.Path));
            return;
        }
        using var checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal([1f], checkpoint.Weights.Get("a", 1).ToSingles());
    }

    /// <summary>The reference loads the tensors in the shards, the last one of several copies; the index may be wrong.</summary>
    [Theory]
    [InlineData("""{"weight_map": {"a": "two.safetensors", "b": "two.safetensors", "x": "one.safetensors"}}""", 2f,
        "'a': in one.safetensors, not in 'two.safetensors'; it was taken from there", "'x': in no shard, and nothing reads it")]
    [InlineData("""{"weight_map": {"b": "two.safetensors", "a": "both.safetensors"}}""", 2f,
        "both.safetensors: tensor 'b': another one is in two.safetensors; that one is read")]
    [InlineData("""{"weight_map": {"a": "both.safetensors", "b": "both.safetensors", "x": "one.safetensors"}}""", 1f,
        "one.safetensors: tensor 'a': the same is in both.safetensors; that one is read", "'x': in no shard")]
    [InlineData("""{"weight_map": {"b": "both.safetensors"}}""", 1f,
        "both.safetensors: tensor 'a': model.safetensors.index.json does not list it and this model has no place for it; not used")]
    public void WhatIndexAndShardsSayOtherwise_WithoutHarm_IsAWarning(string index, float b, params string[] expected)
    {
        folder.Write("config.json", "{}");
        folder.Write(Index, index);
        SafetensorsWriter.Write(folder.File("one.safetensors"), [TensorData.Of("a", [1f], 1)]);
        SafetensorsWriter.Write(folder.File("two.safetensors"), [TensorData.Of("b", [2f], 1)]);
        SafetensorsWriter.Write(folder.File("both.safetensors"), [TensorData.Of("a", [1f], 1), TensorData.Of("b", [1f], 1)]);
        using var checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal([b], checkpoint.Weights.Get("b", 1).ToSingles());
        if (index.Contains("\"a\"", StringComparison.Ordinal)) Assert.Equal([1f], checkpoint.Weights.Get("a", 1).ToSingles());
        checkpoint.Weights.AssertAllRead();
        Assert.Equal(expected.Length, checkpoint.Weights.Warnings.Count);
        foreach (var (part, warning) in expected.Zip(checkpoint.Weights.Warnings)) Assert.Contains(part, warning, StringComparison.Ordinal);
        using var copy = Parameters.Of(checkpoint);
        Assert.Equal([b], copy["b"].ToArray());
    }

    [Fact]
    public void AStoredTensorThatTheIndexForgot_IsRead()
    {
        folder.Write("config.json", "{}");
        folder.Write(Index, """{"weight_map": {"b": "both.safetensors"}}""");
        SafetensorsWriter.Write(folder.File("both.safetensors"), [TensorData.Of("a", [1f], 1), TensorData.Of("b", [2f], 1)]);
        using var checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal([1f], checkpoint.Weights.Get("a", 1).ToSingles());
        Assert.Equal([2f], checkpoint.Weights.Get("b", 1).ToSingles());
        checkpoint.Weights.AssertAllRead();
        Assert.Empty(checkpoint.Weights.Warnings);
        Assert.Contains("there is no tensor 'c' (expected shape [1])", Assert.Throws<InputException>(() => checkpoint.Weights.Get("c", 1))
            .Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATensorThatTheIndexLists_AndNothingReads_IsAnError()
    {
        folder.Write("config.json", "{}");
        folder.Write(Index, """{"weight_map": {"a": "both.safetensors", "b": "both.safetensors"}}""");
        SafetensorsWriter.Write(folder.File("both.safetensors"), [TensorData.Of("a", [1f], 1), TensorData.Of("b", [2f], 1)]);
        using var checkpoint = Checkpoint.Open(folder.Path);
        _ = checkpoint.Weights.Get("a", 1);
        Assert.Contains("1 of 2 tensors have no place in this model: 'b'", Assert.Throws<InputException>(checkpoint.Weights.AssertAllRead)
            .Message, StringComparison.Ordinal);
    }

    private static string Message(string path)
    {
        string message = Assert.Throws<InputException>(() => Checkpoint.Open(path)).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    private static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
