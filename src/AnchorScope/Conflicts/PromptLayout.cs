using System.Text.Json;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Conflicts;

/// <summary>A stretch of the user's text: a part of the sample, or literal text between parts (no kind).</summary>
public sealed record LayoutPiece(SpanKind? Kind, string Text);

/// <summary>
/// The order in which a sample's parts become the text of the user turn, with the literal text before each; the picture comes
/// where the chat template puts it. Parts that a sample lacks are left out with what stands before them.
/// </summary>
/// <param name="Name">Goes into every result file.</param>
/// <param name="Parts">Kind and the text in front of it (not in front of the first).</param>
public sealed record PromptLayout(string Name, IReadOnlyList<LayoutPiece> Parts)
{
    /// <summary>Name of the file that holds a layout.</summary>
    public const string FileName = "prompt.json";

    /// <summary>Context, question, instruction, one space between.</summary>
    public static PromptLayout ContextQuestionInstruction { get; } = new(
        "context_question_instruction",
        [new(SpanKind.TextContext, ""), new(SpanKind.Question, " "), new(SpanKind.Instruction, " "), new(SpanKind.Constraint, " ")]);

    /// <summary>The order of MC2's published code: "Text context: …", the instruction, the question, each on its own line.</summary>
    public static PromptLayout Mc2 { get; } = new(
        "mc2",
        [new(SpanKind.TextContext, "Text context: "), new(SpanKind.Instruction, "\n"), new(SpanKind.Question, "\n"), new(SpanKind.Constraint, "\n")]);

    private static readonly Dictionary<string, SpanKind> Names = new(StringComparer.Ordinal)
    {
        ["text_context"] = SpanKind.TextContext,
        ["question"] = SpanKind.Question,
        ["instruction"] = SpanKind.Instruction,
        ["constraint"] = SpanKind.Constraint,
    };

    /// <summary>Where the layout of a conflict set would stand.</summary>
    /// <param name="set">Path of the set's JSONL.</param>
    public static string FileBeside(string set) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(set))!, FileName);

    /// <summary>
    /// The layout beside a conflict set: its prompt.json with <c>"layout": "mc2"</c>, or a <c>"template"</c> whose {parts} stand in order
    /// with the text between them; without the file, context, question, instruction.
    /// </summary>
    public static PromptLayout Beside(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return ContextQuestionInstruction;
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 16 });
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("layout", out var layout))
                return layout.ValueEquals(Mc2.Name) ? Mc2 : layout.ValueEquals(ContextQuestionInstruction.Name) ? ContextQuestionInstruction : throw InputException.At(path, "layout", $"{Mc2.Name} or {ContextQuestionInstruction.Name}", layout.GetRawText());
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("template", out var template) && template.ValueKind == JsonValueKind.String)
                return FromTemplate(template.GetString()!, path);
        }
        catch (JsonException e)
        {
            throw new InputException($"{path}: not valid JSON: {e.Message}", e);
        }
        throw InputException.At(path, "template", "text with {text_context}, {question} and {instruction}", "nothing");
    }

    /// <summary>A direction that every prompt carries, with its strength: the model is steered. Null: it is not.</summary>
    public (Direction Direction, float Strength)? Steering { get; init; }

    /// <summary>The pieces of one run, in order; together they are the text of the user turn.</summary>
    public IReadOnlyList<LayoutPiece> Pieces(ConflictRun run)
    {
        var pieces = new List<LayoutPiece>();
        foreach (var part in Parts)
        {
            var text = part.Kind switch
            {
                SpanKind.TextContext => run.Sample.TextContext,
                SpanKind.Question => run.Sample.Question,
                SpanKind.Instruction => run.Sample.Instructions[run.Instruction],
                _ => run.Sample.Constraint,
            };
            if (string.IsNullOrEmpty(text)) continue;
            if (part.Text.Length > 0 && (pieces.Count > 0 || part.Text.Trim().Length > 0)) pieces.Add(new LayoutPiece(null, part.Text));
            pieces.Add(new LayoutPiece(part.Kind, text));
        }
        return pieces;
    }

    private static PromptLayout FromTemplate(string template, string file)
    {
        var parts = new List<LayoutPiece>();
        var literal = "";
        for (var i = 0; i < template.Length;)
        {
            var end = template[i] == '{' ? template.IndexOf('}', i) : -1;
            var name = end < 0 ? "" : template[(i + 1)..end];
            if (Names.TryGetValue(name, out var kind))
            {
                // What stands before the first text part belongs to the chat template and the picture.
                parts.Add(new LayoutPiece(kind, parts.Count == 0 ? "" : literal));
                literal = "";
                i = end + 1;
                continue;
            }
            if (name == "image" && parts.Count > 0) throw InputException.At(file, "template", "{image} before the text, where chat templates put it", template);
            literal = name == "image" ? "" : literal + template[i];
            i = name == "image" ? end + 1 : i + 1;
        }
        foreach (var needed in new[] { "question", "instruction" })
        {
            if (!parts.Exists(p => p.Kind == Names[needed])) throw InputException.At(file, "template", $"{{{needed}}} among its parts", template);
        }
        return new PromptLayout("template: " + string.Join(' ', parts.Select(p => $"{{{Names.First(n => n.Value == p.Kind).Key}}}")), parts);
    }
}
