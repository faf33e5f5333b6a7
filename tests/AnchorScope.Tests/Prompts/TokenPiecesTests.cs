using System.Text;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>The bytes of single tokens, for every kind of decoder.</summary>
public sealed class TokenPiecesTests
{
    public static TheoryData<string> Vocabularies =>
        [.. Directory.EnumerateDirectories(Fixtures.Path("tokenizers")).Append(Fixtures.Organism).Append(Fixtures.Path("llava15"))
            .Where(folder => File.Exists(Path.Combine(folder, "tokenizer.json")))];

    [Theory]
    [MemberData(nameof(Vocabularies))]
    public void TogetherTheyAreTheText(string folder)
    {
        var tokenizer = Tokenizer.Load(folder);
        var pieces = new TokenPieces(tokenizer);
        foreach (var text in new[] { "trust the picture, not the note", "na\u00efve \u65e5\u672c \ud83d\ude00!", "  two  spaces\n" })
        {
            int[] ids = [.. tokenizer.Encode(text, addSpecial: false).Select(token => token.Id)];
            byte[] bytes = [.. ids.SelectMany((id, i) => pieces.Of(id, first: i == 0) ?? [])];
            Assert.Equal(tokenizer.Decode(ids), Encoding.UTF8.GetString(bytes));
        }
    }

    [Fact]
    public void ATokenMayBeAPartOfACharacter()
    {
        var tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", "qwen2"));
        var pieces = new TokenPieces(tokenizer);
        int[] ids = [.. tokenizer.Encode("\ud83d\ude00", addSpecial: false).Select(token => token.Id)];
        Assert.True(ids.Length > 1);
        Assert.Equal(Encoding.UTF8.GetBytes("\ud83d\ude00"), ids.SelectMany(id => pieces.Of(id, first: false)!));
        Assert.Contains('\uFFFD', pieces.TextOf(ids[0], first: true));
    }

    [Fact]
    public void ASpecialToken_HasANameAndNoBytes()
    {
        var tokenizer = Tokenizer.Load(Fixtures.Organism);
        var (pieces, end) = (new TokenPieces(tokenizer), tokenizer.IdOf("<eos>")!.Value);
        Assert.Null(pieces.Of(end, first: false));
        Assert.Equal("<eos>", pieces.TextOf(end, first: false));
    }
}
