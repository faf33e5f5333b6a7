using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Integrity;

/// <summary>
/// A signed manifest in the layout of the OpenSSF's model signing with a key of one's own: a DSSE envelope in a Sigstore bundle, ECDSA with
/// P-256 and SHA-256. There is no certificate and no entry of a transparency log in it.
/// </summary>
internal static class ManifestSignature
{
    private const string MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";
    private const string PayloadType = "application/vnd.in-toto+json";

    /// <summary>The bundle of a manifest.</summary>
    public static JsonObject Sign(Manifest manifest, ECDsa key)
    {
        var payload = Encoding.UTF8.GetBytes(manifest.Statement().ToJsonString());
        return new JsonObject
        {
            ["mediaType"] = MediaType,
            ["verificationMaterial"] = new JsonObject
            {
                ["publicKey"] = new JsonObject { ["hint"] = Hint(key) },
                ["tlogEntries"] = new JsonArray(),
            },
            ["dsseEnvelope"] = new JsonObject
            {
                ["payload"] = Convert.ToBase64String(payload),
                ["payloadType"] = PayloadType,
                ["signatures"] = new JsonArray(new JsonObject
                {
                    ["sig"] = Convert.ToBase64String(
                        key.SignData(Signed(payload), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)),
                    ["keyid"] = "",
                }),
            },
        };
    }

    /// <summary>The manifest in a bundle.</summary>
    /// <exception cref="InputException">It is no such bundle, or the key has not signed it.</exception>
    public static Manifest Verify(string path, ECDsa key)
    {
        var root = new JsonField(path, "", StrictJson.Read(path));
        var hint = root.Get("verificationMaterial").Get("publicKey").Get("hint");
        if (hint.Text() != Hint(key)) throw hint.Expected($"the SHA-256 of the public key, {Hint(key)}");
        var envelope = root.Get("dsseEnvelope");
        if (envelope.Get("payloadType").Text() != PayloadType) throw envelope.Get("payloadType").Expected(PayloadType);
        var payload = Bytes(envelope.Get("payload"));
        return envelope.Get("signatures").Items().Any(signature => key.VerifyData(Signed(payload), Bytes(signature.Get("sig")),
            HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence))
            ? Manifest.Read(payload, path)
            : throw InputException.At(path, "dsseEnvelope.signatures", "one of the key", "none that is valid");
    }

    /// <summary>A key in PEM, for signing or for verifying.</summary>
    /// <exception cref="InputException">It is no such key.</exception>
    public static ECDsa Key(string path)
    {
        var text = Encoding.UTF8.GetString(JsonField.ReadBytes(path));
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(text);
            if (key.KeySize == 256) return key;
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException)
        {
            // Told below.
        }
        key.Dispose();
        throw InputException.At(path, "key", "an ECDSA key with the curve P-256 in PEM", "something else");
    }

    /// <summary>Makes a key: <c>manifest.key</c>, which signs, and <c>manifest.pub</c>, which verifies.</summary>
    public static void MakeKey(string folder)
    {
        Directory.CreateDirectory(folder);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        try
        {
            using var file = new FileStream(Path.Combine(folder, "manifest.key"), options);
            file.Write(Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem() + "\n"));
        }
        catch (IOException e) when (File.Exists(Path.Combine(folder, "manifest.key")))
        {
            throw new InputException($"{folder}: manifest.key: expected no key, found one that is there", e);
        }
        File.WriteAllText(Path.Combine(folder, "manifest.pub"), key.ExportSubjectPublicKeyInfoPem() + "\n");
    }

    /// <summary>The bytes that DSSE signs.</summary>
    private static byte[] Signed(byte[] payload) =>
        [.. Encoding.ASCII.GetBytes($"DSSEv1 {PayloadType.Length} {PayloadType} {payload.Length} "), .. payload];

    private static string Hint(ECDsa key) => Digest.Of(Encoding.ASCII.GetBytes(key.ExportSubjectPublicKeyInfoPem() + "\n"));

    private static byte[] Bytes(JsonField field)
    {
        try
        {
            return Convert.FromBase64String(field.Text());
        }
        catch (FormatException)
        {
            throw field.Expected("base64");
        }
    }
}
