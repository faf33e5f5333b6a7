namespace AnchorScope.Prompts;

/// <summary>Recognises picture formats by their first bytes, whatever the name of the file.</summary>
internal static class PictureFormat
{
    public const string WebP = "a WebP picture", Gif = "a GIF picture", Bmp = "a BMP picture", Tiff = "a TIFF picture";

    /// <summary>"PNG", "JPEG", or a description of another format.</summary>
    public static string Of(ReadOnlySpan<byte> file)
    {
        if (file.IsEmpty)
            return "an empty file";
        if (file.StartsWith(PngReader.Signature))
            return "PNG";
        if (file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]))
            return "JPEG";
        if (file.StartsWith("GIF8"u8))
            return Gif;
        if (file.Length >= 12 && file.StartsWith("RIFF"u8) && file[8..].StartsWith("WEBP"u8))
            return WebP;
        if (file.Length >= 14 && file.StartsWith("BM"u8))
            return Bmp;
        if (file.StartsWith("II*\0"u8) || file.StartsWith("MM\0*"u8))
            return Tiff;
        if (file.Length >= 12 && file[4..].StartsWith("ftyp"u8))
            return file[8..].StartsWith("avif"u8) ? "an AVIF picture" : "an HEIF picture or a video";
        if (file.StartsWith("%PDF"u8))
            return "a PDF document";
        return LooksLikeText(file) ? "text" : "an unknown format";
    }

    private static bool LooksLikeText(ReadOnlySpan<byte> file)
    {
        foreach (var b in file[..Math.Min(file.Length, 64)])
        {
            if (b < 0x20 && b is not ((byte)'\t' or (byte)'\n' or (byte)'\r'))
                return false;
        }
        return true;
    }
}
