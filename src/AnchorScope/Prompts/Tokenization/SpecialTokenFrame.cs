using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>The special tokens that tokenizer.json's <c>post_processor</c> adds before and after a single sequence.</summary>
internal sealed record SpecialTokenFrame(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    public static SpecialTokenFrame None { get; } = new([], []);

    public static SpecialTokenFrame Read(JsonField field) => field.Get("type").Text() switch
    {
        "Sequence" => field.Get("processors").Items().Select(Read).Aggregate(None, (inner, outer) =>
            new([.. outer.Before, .. inner.Before], [.. inner.After, .. outer.After])),
        // It only trims white space from the offsets. Ours must cover all of the text.
        "ByteLevel" => None,
        "TemplateProcessing" => FromTemplate(field),
        _ => throw field.Get("type").Unsupported("post-processors Sequence, ByteLevel, TemplateProcessing"),
    };

    private static SpecialTokenFrame FromTemplate(JsonField field)
    {
        var (before, after) = (new List<int>(), new List<int>());
        var seenText = false;
        foreach (var piece in field.Get("single").Items())
        {
            if (piece.Find("SpecialToken") is { } special)
                (seenText ? after : before).AddRange(Ids(field, special.Get("id")));
            else if (piece.Find("Sequence") is { } sequence && sequence.Get("id").Text() == "A" && !seenText)
                seenText = true;
            else
                throw piece.Expected("a SpecialToken, or the Sequence A once");
        }
        return seenText ? new(before, after) : throw field.Get("single").Expected("the Sequence A once");
    }

    private static IEnumerable<int> Ids(JsonField template, JsonField name)
    {
        var token = template.Get("special_tokens").Find(name.Text()) ?? throw name.Expected("a token listed in special_tokens");
        return token.Get("ids").Items().Select(TokenModel.ReadId);
    }
}
