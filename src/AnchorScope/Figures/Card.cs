namespace AnchorScope.Figures;

/// <summary>The answer under one condition.</summary>
/// <param name="Condition">For instance "baseline" or "3 hubs blocked".</param>
/// <param name="Right">Whether the answer is the expected one; null: not judged.</param>
internal sealed record CardAnswer(string Condition, string Answer, bool? Right);

/// <summary>One example of a conflict with the answers of a model.</summary>
/// <param name="Name">Id of the sample.</param>
internal sealed record Card(string Name)
{
    /// <summary>Bytes of an image file; null for no picture.</summary>
    public byte[]? Picture { get; init; }

    /// <summary>Media type of <see cref="Picture"/>.</summary>
    public string PictureType { get; init; } = "image/png";

    /// <summary>Whether the picture has few pixels and is enlarged without blur.</summary>
    public bool Pixelated { get; init; }

    /// <summary>Description of the picture.</summary>
    public string PictureText { get; init; } = "";

    /// <summary>The text context that contradicts the picture.</summary>
    public string TextContext { get; init; } = "";

    public string Question { get; init; } = "";

    public string Instruction { get; init; } = "";

    public string Expected { get; init; } = "";

    public IReadOnlyList<CardAnswer> Answers { get; init; } = [];

    internal void Write(MarkupText html)
    {
        html.Open("article", ("class", "card")).Line();
        if (Picture is not null)
        {
            html.Leaf("img", ("class", Pixelated ? "pixelated" : "photo"), ("alt", PictureText),
                ("src", $"data:{PictureType};base64,{Convert.ToBase64String(Picture)}")).Line();
        }
        html.Open("div", ("class", "facts")).Text("p", Name, ("class", "name")).Line().Open("dl").Line();
        Fact(html, "Image", PictureText);
        Fact(html, "Text", TextContext);
        Fact(html, "Instruction", Instruction);
        Fact(html, "Question", Question);
        Fact(html, "Expected", Expected);
        html.Close("dl").Close("div").Line();
        if (Answers.Count > 0)
        {
            html.Open("ul", ("class", "answers")).Line();
            foreach (var answer in Answers)
            {
                var (style, mark, name) = answer.Right switch
                {
                    true => ("right", "✓", "right"),
                    false => ("wrong", "✕", "wrong"),
                    null => ("open", "·", "not judged"),
                };
                html.Open("li", ("class", style))
                    .Text("span", answer.Condition, ("class", "condition")).Text("span", answer.Answer, ("class", "answer"))
                    .Text("span", mark, ("class", "mark"), ("role", "img"), ("aria-label", name)).Close("li").Line();
            }
            html.Close("ul").Line();
        }
        html.Close("article").Line();
    }

    private static void Fact(MarkupText html, string name, string value)
    {
        if (value.Length > 0) html.Open("div").Text("dt", name).Text("dd", value).Close("div").Line();
    }
}
