using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace AnchorScope.Tests.Prompts;

/// <summary>The tensors of a golden .safetensors file.</summary>
internal sealed class GoldenTensors(params string[] path)
{
    private readonly byte[] file = File.ReadAllBytes(Fixtures.Path(path));

    public IEnumerable<string> Names => Header().EnumerateObject().Select(entry => entry.Name).Where(name => name != "__metadata__");

    public int[] Shape(string name) => Header().GetProperty(name).GetProperty("shape").EnumerateArray().Select(n => n.GetInt32()).ToArray();

    public byte[] Bytes(string name)
    {
        var offsets = Header().GetProperty(name).GetProperty("data_offsets");
        var start = 8 + HeaderLength;
        return file[(start + offsets[0].GetInt32())..(start + offsets[1].GetInt32())];
    }

    public float[] Singles(string name) => MemoryMarshal.Cast<byte, float>(Bytes(name)).ToArray();

    private int HeaderLength => (int)BinaryPrimitives.ReadInt64LittleEndian(file);

    private JsonElement Header() => JsonDocument.Parse(file.AsMemory(8, HeaderLength)).RootElement;
}
