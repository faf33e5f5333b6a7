using System.Buffers.Binary;
using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Checkpoints;

/// <summary>
/// Seeded mutations of valid files: either the file still obeys the format, or <see cref="InputException"/> states why not.
/// </summary>
public sealed class SafetensorsFuzzTests : IDisposable
{
    private const int Rounds = 400;

    private readonly TempFolder folder = new();
    private readonly Random random = new(20240607);

    private static readonly string[] Tokens =
    [
        "{", "}", "[", "]", ",", ":", "\"", "\\u0000", "\\ud800", "-", "1e9", "0", "9223372036854775807", "18446744073709551615",
        "null", "true", "\"BF16\"", "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", " ", "\n", "é", "[[[[[[[[",
    ];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void FlippedBytes() => Fuzz(bytes =>
    {
        for (int i = random.Next(1, 4); i > 0; i--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return bytes;
    });

    [Fact]
    public void FlippedBitsInTheFirstBytes() => Fuzz(bytes =>
    {
        bytes[random.Next(16)] ^= (byte)(1 << random.Next(8));
        return bytes;
    });

    [Fact]
    public void Truncations() => Fuzz(bytes => bytes[..random.Next(bytes.Length)], allRefused: true);

    [Fact]
    public void RandomBytes() => Fuzz(_ =>
    {
        var bytes = new byte[random.Next(200)];
        random.NextBytes(bytes);
        return bytes;
    }, allRefused: true);

    [Fact]
    public void RandomHeadersOfTheRightLength() => Fuzz(_ =>
    {
        var header = new byte[random.Next(200)];
        random.NextBytes(header);
        return RawSafetensors.Bytes([(byte)'{', .. header], random.Next(16));
    }, allRefused: true);

    [Fact]
    public void HeadersOfShuffledTokens() => Fuzz(_ =>
        RawSafetensors.Bytes("{" + string.Concat(random.GetItems(Tokens, random.Next(40))), random.Next(16)));

    [Fact]
    public void TokensPutIntoAValidHeader() => Fuzz(bytes =>
    {
        int headerBytes = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        int at = random.Next(1, headerBytes), cut = random.Next(0, Math.Min(6, headerBytes - at));
        byte[] header = [.. bytes.AsSpan(8, at), .. Encoding.UTF8.GetBytes(random.GetItems(Tokens, 1)[0]),
            .. bytes.AsSpan(8 + at + cut, headerBytes - at - cut)];
        byte[] data = bytes[(8 + headerBytes)..];
        byte[] mutated = RawSafetensors.Bytes(header, data.Length);
        data.CopyTo(mutated, 8 + header.Length);
        return mutated;
    });

    private void Fuzz(Func<byte[], byte[]> mutate, bool allRefused = false)
    {
        string valid = folder.File("valid.safetensors");
        SafetensorsWriter.Write(
            valid,
            [
                TensorData.Of("language_model.model.embed_tokens.weight", Enumerable.Range(0, 12).Select(i => (float)i).ToArray(), 4, 3),
                TensorData.Of("vision_tower.position_ids", [1L, 2, 3], 1, 3),
                new TensorData("multi_modal_projector.bias", StoredType.BF16, [2], new byte[4]),
                new TensorData("empty", StoredType.U8, [0], default),
            ],
            new Dictionary<string, string> { ["format"] = "pt" });
        byte[] whole = File.ReadAllBytes(valid);
        SafetensorsFile.Open(valid).Dispose();
        int refused = 0;
        for (int round = 0; round < Rounds; round++)
        {
            string path = folder.Write("fuzz.safetensors", mutate((byte[])whole.Clone()));
            long before = GC.GetAllocatedBytesForCurrentThread();
            refused += Open(path) ? 0 : 1;
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated < 200_000, $"round {round}: {allocated} bytes allocated");
        }
        Assert.InRange(refused, allRefused ? Rounds : Rounds / 4, Rounds);
    }

    /// <summary>Opens and reads everything; returns whether the file was accepted.</summary>
    private static bool Open(string path)
    {
        try
        {
            using var file = SafetensorsFile.Open(path);
            long covered = 0;
            foreach (var entry in file.Tensors.Values)
            {
                long count = entry.Type.IsFloat ? file.ReadSingles(entry.Name).LongLength : file.ReadInt64s(entry.Name).LongLength;
                Assert.Equal(entry.Shape.Aggregate(1L, (product, axis) => product * axis), count);
                Assert.InRange(entry.Offset + entry.Bytes, 8, new FileInfo(path).Length);
                covered += entry.Bytes;
            }
            long headerBytes = (long)BinaryPrimitives.ReadUInt64LittleEndian(File.ReadAllBytes(path));
            Assert.Equal(new FileInfo(path).Length, 8 + headerBytes + covered);
            return true;
        }
        catch (InputException e)
        {
            Assert.StartsWith(path + ": ", e.Message);
            Assert.DoesNotContain('\n', e.Message);
            return false;
        }
    }
}
