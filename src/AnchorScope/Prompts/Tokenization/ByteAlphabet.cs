using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>The alphabet of byte-level BPE: one printable character for each of the 256 bytes, as defined by GPT-2.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = Assign();
    private static readonly Dictionary<char, byte> Bytes =
        Characters.Select((character, value) => (character, value)).ToDictionary(pair => pair.character, pair => (byte)pair.value);

    /// <summary>The UTF-8 bytes of the text in this alphabet. Every byte keeps the origin of its whole character.</summary>
    public static AlignedText Write(AlignedText text)
    {
        var result = new AlignedText.Builder(text.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0, length; i < text.Length; i += length)
        {
            var rune = Rune.GetRuneAt(text.Text, i);
            length = rune.Utf16SequenceLength;
            foreach (var value in utf8[..rune.EncodeToUtf8(utf8)])
                result.Append(Characters[value], text.StartOf(i), text.EndOf(i + length - 1));
        }
        return result.Build();
    }

    /// <summary>The character of a byte.</summary>
    public static char Of(byte value) => Characters[value];

    /// <summary>
    /// The bytes that a token represents. A token with any character outside the alphabet represents its own UTF-8 bytes.
    /// </summary>
    public static IEnumerable<byte> Read(string token) =>
        token.All(Bytes.ContainsKey) ? token.Select(character => Bytes[character]) : Encoding.UTF8.GetBytes(token);

    // Printable Latin-1 characters represent themselves. The others follow from U+0100 on, in the order of their values.
    private static char[] Assign()
    {
        var characters = new char[256];
        var next = '\u0100';
        for (var value = 0; value < 256; value++)
            characters[value] = value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : next++;
        return characters;
    }
}
