using System.Runtime.InteropServices;
using System.Security.Cryptography;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Tensors;

/// <summary>
/// Bits of a forward pass with a blocked head, pinned for the current Numerics.Version. If they change, the version must be raised and the
/// digests updated: a run must never be resumed with other bits.
/// </summary>
public sealed class NumericsTests
{
    [Theory]
    [InlineData(1, "llava15", "one_image", KernelFamily.Panel, "525ece4a404cdf93")]
    [InlineData(1, "llava15", "one_image", KernelFamily.Direct, "cbfea37c515a4488")]
    [InlineData(1, "qwen25vl", "one_image_nonsquare", KernelFamily.Panel, "765d3f1a9792a7fc")]
    [InlineData(1, "internvl3", "tiled_image", KernelFamily.Panel, "e9ada5349ccc30ce")]
    [InlineData(1, "smolvlm", "one_image_split", KernelFamily.Panel, "17c407e8e1ec8d16")]
    public void TheBitsAreThoseOfTheVersion(int version, string model, string prompt, object familyGiven, string digest)
    {
        var family = (KernelFamily)familyGiven;
        using var tiny = Tiny.Open(model, prompt, family);
        var logits = tiny.Alone(Intervention.HeadGain(1, 1, 0, Positions.Of(tiny.Prompt.Length - 1)));
        Assert.Equal(
            (version, digest), (Numerics.Version, Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<float>(logits)))[..16]));
    }
}
