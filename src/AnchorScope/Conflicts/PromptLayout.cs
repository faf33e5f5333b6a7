using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Conflicts;

/// <summary>A piece of the user's text: a part of the sample, or literal text between parts.</summary>
/// <param name="Kind">The span; null for literal text.</param>
/// <param name="Text">The text.</param>
public sealed record LayoutPiece(SpanKind? Kind, string Text);

/// <summary>
/// The order of a sample's parts in the text of the user message, with literal text before each. The chat template determines the position
/// of the picture. Parts that a sample lacks are left out together with their literal text.
/// </summary>
/// <param name="Name">Name in every result file; for a template, the template itself.</param>
/// <param name="Parts">Kind of each part, and the literal text before it.</param>
public sealed record PromptLayout(string Name, IReadOnlyList<LayoutPiece> Parts)
{
    /// <summary>Name of the file with a layout.</summary>
    public const string FileName = "prompt.json";

    /// <summary>Context, question, instruction, separated by one space.</summary>
    public static PromptLayout ContextQuestionInstruction { get; } = new(
        "context_question_instruction",
        [new(SpanKind.TextContext, ""), new(SpanKind.Question, " "), new(SpanKind.Instruction, " "), new(SpanKind.Constraint, " ")]);

    /// <summary>The order of MC2's published code: "Text context: …", the instruction, the question, each on its own line.</summary>
    public static PromptLayout Mc2 { get; } = new(
        "mc2",
        [new(SpanKind.TextContext, "Text context: "), new(SpanKind.Instruction, "\n"), new(SpanKind.Question, "\n"),
            new(SpanKind.Constraint, "\n")]);

    private static readonly Dictionary<string, SpanKind> Names = new(StringComparer.Ordinal)
    {
        ["text_context"] = SpanKind.TextContext,
        ["question"] = SpanKind.Question,
        ["instruction"] = SpanKind.Instruction,
        ["constraint"] = SpanKind.Constraint,
    };

    /// <summary>Path of the layout file of a conflict set, whether or not it exists.</summary>
    /// <param name="set">Path of the set's JSONL file.</param>
    public static string FileBeside(string set) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(set))!, FileName);

    /// <summary>
    /// The layout in the folder of a conflict set. Its prompt.json has <c>"layout": "mc2"</c>, or a <c>"template"</c> with {parts} and
    /// literal text before, between and after them. Without the file: context, question, instruction.
    /// </summary>
    /// <param name="folder">Folder of the conflict set.</param>
    /// <exception cref="InputException">prompt.json is invalid.</exception>
    public static PromptLayout Beside(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return ContextQuestionInstruction;
        var json = ConfigSection.Load(path);
        json.Only("layout", "template", "world", "extra");
        if (json.Has("layout") == json.Has("template"))
            throw InputException.At(path, "keys", "layout or template", json.Has("layout") ? "both" : "neither");
        if (json.Has("template")) return FromTemplate(json.Text("template"), path);
        var name = json.Text("layout");
        PromptLayout[] known = [Mc2, ContextQuestionInstruction];
        return known.FirstOrDefault(layout => layout.Name == name)
            ?? throw InputException.At(path, "layout", string.Join(" or ", known.Select(l => l.Name)),
                Quoted.Of(name) + Nearest.Hint(name, known.Select(l => l.Name)));
    }

    /// <summary>Literal text after the last part.</summary>
    public string Tail { get; init; } = "";

    /// <summary>A direction with which the model is steered in every prompt, and its strength; null for none.</summary>
    public (Direction Direction, float Strength)? Steering { get; init; }

    /// <summary>The pieces of one run in order. Together they are the text of the user message.</summary>
    public IReadOnlyList<LayoutPiece> Pieces(ConflictRun run)
    {
        var pieces = new List<LayoutPiece>();
        for (var i = 0; i < Parts.Count; i++)
        {
            var part = Parts[i];
            var text = part.Kind switch
            {
                SpanKind.TextContext => run.Sample.TextContext,
                SpanKind.Question => run.Sample.Question,
                SpanKind.Instruction => run.Sample.Instructions[run.Instruction],
                _ => run.Sample.Constraint,
            };
            if (string.IsNullOrEmpty(text)) continue;
            // If a part comes first because those before it are missing, leading white space is dropped.
            var before = i > 0 && pieces.Count == 0 ? part.Text.TrimStart() : part.Text;
            if (before.Length > 0) pieces.Add(new LayoutPiece(null, before));
            pieces.Add(new LayoutPiece(part.Kind, text));
        }
        if (Tail.Length > 0) pieces.Add(new LayoutPiece(null, Tail));
        return pieces;
    }

    private static PromptLayout FromTemplate(string template, string file)
    {
        InputException Wrong(string expected, string found) => InputException.At(file, "template", expected, found);
        string[] names = ["image", .. Names.Keys];
        var (parts, literal, picture) = (new List<LayoutPiece>(), new StringBuilder(), false);
        for (var i = 0; i < template.Length; i++)
        {
            if (i + 1 < template.Length && template[i] is '{' or '}' && template[i + 1] == template[i])
            {
                literal.Append(template[i++]);
                continue;
            }
            var end = template[i] == '{' ? template.IndexOf('}', i) : -1;
            var name = end < 0 ? "" : template[(i + 1)..end];
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetter(c) || c == '_'))
            {
                literal.Append(template[i]);
                continue;
            }
            if (name == "image")
            {
                if (picture) throw Wrong("{image} once", "it twice");
                if (parts.Count > 0 || literal.Length > 0)
                    throw Wrong("{image} first or not at all: picture, markers of turns and start of text come from the model's chat "
                        + "template, so the parts with what stands between them are enough, {text_context} {question} {instruction}",
                        Quoted.Of(template));
                picture = true;
            }
            else if (Names.TryGetValue(name, out var kind))
            {
                if (parts.Exists(p => p.Kind == kind)) throw Wrong($"{{{name}}} once", "it twice");
                parts.Add(new LayoutPiece(kind, literal.ToString()));
                literal.Clear();
            }
            else
            {
                throw Wrong($"parts of {string.Join(", ", names.Select(n => $"{{{n}}}"))}; {{{{ stands for a brace",
                    $"{{{name}}}{Nearest.Hint(name, names)}");
            }
            i = end;
        }
        foreach (var needed in new[] { "question", "instruction" })
        {
            if (!parts.Exists(p => p.Kind == Names[needed])) throw Wrong($"{{{needed}}} among its parts", Quoted.Of(template));
        }
        return new PromptLayout("template: " + template, parts) { Tail = literal.ToString() };
    }
}
