using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace AnchorScope.Tests.Checkpoints;

/// <summary>An independent minimal implementation of the format, with which the tests compare the library.</summary>
internal static class RawSafetensors
{
    /// <summary>Length, header, then that many data bytes 0, 1, 2, ...</summary>
    public static byte[] Bytes(string header, int dataBytes) => Bytes(Encoding.UTF8.GetBytes(header), dataBytes);

    public static byte[] Bytes(byte[] header, int dataBytes)
    {
        var bytes = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)header.Length);
        header.CopyTo(bytes, 8);
        for (int i = 0; i < dataBytes; i++)
            bytes[8 + header.Length + i] = (byte)i;
        return bytes;
    }

    public static string Header(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        return Encoding.UTF8.GetString(bytes, 8, (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes));
    }

    /// <summary>Every tensor of a file: name, dtype, shape, bytes.</summary>
    public static IEnumerable<(string Name, string Type, long[] Shape, byte[] Bytes)> Tensors(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        int headerBytes = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        using var header = JsonDocument.Parse(bytes.AsMemory(8, headerBytes));
        foreach (var tensor in header.RootElement.EnumerateObject().Where(tensor => tensor.Name != "__metadata__"))
        {
            int start = tensor.Value.GetProperty("data_offsets")[0].GetInt32();
            int end = tensor.Value.GetProperty("data_offsets")[1].GetInt32();
            yield return (
                tensor.Name,
                tensor.Value.GetProperty("dtype").GetString()!,
                [.. tensor.Value.GetProperty("shape").EnumerateArray().Select(axis => axis.GetInt64())],
                bytes[(8 + headerBytes + start)..(8 + headerBytes + end)]);
        }
    }
}
