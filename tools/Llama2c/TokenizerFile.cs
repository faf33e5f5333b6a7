using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Llama2c;

/// <summary>
/// A tokenizer.bin: the longest token's length, then a float score, a length and the bytes of each token. Its order is Llama's: unknown,
/// beginning, end, the 256 bytes, then the pieces.
/// </summary>
internal static class TokenizerFile
{
    private const int Bytes = 256;
    private const int FirstByte = 3;
    private const int FirstPiece = FirstByte + Bytes;
    private const char Mark = '\u2581'; // what SentencePiece has for a space

    private static readonly string[] Special = ["<unk>", "<s>", "</s>"];
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The tokens as SentencePiece writes them.</summary>
    /// <param name="name">What to call the data in messages.</param>
    /// <exception cref="InputException">Cut off, with something behind it, or not Llama's order.</exception>
    public static IReadOnlyList<(string Text, float Score)> Read(string name, ReadOnlySpan<byte> data, int count)
    {
        if (count < FirstPiece)
            throw InputException.At(name, "tokens", $"at least {FirstPiece}: {string.Join(", ", Special)} and {Bytes} bytes", $"{count}");
        var at = 0;
        var longest = BinaryPrimitives.ReadInt32LittleEndian(Take(data, 4, "max_token_length"));
        if (longest < 1) throw InputException.At(name, "max_token_length", "at least 1", $"{longest}");
        var tokens = new List<(string Text, float Score)>(count);
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < count; id++)
        {
            var score = BinaryPrimitives.ReadSingleLittleEndian(Take(data, 4, $"token {id}: score"));
            if (!float.IsFinite(score)) throw InputException.At(name, $"token {id}: score", "a finite number", $"{score}");
            var length = BinaryPrimitives.ReadInt32LittleEndian(Take(data, 4, $"token {id}: length"));
            if (length < 1 || length > longest)
                throw InputException.At(name, $"token {id}: length", $"1 to max_token_length {longest}", $"{length}");
            var text = Piece(name, id, Take(data, length, $"token {id}: text"));
            if (!seen.TryAdd(text, id))
                throw InputException.At(name, $"token {id}: text", "every piece once", $"that of token {seen[text]} again");
            tokens.Add((text, score));
        }
        return at == data.Length ? tokens
            : throw InputException.At(name, "tokens", $"{count}, as the model's vocab_size says, in {at} bytes", $"{data.Length} bytes");

        ReadOnlySpan<byte> Take(ReadOnlySpan<byte> from, int bytes, string field)
        {
            if (from.Length - at < bytes)
                throw InputException.At(name, field, $"{bytes} bytes", $"{from.Length - at} before the end of the file");
            at += bytes;
            return from.Slice(at - bytes, bytes);
        }
    }

    /// <summary>
    /// The tokens as SentencePiece's tokenizer.model: BPE with byte fallback, a space in front of every text, nothing normalised.
    /// </summary>
    public static byte[] ToSentencePiece(IReadOnlyList<(string Text, float Score)> tokens)
    {
        const int Unknown = 2, Control = 3, Byte = 6, Bpe = 2;
        using var model = new MemoryStream();
        for (var id = 0; id < tokens.Count; id++)
        {
            var piece = new MemoryStream();
            Text(piece, 1, tokens[id].Text);
            Single(piece, 2, tokens[id].Score);
            if (id < FirstPiece) Integer(piece, 3, id == 0 ? Unknown : id < FirstByte ? Control : Byte);
            Message(model, 1, piece);
        }
        var trainer = new MemoryStream();
        Integer(trainer, 3, Bpe);
        Integer(trainer, 4, tokens.Count);
        Integer(trainer, 35, 1); // byte_fallback
        Integer(trainer, 40, 0); // ids of unknown, beginning and end
        Integer(trainer, 41, 1);
        Integer(trainer, 42, 2);
        Message(model, 2, trainer);
        var normalizer = new MemoryStream();
        Text(normalizer, 1, "identity");
        Integer(normalizer, 3, 1); // add_dummy_prefix
        Integer(normalizer, 4, 0); // remove_extra_whitespaces
        Integer(normalizer, 5, 1); // escape_whitespaces
        Message(model, 3, normalizer);
        return model.ToArray();
    }

    /// <summary>
    /// Undoes what llama2.c's export does to SentencePiece's pieces: line ends around control tokens, bytes as characters, spaces for
    /// marks.
    /// </summary>
    private static string Piece(string name, int id, ReadOnlySpan<byte> utf8)
    {
        if (id is >= FirstByte and < FirstPiece)
        {
            // Exports of different age write a byte in its own notation, or as the character of that number.
            var value = id - FirstByte;
            var text = string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");
            return utf8.SequenceEqual(StrictUtf8.GetBytes(text)) || utf8.SequenceEqual(StrictUtf8.GetBytes([(char)value]))
                ? text
                : throw InputException.At(name, $"token {id}: text", $"the byte {text}", Quoted.Of(Encoding.UTF8.GetString(utf8)));
        }
        string piece;
        try
        {
            piece = StrictUtf8.GetString(utf8);
        }
        catch (DecoderFallbackException)
        {
            throw InputException.At(name, $"token {id}: text", "UTF-8", Convert.ToHexString(utf8));
        }
        if (id >= FirstPiece) return piece.Replace(' ', Mark);
        return piece.Trim('\n') == Special[id]
            ? Special[id] : throw InputException.At(name, $"token {id}: text", Special[id], Quoted.Of(piece));
    }

    // Protocol Buffers: a key of field number and wire type, then the value.
    private static void Integer(MemoryStream to, int field, int value)
    {
        Varint(to, field << 3);
        Varint(to, value);
    }

    private static void Single(MemoryStream to, int field, float value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(float)];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        Varint(to, field << 3 | 5);
        to.Write(bytes);
    }

    private static void Text(MemoryStream to, int field, string value) => Data(to, field, StrictUtf8.GetBytes(value));

    private static void Message(MemoryStream to, int field, MemoryStream message) => Data(to, field, message.ToArray());

    private static void Data(MemoryStream to, int field, byte[] value)
    {
        Varint(to, field << 3 | 2);
        Varint(to, value.Length);
        to.Write(value);
    }

    private static void Varint(MemoryStream to, int value)
    {
        for (; value > 0x7F; value >>= 7) to.WriteByte((byte)(value | 0x80));
        to.WriteByte((byte)value);
    }
}
