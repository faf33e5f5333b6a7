using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Checkpoints;

public sealed unsafe class SafetensorsFileTests
{
    public static TheoryData<string> Files =>
    [
        .. Directory.EnumerateFiles(Fixtures.Path(), "*.safetensors", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Fixtures.Root, path))
            .Order(StringComparer.Ordinal),
    ];

    [Theory]
    [MemberData(nameof(Files))]
    public void EveryTensorOfAFixture_IsReadAsStored(string relative)
    {
        string path = Path.Combine(Fixtures.Root, relative);
        using var file = SafetensorsFile.Open(path);
        var expected = RawSafetensors.Tensors(path).ToArray();
        Assert.NotEmpty(expected);
        Assert.Equal(expected.Select(tensor => tensor.Name), file.Tensors.Keys);
        foreach (var (name, type, shape, bytes) in expected)
        {
            var entry = file.Entry(name);
            Assert.Equal((type, bytes.LongLength), (entry.Type.Name, entry.Bytes));
            Assert.Equal(shape, entry.Shape);
            Assert.True(new ReadOnlySpan<byte>(file.Address(entry), bytes.Length).SequenceEqual(bytes));
            if (entry.Type.IsFloat)
                Assert.Equal(Singles(type, bytes).Select(BitConverter.SingleToUInt32Bits),
                    file.ReadSingles(name).Select(BitConverter.SingleToUInt32Bits));
            else
                Assert.Equal(Integers(type, bytes), file.ReadInt64s(name));
        }
    }

    [Theory]
    [InlineData("llava15/model.safetensors", "F32")]
    [InlineData("llava15-gqa-f16-sharded/model-00001-of-00002.safetensors", "F16")]
    [InlineData("organism/model.safetensors", "BF16")]
    public void Fixtures_HaveTheTypesTheyShouldTest(string path, string type)
    {
        using var file = SafetensorsFile.Open(Fixtures.Path(path));
        Assert.Equal([type], file.Tensors.Values.Select(entry => entry.Type.Name).Distinct());
        Assert.Equal("pt", file.Metadata["format"]);
    }

    [Fact]
    public void F16_WidensEveryBitPattern()
    {
        ushort[] patterns = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        float[] values = WriteAndRead(StoredType.F16, patterns);
        for (int i = 0; i < patterns.Length; i++)
        {
            Assert.Equal(BitConverter.SingleToUInt32Bits((float)BitConverter.UInt16BitsToHalf(patterns[i])),
                BitConverter.SingleToUInt32Bits(values[i]));
            int exponent = (i >> 10) & 31, fraction = i & 1023;
            double magnitude = exponent switch
            {
                0 => fraction * Math.Pow(2, -24),
                31 => fraction == 0 ? double.PositiveInfinity : double.NaN,
                _ => (1024 + fraction) * Math.Pow(2, exponent - 25),
            };
            Assert.Equal(i < 32768 ? magnitude : -magnitude, (double)values[i]);
        }
    }

    [Fact]
    public void BF16_WidensEveryBitPatternToTheUpperHalf()
    {
        ushort[] patterns = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        float[] values = WriteAndRead(StoredType.BF16, patterns);
        for (int i = 0; i < patterns.Length; i++)
            Assert.Equal((uint)i << 16, BitConverter.SingleToUInt32Bits(values[i]));
    }

    [Fact]
    public void F64_RoundsToNearest()
    {
        double[] values = [0, -0.0, 1, 1 + Math.Pow(2, -24), 1 + 1.5 * Math.Pow(2, -24), Math.PI, 1e39, -1e39, 1e-50, double.NaN];
        float[] expected = [0, -0f, 1, 1, 1 + MathF.Pow(2, -23), 3.14159274f, float.PositiveInfinity, float.NegativeInfinity, 0, float.NaN];
        Assert.Equal(expected, WriteAndRead(StoredType.F64, values));
    }

    [Fact]
    public void ARealWorldHeader_IsRead()
    {
        // Offsets in another order than names, metadata last, white space, an escaped name, a scalar, an empty tensor,
        // data that start at an odd byte, and padding.
        const string header = """
            {
              "b": {"data_offsets": [ 4, 12 ], "shape": [], "dtype": "I64"},
              "a\u002eweight": {"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},
              "empty": {"dtype":"F32","shape":[0,7],"data_offsets":[12,12]},
              "flags": {"dtype":"BOOL","shape":[3],"data_offsets":[12,15]},
              "größe": {"dtype":"I8","shape":[1],"data_offsets":[15,16]},
              "__metadata__": {"format": "pt", "training": "{\"lr\": 1}"}
            }
            """;
        using var folder = new TempFolder();
        byte[] padded = Encoding.UTF8.GetBytes(header + "   ");
        byte[] odd = padded.Length % 2 == 0 ? [.. padded, (byte)' '] : padded;
        using var file = SafetensorsFile.Open(folder.Write("model.safetensors", RawSafetensors.Bytes(odd, 16)));
        Assert.Equal(1, file.Entry("a.weight").Offset % 2);
        Assert.Equal(
            [(float)BitConverter.UInt16BitsToHalf(0x0100), (float)BitConverter.UInt16BitsToHalf(0x0302)],
            file.ReadSingles("a.weight"));
        Assert.Equal([0x0b0a090807060504], file.ReadInt64s("b"));
        Assert.Equal((1, "[]"), (file.Entry("b").Count, file.Entry("b").ShapeText));
        Assert.Empty(file.ReadSingles("empty"));
        Assert.Equal((0, "[0, 7]"), (file.Entry("empty").Count, file.Entry("empty").ShapeText));
        Assert.Equal([1, 1, 1], file.ReadInt64s("flags"));
        Assert.Equal([15], file.ReadInt64s("größe"));
        Assert.Equal("""{"lr": 1}""", file.Metadata["training"]);
    }

    [Fact]
    public void Opening_AllocatesForTheHeaderOnly()
    {
        string path = Path.Combine(Fixtures.Organism, "model.safetensors");
        SafetensorsFile.Open(path).Dispose();
        long before = GC.GetAllocatedBytesForCurrentThread();
        using var file = SafetensorsFile.Open(path);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated < 40 * RawSafetensors.Header(path).Length, $"{allocated} bytes");
        Assert.True(allocated < new FileInfo(path).Length / 5, $"{allocated} bytes");
    }

    [Fact]
    public void TensorsBeyondTwoGiB_AreReadWhereTheyLie()
    {
        const long rows = 3, columns = 1L << 30, bytes = 2 * rows * columns;
        string header = $$$"""
            {"table":{"dtype":"F16","shape":[{{{rows}}},{{{columns}}}],"data_offsets":[0,{{{bytes}}}]},
             "after":{"dtype":"F32","shape":[2],"data_offsets":[{{{bytes}}},{{{bytes + 8}}}]}}
            """;
        using var folder = new TempFolder();
        string path = folder.Write("model.safetensors", RawSafetensors.Bytes(header, 0));
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Write))
        {
            long dataStart = stream.Length;
            stream.SetLength(dataStart + bytes); // sparse: the file system stores no zeros
            stream.Position = dataStart + bytes - 4;
            stream.Write([0x00, 0x3c, 0x00, 0xc0]); // 1, -2
            stream.Write([0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0x40]); // 1, 2
        }
        using var file = SafetensorsFile.Open(path);
        var table = new Weights(path, [file]).Get("table", rows, columns);
        var end = new float[4];
        table.Widen(rows * columns - 4, end);
        Assert.Equal([0, 0, 1, -2], end);
        Assert.Equal(-2, (float)((Half*)table.RowAddress(0))[table.Count - 1]);
        Assert.Equal([1f, 2f], file.ReadSingles("after"));
        Assert.Contains("elements to copy, found 3221225472", Assert.Throws<InputException>(() => table.ToSingles()).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => table.Widen(rows * columns - 3, end));
        Assert.Throws<ArgumentOutOfRangeException>(() => table.Widen(-1, end));
        Assert.Throws<ArgumentOutOfRangeException>(() => table.Widen(long.MaxValue, end));
    }

    [Fact]
    public void AMissingTensor_IsNamedWithThoseNearIt()
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("llava15", "model.safetensors"));
        string message = Assert.Throws<InputException>(() => file.Entry("language_model.model.layers.9.mlp.up_proj.weight")).Message;
        Assert.StartsWith(file.Path, message);
        Assert.Contains("no tensor 'language_model.model.layers.9.mlp.up_proj.weight'; near it: "
            + "'language_model.model.layers.0.mlp.up_proj.weight'", message);
        Assert.DoesNotContain("near it", Assert.Throws<InputException>(() => file.Entry("zzz")).Message);
    }

    [Fact]
    public void TheWrongKindOfNumber_IsRefused()
    {
        using var folder = new TempFolder();
        string path = folder.File("model.safetensors");
        SafetensorsWriter.Write(path, [TensorData.Of("f", [1f], 1), TensorData.Of("i", [1L], 1)]);
        using var file = SafetensorsFile.Open(path);
        Assert.Contains("'i': dtype: expected F32, F16, BF16 or F64, found I64",
            Assert.Throws<InputException>(() => file.ReadSingles("i")).Message);
        Assert.Contains("'f': dtype: expected I64, I32, I16, I8, U8 or BOOL, found F32",
            Assert.Throws<InputException>(() => file.ReadInt64s("f")).Message);
    }

    [Fact]
    public void AnAddress_IsGivenOnlyForOwnEntriesOfAnOpenFile()
    {
        using var folder = new TempFolder();
        SafetensorsWriter.Write(folder.File("a"), [TensorData.Of("x", [1f, 2f], 2)]);
        var file = SafetensorsFile.Open(folder.File("a"));
        var entry = file.Entry("x");
        Assert.Throws<ArgumentException>(() => (nint)file.Address(entry with { Bytes = 1 << 30 }));
        Assert.Throws<ArgumentException>(() => (nint)file.Address(new TensorEntry("y", StoredType.F32, [1], 0, 4)));
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => (nint)file.Address(entry));
        Assert.Throws<ObjectDisposedException>(() => file.ReadSingles("x"));
    }

    private static float[] WriteAndRead<T>(StoredType type, T[] values)
        where T : unmanaged
    {
        using var folder = new TempFolder();
        string path = folder.File("values.safetensors");
        byte[] bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes<T>(values).ToArray();
        SafetensorsWriter.Write(path, [new TensorData("values", type, [values.Length], bytes)]);
        using var file = SafetensorsFile.Open(path);
        var weight = new Weights(path, [file]).Get("values", values.Length);
        var part = new float[values.Length / 2];
        weight.Widen(values.Length - part.Length, part);
        float[] all = weight.ToSingles();
        Assert.Equal(all[^part.Length..], part);
        return all;
    }

    private static IEnumerable<float> Singles(string type, byte[] bytes) => type switch
    {
        "F32" => Enumerable.Range(0, bytes.Length / 4).Select(i => BitConverter.ToSingle(bytes, 4 * i)),
        "F16" => Enumerable.Range(0, bytes.Length / 2).Select(i => (float)BitConverter.ToHalf(bytes, 2 * i)),
        "BF16" =>
            Enumerable.Range(0, bytes.Length / 2).Select(
                i => BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(bytes, 2 * i) << 16)),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no fixture has this type"),
    };

    private static IEnumerable<long> Integers(string type, byte[] bytes) => type switch
    {
        "I64" => Enumerable.Range(0, bytes.Length / 8).Select(i => BitConverter.ToInt64(bytes, 8 * i)),
        "I32" => Enumerable.Range(0, bytes.Length / 4).Select(i => (long)BitConverter.ToInt32(bytes, 4 * i)),
        "U8" or "BOOL" => bytes.Select(value => (long)value),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no fixture has this type"),
    };
}
