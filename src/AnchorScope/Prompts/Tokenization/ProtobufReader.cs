using System.Buffers.Binary;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>Reads the fields of one message of a protobuf file in order. Errors state the position.</summary>
/// <param name="file">Path, for messages.</param>
/// <param name="message">Bytes of the message.</param>
/// <param name="offset">Offset of the message in the file.</param>
internal ref struct ProtobufReader(string file, ReadOnlySpan<byte> message, int offset = 0)
{
    private const int Varint = 0, Eight = 1, Bytes = 2, Four = 5;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ReadOnlySpan<byte> message = message;
    private int at;
    private int wireType;

    /// <summary>Number of the current field; 0 after the last one.</summary>
    public int Field { get; private set; }

    /// <summary>Moves to the next field. The current one must have been read or skipped.</summary>
    public bool Next()
    {
        Field = 0;
        if (at == message.Length) return false;
        var tag = RawVarint();
        if (tag >> 3 is 0 or > int.MaxValue) throw Wrong("a field number", $"{tag >> 3}");
        (Field, wireType) = ((int)(tag >> 3), (int)(tag & 7));
        return true;
    }

    public void Skip()
    {
        switch (wireType)
        {
            case Varint: RawVarint(); break;
            case Eight: Take(8); break;
            case Bytes: Span(); break;
            case Four: Take(4); break;
            default: throw Wrong("a wire type of 0, 1, 2 or 5", $"{wireType}");
        }
    }

    /// <summary>Reads a 32-bit integer.</summary>
    public int Integer()
    {
        Need(Varint);
        var value = (long)RawVarint();
        return value is >= int.MinValue and <= int.MaxValue ? (int)value : throw Wrong("a number of 32 bits", $"{value}");
    }

    public bool Flag() => Integer() != 0;

    public float Single()
    {
        Need(Four);
        return BinaryPrimitives.ReadSingleLittleEndian(Take(4));
    }

    public string Text()
    {
        try
        {
            return Strict.GetString(Data());
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{file}: offset {offset + at}, field {Field}: expected UTF-8 text: {e.Message}", e);
        }
    }

    public ReadOnlySpan<byte> Data()
    {
        Need(Bytes);
        return Span();
    }

    /// <summary>Reads a nested message.</summary>
    public ProtobufReader Message()
    {
        Need(Bytes);
        var inner = Span();
        return new(file, inner, offset + at - inner.Length);
    }

    private readonly void Need(int expected)
    {
        if (wireType != expected) throw Wrong($"wire type {expected}", $"{wireType}");
    }

    private ReadOnlySpan<byte> Span()
    {
        var length = RawVarint();
        return length <= (ulong)(message.Length - at)
            ? Take((int)length) : throw Wrong($"at most {message.Length - at} bytes", $"{length}");
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > message.Length - at) throw Wrong($"{count} bytes", $"the end after {message.Length - at}");
        at += count;
        return message.Slice(at - count, count);
    }

    private ulong RawVarint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Take(1)[0];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80) return value;
        }
        throw Wrong("a number of at most 10 bytes", "a longer one");
    }

    private readonly InputException Wrong(string expected, string found) =>
        InputException.At(file, $"offset {offset + at}, field {Field}", expected, found);
}
