using System.Security.Cryptography;
using System.Text;
using AnchorScope.Prompts.Tokenization;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// Upper, lower and title case of every character against Python 3.14 (Unicode 16.0): SHA-256 of the results, one a line.
/// </summary>
public sealed class UnicodeCasingTests
{
    [Fact]
    public void EveryCharacter_HasPythonsCases()
    {
        Assert.Equal("5a8d2803cfe6cbd57eca9cbbfa6f7edbc8d976d74e81c6ea3873c7f2beab515f", Hash(UnicodeCasing.Upper));
        Assert.Equal("32ea6aec2acbac2bd62a052fa2cfc385f29df6f543c8e018770da0c7d2dc1091", Hash(UnicodeCasing.Lower));
        Assert.Equal("bcaf8518895349a0b8fde8ea3cc4a55b2fa6aff95a3961d559ae32333a4c17ee", Hash(UnicodeCasing.Title));
    }

    /// <summary>A sigma before and after every character: which characters are skipped, which end a word.</summary>
    [Fact]
    public void EveryCharacterInAWord_LeavesOrEndsIt()
    {
        Assert.Equal("f4a517549e3f0cd05dafac5f670c36612ae04237feebea2a4b3d88223ff27a69", Hash(c => UnicodeCasing.Lower($"aΣ{c}Σb Σ{c}Σ")));
        Assert.Equal("28c1eb0adb81169d112cf2aabd9e8a111b891d6d9128179d9b7ae29d6b62c581", Hash(c => UnicodeCasing.Title($"a{c}bΣ")));
    }

    private static string Hash(Func<string, string> written) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n',
        Enumerable.Range(0, 0x110000).Where(code => code is < 0xD800 or > 0xDFFF).Select(code => written(char.ConvertFromUtf32(code)))))));
}
