using System.Security.Cryptography;

namespace AnchorScope.Checkpoints;

/// <summary>SHA-256 in lower-case hexadecimal, as <c>sha256sum</c> prints it.</summary>
internal static class Digest
{
    public static string Of(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Of a file's bytes, read piece by piece.</summary>
    /// <exception cref="InputException">It cannot be read.</exception>
    public static string OfFile(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 16);
            return Convert.ToHexStringLower(SHA256.HashData(stream));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: the file cannot be read: {FileError.Reason(e)}", e);
        }
    }

    /// <summary>Enough of a digest to tell two apart by eye.</summary>
    public static string Short(string digest) => digest[..Math.Min(12, digest.Length)];
}
