using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>Character classes as the reference tokenizer library defines them.</summary>
internal static class CharacterClass
{
    /// <summary>\w of UTS #18: letters, marks, decimal digits, letter numbers, connectors, joiners, circled letters.</summary>
    public static bool IsWord(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or
        UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.NonSpacingMark or
        UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark or UnicodeCategory.DecimalDigitNumber or
        UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation => true,
        _ => rune.Value is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149)
            or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
    };

    public static bool IsNumeric(Rune rune) => Rune.IsNumber(rune);

    /// <summary>Unicode punctuation and all of ASCII's, including <c>$+&lt;=&gt;^`|~</c>, which are symbols in Unicode.</summary>
    public static bool IsPunctuation(Rune rune) => Rune.IsPunctuation(rune) || (rune.IsAscii && Rune.IsSymbol(rune));

    public static bool IsWhiteSpace(Rune rune) => Rune.IsWhiteSpace(rune);
}
