using AnchorScope.Conflicts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Conflicts;

/// <summary>The model reads exactly the text that prompt.json defines, or the file is refused.</summary>
public sealed class PromptLayoutTests : IDisposable
{
    private static readonly ConflictSample Sample = new()
    {
        Id = "a", Question = "Which colour?", TextContext = "It is red.", Constraint = "One word.",
        Instructions = new Dictionary<Modality, string> { [Modality.Vision] = "Trust the picture.", [Modality.Text] = "Trust the text." },
        Answers = new Dictionary<Modality, IReadOnlyList<string>> { [Modality.Vision] = ["blue"], [Modality.Text] = ["red"] },
    };

    private readonly TempFolder _temp = new();

    [Theory]
    [InlineData("Context: {text_context}\\nQ: {question}\\nRule: {instruction} Answer:",
        "Context: It is red.\nQ: Which colour?\nRule: Trust the text. Answer:", "Q: Which colour?\nRule: Trust the text. Answer:")]
    [InlineData("{image}\\n{question} {instruction}", "\nWhich colour? Trust the text.", "\nWhich colour? Trust the text.")]
    [InlineData("{instruction} {text_context} {question} {constraint}", "Trust the text. It is red. Which colour? One word.",
        "Trust the text. Which colour? One word.")]
    [InlineData("  {text_context} {question} {instruction}  ", "  It is red. Which colour? Trust the text.  ",
        "Which colour? Trust the text.  ")]
    [InlineData("{question} {instruction} as {{question}}: {\\\"a\\\": 1}, {}",
        "Which colour? Trust the text. as {question}: {\"a\": 1}, {}", "Which colour? Trust the text. as {question}: {\"a\": 1}, {}")]
    public void ATemplateIsVerbatim(string template, string whole, string withoutContext)
    {
        var layout = Layout($$"""{"template": "{{template}}"}""");
        Assert.Equal(whole, Text(layout, Sample));
        Assert.Equal(withoutContext, Text(layout, Sample with { TextContext = null, Kind = SampleKind.ImageOnly }));
        Assert.Equal("template: " + System.Text.Json.JsonSerializer.Deserialize<string>($"\"{template}\""), layout.Name);
    }

    [Theory]
    [InlineData("""{"template": "<bos> <user> {image} {text_context} {question} {instruction} <end>"}""",
        "template: expected {image} first or not at all: picture, markers of turns and start of text come from the model's chat template, "
            + "so the parts with what stands between them are enough, {text_context} {question} {instruction}, found '<bos>")]
    [InlineData("""{"template": "{question} {image} {instruction}"}""", "template: expected {image} first")]
    [InlineData("""{"template": "{image}{image}{question} {instruction}"}""", "template: expected {image} once, found it twice")]
    [InlineData("""{"template": "{question} {instruction} {question}"}""", "template: expected {question} once, found it twice")]
    [InlineData("""{"template": "{context} {question} {instruction}"}""", "found {context}")]
    [InlineData("""{"template": "{text_contxt} {question} {instruction}"}""", "found {text_contxt}; did you mean text_context?")]
    [InlineData("""{"template": "{text_context} {question}"}""", "template: expected {instruction} among its parts")]
    [InlineData("""{"tempalte": "{question} {instruction}"}""",
        "tempalte: expected only layout, template, world, extra, found this field; did you mean template?")]
    [InlineData("""{"layout": "mc3"}""", "layout: expected mc2 or context_question_instruction, found 'mc3'; did you mean mc2?")]
    [InlineData("""{"layout": "mc2", "template": "{question} {instruction}"}""", "keys: expected layout or template, found both")]
    [InlineData("""{}""", "keys: expected layout or template, found neither")]
    [InlineData("""{"layout": "mc2", "layout": "mc2"}""", "not valid JSON: the key 'layout' stands twice in one object")]
    [InlineData("""{"layout": 7}""", "layout: expected a string, found 7")]
    [InlineData("""["mc2"]""", "file: expected a JSON object, found an array of 1")]
    public void WhatCannotBeKept_IsRefused(string json, string expected)
    {
        var message = Assert.Throws<InputException>(() => Layout(json)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains("prompt.json", message, StringComparison.Ordinal);
    }

    private PromptLayout Layout(string json)
    {
        _temp.Write("prompt.json", json);
        return PromptLayout.Beside(_temp.Path);
    }

    private static string Text(PromptLayout layout, ConflictSample sample) =>
        string.Concat(layout.Pieces(new ConflictRun(sample, Modality.Text)).Select(p => p.Text));

    public void Dispose() => _temp.Dispose();
}
