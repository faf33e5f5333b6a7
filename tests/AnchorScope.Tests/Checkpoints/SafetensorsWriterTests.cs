using System.Buffers;
using AnchorScope.Checkpoints;
using FsCheck;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Checkpoints;

public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly TempFolder folder = new();

    private string Target => folder.File("model.safetensors");

    public void Dispose() => folder.Dispose();

    [Property(MaxTest = 60)]
    public void WhatIsWritten_IsReadBack(int seed)
    {
        var random = new Random(seed);
        TensorData[] tensors = [.. Enumerable.Range(0, random.Next(6)).Select(i => RandomTensor(random, i))];
        var metadata = random.Next(2) == 0 ? null : new Dictionary<string, string> { ["format"] = "pt", ["ключ\n\"\\"] = "\u0001 <é> 🖼" };
        SafetensorsWriter.Write(Target, tensors, metadata);
        using var file = SafetensorsFile.Open(Target);
        Assert.Equal(metadata ?? [], file.Metadata);
        Assert.Equal(tensors.Select(tensor => tensor.Name).Order(), file.Tensors.Keys.Order());
        var raw = RawSafetensors.Tensors(Target).ToDictionary(tensor => tensor.Name);
        foreach (var tensor in tensors)
        {
            var entry = file.Entry(tensor.Name);
            Assert.Equal(tensor.Type, entry.Type);
            Assert.Equal(tensor.Shape, entry.Shape);
            Assert.Equal(0, entry.Offset % tensor.Type.Bytes());
            Assert.Equal(tensor.Bytes.ToArray(), raw[tensor.Name].Bytes);
        }
    }

    [Fact]
    public void Numbers_RoundTripBitExact()
    {
        float[] singles = [0, -0f, float.Epsilon, float.MaxValue, float.NaN, float.NegativeInfinity, 0.1f];
        long[] longs = [long.MinValue, -1, 0, long.MaxValue];
        int[] ints = [int.MinValue, -1, 0, int.MaxValue];
        SafetensorsWriter.Write(
            Target,
            [
                TensorData.Of("singles", singles, 7),
                TensorData.Of("longs", longs, 2, 2),
                TensorData.Of("ints", ints, 4, 1),
                new("shorts", StoredType.I16, [2], new byte[] { 0x00, 0x80, 0xff, 0x7f }),
                new("sbytes", StoredType.I8, [2], new byte[] { 0x80, 0x7f }),
                new("bytes", StoredType.U8, [2], new byte[] { 0x80, 0xff }),
                new("flags", StoredType.Bool, [3], new byte[] { 0, 1, 2 }),
                TensorData.Of("scalar", [2.5f]),
            ]);
        using var file = SafetensorsFile.Open(Target);
        Assert.Equal(singles.Select(BitConverter.SingleToUInt32Bits), file.ReadSingles("singles").Select(BitConverter.SingleToUInt32Bits));
        Assert.Equal(longs, file.ReadInt64s("longs"));
        Assert.Equal([int.MinValue, -1, 0, int.MaxValue], file.ReadInt64s("ints"));
        Assert.Equal([short.MinValue, short.MaxValue], file.ReadInt64s("shorts"));
        Assert.Equal([-128, 127], file.ReadInt64s("sbytes"));
        Assert.Equal([128, 255], file.ReadInt64s("bytes"));
        Assert.Equal([0, 1, 1], file.ReadInt64s("flags"));
        Assert.Equal([2.5f], file.ReadSingles("scalar"));
    }

    [Fact]
    public void AFixtureWrittenAgain_HasTheSameTensors()
    {
        string path = Path.Combine(Fixtures.Organism, "model.safetensors");
        var tensors = RawSafetensors.Tensors(path).ToArray();
        SafetensorsWriter.Write(
            Target, [.. tensors.Select(tensor => new TensorData(tensor.Name, StoredType.BF16, tensor.Shape, tensor.Bytes))]);
        var again = RawSafetensors.Tensors(Target).ToDictionary(tensor => tensor.Name);
        Assert.Equal(tensors.Length, again.Count);
        Assert.All(tensors, tensor => Assert.Equal(tensor.Bytes, again[tensor.Name].Bytes));
    }

    [Fact]
    public void TheOrderGiven_DoesNotMatter()
    {
        TensorData[] tensors = [TensorData.Of("b", [1f], 1), TensorData.Of("a", [2f], 1), TensorData.Of("c", [3L], 1)];
        SafetensorsWriter.Write(Target, tensors, new Dictionary<string, string> { ["x"] = "1", ["y"] = "2" });
        byte[] first = File.ReadAllBytes(Target);
        SafetensorsWriter.Write(Target, [.. tensors.Reverse()], new Dictionary<string, string> { ["y"] = "2", ["x"] = "1" });
        Assert.Equal(first, File.ReadAllBytes(Target));
    }

    [Fact]
    public void AWriteThatFailsInTheMiddle_LeavesTheTargetAsItWas()
    {
        SafetensorsWriter.Write(Target, [TensorData.Of("a", [1f], 1)]);
        byte[] before = File.ReadAllBytes(Target);
        using var failing = new FailingMemory(64);
        TensorData[] tensors = [TensorData.Of("a", new float[1 << 16], 1 << 16), new("b", StoredType.U8, [64], failing.Memory)];
        Assert.Throws<InputException>(() => SafetensorsWriter.Write(Target, tensors));
        Assert.Equal(before, File.ReadAllBytes(Target));
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(folder.Path));
        Assert.True(failing.WasAsked);
    }

    [Fact]
    public void AFailedWriteOfANewFile_LeavesNothing()
    {
        using var failing = new FailingMemory(64);
        Assert.Throws<InputException>(() => SafetensorsWriter.Write(Target, [new("b", StoredType.U8, [64], failing.Memory)]));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public void AReaderOfTheOldFile_KeepsIt()
    {
        if (OperatingSystem.IsWindows())
            return; // a mapped file cannot be replaced there, which the writer reports
        SafetensorsWriter.Write(Target, [TensorData.Of("a", [1f], 1)]);
        using var old = SafetensorsFile.Open(Target);
        SafetensorsWriter.Write(Target, [TensorData.Of("a", [2f, 3f], 2)]);
        using var replaced = SafetensorsFile.Open(Target);
        Assert.Equal([1f], old.ReadSingles("a"));
        Assert.Equal([2f, 3f], replaced.ReadSingles("a"));
    }

    [Fact]
    public void ATargetThatCannotBeWritten_IsNamed()
    {
        TensorData[] tensors = [TensorData.Of("a", [1f], 1)];
        string missing = Path.Combine(folder.Path, "no", "such", "model.safetensors");
        Assert.StartsWith($"{missing}: the file cannot be written",
            Assert.Throws<InputException>(() => SafetensorsWriter.Write(missing, tensors)).Message);
        Directory.CreateDirectory(Target);
        Assert.StartsWith($"{Target}: the file cannot be written",
            Assert.Throws<InputException>(() => SafetensorsWriter.Write(Target, tensors)).Message);
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(folder.Path));
    }

    public static TheoryData<string, TensorData[]> Mistakes => new()
    {
        { "used twice", [TensorData.Of("a", [1f], 1), TensorData.Of("a", [1f], 1)] },
        { "reserved", [TensorData.Of("__metadata__", [1f], 1)] },
        { "F32 [2] does not take 4 bytes", [TensorData.Of("a", [1f], 2)] },
        { "F32 [-1] does not take 4 bytes", [TensorData.Of("a", [1f], -1)] },
        { "does not take 4 bytes", [TensorData.Of("a", [1f], 1L << 62, 1L << 62)] },
        { "65 axes, more than 64", [TensorData.Of("a", [1f], [.. Enumerable.Repeat(1L, 65)])] },
        { "Unicode", [TensorData.Of("a\ud800", [1f], 1)] },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void AMistakeOfTheCaller_WritesNothing(string expected, TensorData[] tensors)
    {
        Assert.Contains(expected, Assert.ThrowsAny<ArgumentException>(() => SafetensorsWriter.Write(Target, tensors)).Message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static TensorData RandomTensor(Random random, int index)
    {
        var type = (StoredType)random.Next(10);
        long[] shape = [.. Enumerable.Range(0, random.Next(4)).Select(_ => (long)random.Next(5))];
        var bytes = new byte[shape.Aggregate(1L, (product, axis) => product * axis) * type.Bytes()];
        random.NextBytes(bytes);
        string[] names = ["layers", "größe \"x\"", "名前", "a\tb", ""];
        return new TensorData($"{names[random.Next(names.Length)]}.{index}", type, shape, bytes);
    }

    /// <summary>Bytes that cannot be read, as when a disk fails.</summary>
    private sealed class FailingMemory(int length) : MemoryManager<byte>
    {
        public bool WasAsked { get; private set; }

        public override Memory<byte> Memory => CreateMemory(length);

        public override Span<byte> GetSpan()
        {
            WasAsked = true;
            throw new IOException("the source failed");
        }

        public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
