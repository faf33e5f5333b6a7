using AnchorScope.Checkpoints;
using AnchorScope.Server.Audit;

namespace AnchorScope.Server.Policies;

/// <summary>The signature of a policy: a signed note (C2SP) beside it, whose text has the SHA-256 of the file's bytes.</summary>
internal static class PolicySignature
{
    private const string Title = "anchorscope policy";

    /// <summary>Where the signature of a policy is.</summary>
    public static string PathOf(string policy) => policy + ".sig";

    /// <summary>Signs the bytes of a policy.</summary>
    /// <exception cref="InputException">The policy cannot be read as JSON: nobody should sign what no server would take.</exception>
    public static void Sign(string policy, LogKey key)
    {
        Policy.Form(policy, JsonField.ReadBytes(policy));
        File.WriteAllText(PathOf(policy), key.Sign($"{Title}\n{Digest.OfFile(policy)}\n"));
    }

    /// <summary>Throws unless the key has signed exactly these bytes.</summary>
    /// <returns>SHA-256 of the bytes.</returns>
    /// <exception cref="InputException">There is no signature, it is not of this key, or the file was changed after it.</exception>
    public static string Verify(string policy, LogKey key)
    {
        var path = PathOf(policy);
        if (!File.Exists(path)) throw InputException.At(path, "signature", $"one of the key {key.Name}", "nothing");
        var text = key.Verify(File.ReadAllText(path)) ?? throw InputException.At(path, "signature",
            $"one of the key {key.Name}", "none that is valid");
        var hash = Digest.OfFile(policy);
        return text == $"{Title}\n{hash}\n" ? hash : throw Changed(policy);
    }

    /// <summary>The error of a policy whose bytes are not those that were signed.</summary>
    public static InputException Changed(string policy) =>
        InputException.At(policy, "policy", "the bytes that were signed", "others: it was changed after it was signed");
}
