using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// Sets of characters by name, over all code points, against what Oniguruma in tokenizers 0.23.1 matches: the first 16 digits of SHA-256 of
/// the ranges (tests/fixtures/text/make_sets.py).
/// </summary>
public sealed class RegexSetTests
{
    [Fact]
    public void EverySet_IsOnigurumas()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("text", "unicode-sets.json")));
        var wrong = golden.RootElement.EnumerateObject().Where(set => Find(set.Name) is not { } found
            || Hash(found) != set.Value.GetString()).Select(set => set.Name).ToList();
        Assert.Equal("", string.Join(' ', wrong));
        Assert.True(golden.RootElement.EnumerateObject().Count() > 200);
    }

    [Fact]
    public void SetsAreAlgebra()
    {
        var letters = CodePointSet.Range('a', 'f');
        Assert.Equal([('a', 'b'), ('d', 'f')], letters.And(CodePointSet.Of('c').Not()).Ranges().Select(range =>
            ((char)range.First, (char)range.Last)));
        Assert.True(letters.Contains('a') && letters.Contains('f') && !letters.Contains('g') && !letters.Contains('`'));
        Assert.True(letters.Or(letters.Not()).Not().IsEmpty);
        Assert.True(CodePointSet.All.Contains(letters) && !letters.Contains(CodePointSet.All));
        Assert.Equal(('c', (int?)null), ((char)CodePointSet.Of('c').Single!.Value, letters.Single));
    }

    // Bracket and property of one name differ for punct and word; the golden ones are the bracket's.
    private static CodePointSet? Find(string name) => UnicodeSets.Find(name[(name.IndexOf(':', StringComparison.Ordinal) + 1)..]);

    private static string Hash(CodePointSet set) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(' ',
        set.And(CodePointSet.Range(0xD800, 0xDFFF).Not()).Ranges().Select(range =>
            string.Create(CultureInfo.InvariantCulture, $"{range.First:X}-{range.Last:X}"))))))[..16];
}
