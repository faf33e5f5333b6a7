using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Checkpoints;

public sealed class WeightsTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly SafetensorsFile file;
    private readonly Weights weights;

    public WeightsTests()
    {
        string path = folder.File("model.safetensors");
        SafetensorsWriter.Write(
            path,
            [
                TensorData.Of("layers.0.weight", [1f, 2, 3, 4, 5, 6], 2, 3),
                TensorData.Of("layers.1.weight", [7f, 8], 2, 1),
                TensorData.Of("scale", [9f]),
                TensorData.Of("position_ids", [0L, 1], 1, 2),
            ]);
        file = SafetensorsFile.Open(path);
        weights = new Weights(path, [file]);
    }

    public void Dispose()
    {
        file.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void AWeight_IsWhereTheFileHasIt()
    {
        var weight = weights.Get("layers.0.weight", 2, 3);
        Assert.Equal(("layers.0.weight", StoredType.F32, 6), (weight.Name, weight.Type, weight.Count));
        Assert.Equal([2, 3], weight.Shape);
        Assert.Equal([1, 2, 3, 4, 5, 6], weight.ToSingles());
        var row = new float[3];
        weight.Widen(3, row);
        Assert.Equal([4, 5, 6], row);
        Assert.Equal([9], weights.Get("scale").ToSingles());
        unsafe
        {
            Assert.True(file.Address(file.Entry("layers.0.weight")) == weight.RowAddress(0));
        }
    }

    [Fact]
    public void PartsOfAWeight_AreItsRows()
    {
        string path = folder.File("fused.safetensors");
        SafetensorsWriter.Write(path, [TensorData.Of("fused", [.. Enumerable.Range(0, 24).Select(i => (float)i)], 12, 2)]);
        using var fused = SafetensorsFile.Open(path);
        var whole = new Weights(path, [fused]).Get("fused", 12, 2);
        var rows = whole.Rows(5, 2);
        Assert.Equal([2, 2], rows.Shape);
        Assert.Equal([10, 11, 12, 13], rows.ToSingles());
        var blocks = whole.Blocks(1, 2, 4);
        Assert.Equal([6, 2], blocks.Shape);
        Assert.Equal([2, 3, 4, 5, 10, 11, 12, 13, 18, 19, 20, 21], blocks.ToSingles());
        var across = new float[4];
        blocks.Widen(3, across);
        Assert.Equal([5, 10, 11, 12], across);
        unsafe
        {
            Assert.True(whole.RowAddress(9) == blocks.RowAddress(4));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => whole.Blocks(3, 2, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => whole.Blocks(0, 2, 5));
        Assert.Throws<InvalidOperationException>(() => blocks.Rows(0, 1));
    }

    [Theory]
    [InlineData("layers.0.weight", new long[] { 3, 2 }, "tensor 'layers.0.weight': shape: expected [3, 2], found [2, 3]")]
    [InlineData("layers.0.weight", new long[] { 6 }, "expected [6], found [2, 3]")]
    [InlineData("layers.0.weight", new long[0], "expected [], found [2, 3]")]
    [InlineData("scale", new long[] { 1 }, "expected [1], found []")]
    [InlineData("position_ids", new long[] { 1, 2 }, "tensor 'position_ids': dtype: expected F32, F16, BF16 or F64, found I64")]
    [InlineData("layers.2.weight", new long[] { 1, 2 },
        "there is no tensor 'layers.2.weight' (expected shape [1, 2]); near it: 'layers.0.weight', 'layers.1.weight'")]
    public void WhatIsNotThere_IsNamed(string name, long[] shape, string expected)
    {
        string message = Assert.Throws<InputException>(() => weights.Get(name, shape)).Message;
        Assert.StartsWith(file.Path + ": ", message);
        Assert.Contains(expected, message);
        Assert.Equal(4, weights.Unread.Count);
    }

    [Fact]
    public void UnreadTensors_AreAnError()
    {
        Assert.True(weights.Has("scale"));
        Assert.False(weights.Has("Scale"));
        Assert.Equal(["layers.0.weight", "layers.1.weight", "position_ids", "scale"], weights.Names.Order());
        weights.Get("layers.0.weight", 2, 3);
        weights.Get("layers.0.weight", 2, 3);
        Assert.Equal(["layers.1.weight", "position_ids", "scale"], weights.Unread);
        weights.MarkUnused(name => name == "position_ids");
        string message = Assert.Throws<InputException>(weights.AssertAllRead).Message;
        Assert.Equal($"{file.Path}: 2 of 4 tensors have no place in this model: 'layers.1.weight', 'scale'", message);
        weights.Get("layers.1.weight", 2, 1);
        weights.Get("scale");
        weights.AssertAllRead();
    }

    [Fact]
    public void ManyUnreadTensors_AreCounted()
    {
        string path = folder.File("many.safetensors");
        SafetensorsWriter.Write(path, [.. Enumerable.Range(0, 8).Select(i => TensorData.Of($"t{i}", [1f]))]);
        using var many = SafetensorsFile.Open(path);
        Assert.EndsWith("'t0', 't1', 't2', 't3', 't4' and 3 more",
            Assert.Throws<InputException>(new Weights(path, [many]).AssertAllRead).Message);
    }

    [Fact]
    public void ATensorInTwoFiles_IsAnError() =>
        Assert.Contains("is also in", Assert.Throws<InputException>(() => new Weights("index", [file, file])).Message);
}
