using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace AnchorScope.Server.Audit;

/// <summary>
/// An Ed25519 key of signed notes (C2SP): <c>name+hash+base64</c> to verify, <c>PRIVATE+KEY+name+hash+base64</c> to sign.
/// </summary>
internal sealed class LogKey
{
    private const byte Ed25519 = 1;
    private const string PrivatePrefix = "PRIVATE+KEY+";

    private readonly PublicKey _public;
    private readonly Key? _private;

    private LogKey(string name, PublicKey verifies, Key? signs) => (Name, _public, _private) = (name, verifies, signs);

    /// <summary>The name of the key, which is the origin of the log.</summary>
    public string Name { get; }

    /// <summary>The form with which anyone can verify.</summary>
    public string Verifier => $"{Name}+{Hash}+{Convert.ToBase64String([Ed25519, .. _public.Export(KeyBlobFormat.RawPublicKey)])}";

    private byte[] HashBytes => SHA256.HashData(
        [.. Encoding.UTF8.GetBytes(Name), (byte)'\n', Ed25519, .. _public.Export(KeyBlobFormat.RawPublicKey)])[..4];

    private string Hash => Convert.ToHexStringLower(HashBytes);

    /// <summary>Reads the signing key in a folder, or makes a new one there, readable for its owner only.</summary>
    /// <exception cref="InputException">The file is no such key.</exception>
    public static LogKey LoadOrCreate(string folder)
    {
        var path = Path.Combine(folder, "key");
        if (File.Exists(path)) return Parse(File.ReadAllText(path).Trim(), path);
        var name = "anchorscope/" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        using var made = Key.Create(SignatureAlgorithm.Ed25519,
            new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });
        var seed = made.Export(KeyBlobFormat.RawPrivateKey);
        var key = new LogKey(name, made.PublicKey, Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey));
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var file = new FileStream(path, options))
        {
            file.Write(Encoding.ASCII.GetBytes($"{PrivatePrefix}{name}+{key.Hash}+{Convert.ToBase64String([Ed25519, .. seed])}\n"));
            file.Flush(flushToDisk: true);
        }
        File.WriteAllText(path + ".pub", key.Verifier + "\n");
        return key;
    }

    /// <summary>Reads a key of either form.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <exception cref="InputException">It is no such key.</exception>
    public static LogKey Parse(string text, string file)
    {
        var isPrivate = text.StartsWith(PrivatePrefix, StringComparison.Ordinal);
        var parts = (isPrivate ? text[PrivatePrefix.Length..] : text).Split('+', 3);
        var bytes = new byte[33];
        if (parts.Length != 3 || !Convert.TryFromBase64String(parts[2], bytes, out var count) || count != 33 || bytes[0] != Ed25519)
            throw InputException.At(file, "key", "an Ed25519 key of signed notes, name+hash+base64", "something else");
        LogKey key;
        try
        {
            if (isPrivate)
            {
                var signs = Key.Import(SignatureAlgorithm.Ed25519, bytes.AsSpan(1), KeyBlobFormat.RawPrivateKey);
                key = new LogKey(parts[0], signs.PublicKey, signs);
            }
            else
                key = new LogKey(parts[0], PublicKey.Import(SignatureAlgorithm.Ed25519, bytes.AsSpan(1), KeyBlobFormat.RawPublicKey), null);
        }
        catch (FormatException e)
        {
            throw new InputException($"{file}: key: {e.Message}", e);
        }
        return key.Hash == parts[1] ? key : throw InputException.At(file, "key", $"the hash {key.Hash}", parts[1]);
    }

    /// <summary>A signed note of a text that ends with a line break.</summary>
    public string Sign(string text)
    {
        var signature = SignatureAlgorithm.Ed25519.Sign(
            _private ?? throw new InvalidOperationException("this key can only verify"), Encoding.UTF8.GetBytes(text));
        return string.Create(CultureInfo.InvariantCulture,
            $"{text}\n\u2014 {Name} {Convert.ToBase64String([.. HashBytes, .. signature])}\n");
    }

    /// <summary>The text of a note that this key has signed; null if it has not.</summary>
    public string? Verify(string note)
    {
        var end = note.LastIndexOf("\n\n", StringComparison.Ordinal);
        if (end < 0) return null;
        var text = note[..(end + 1)];
        foreach (var line in note[(end + 2)..].Split('\n'))
        {
            if (!line.StartsWith($"\u2014 {Name} ", StringComparison.Ordinal)) continue;
            var bytes = new byte[4 + 64];
            if (!Convert.TryFromBase64String(line[(Name.Length + 3)..], bytes, out var count) || count != bytes.Length) continue;
            if (bytes.AsSpan(0, 4).SequenceEqual(HashBytes)
                && SignatureAlgorithm.Ed25519.Verify(_public, Encoding.UTF8.GetBytes(text), bytes.AsSpan(4)))
                return text;
        }
        return null;
    }
}
