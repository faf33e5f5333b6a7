using System.Security.Cryptography;

namespace AnchorScope.Checkpoints;

/// <summary>SHA-256 in lower-case hexadecimal, as <c>sha256sum</c> prints it.</summary>
internal static class Digest
{
    public static string Of(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Digest of a file, read in pieces.</summary>
    /// <exception cref="InputException">The file cannot be read.</exception>
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

    /// <summary>The first 12 digits of a digest, for display.</summary>
    public static string Short(string digest) => digest[..Math.Min(12, digest.Length)];
}
