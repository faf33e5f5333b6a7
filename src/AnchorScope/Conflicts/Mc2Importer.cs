using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Conflicts;

/// <summary>
/// Reads the JSON of MC2 (arXiv 2505.20977) and of the instruction-following sets derived from it, with pictures in a folder of COCO.
/// Neither is part of this project. docs/conflicts.md describes both formats.
/// </summary>
internal sealed class Mc2Importer
{
    private const long LargestFile = 1 << 30;

    /// <summary>The published sentence that instructs the model to follow the picture.</summary>
    public const string VisionInstruction =
        "In case there is an inconsistency between the Text Context and the input image content, you must rely on the image content rather "
            + "than the text context.";

    /// <summary>The published sentence that instructs the model to follow the text.</summary>
    public const string TextInstruction =
        "In case there is an inconsistency between the Text Context and the input image content, you must rely on the text context rather "
            + "than the input image content.";

    // File names of a picture id in COCO and its mirrors.
    private static readonly string[] FileNames =
    [
        "COCO_val2014_{0}.jpg", "COCO_train2014_{0}.jpg", "val2014/COCO_val2014_{0}.jpg",
        "train2014/COCO_train2014_{0}.jpg", "{0}.jpg", "{0}.png",
    ];

    private readonly string _images;
    private readonly string _question;
    private readonly List<ConflictSample> _samples = [];
    private readonly List<RejectedLine> _rejected = [];
    private readonly Dictionary<string, int> _pictures = new(StringComparer.Ordinal);
    private readonly Dictionary<(string, string, string?), int> _known = [];

    /// <param name="images">Folder of the pictures, or the parent of val2014 and train2014.</param>
    /// <param name="form">1, 2 or 3: which of an item's question1 .. question3 is read. They differ in the constraint at the end.</param>
    public Mc2Importer(string images, int form)
    {
        if (!Directory.Exists(images)) throw new InputException($"{images}: there is no such folder of pictures");
        if (form is < 1 or > 3) throw new InputException($"--question: expected 1, 2 or 3, found {form}");
        (_images, _question) = (images, $"question{form}");
    }

    /// <summary>Samples in the order of the files. An item that is in both files is one sample.</summary>
    public IReadOnlyList<ConflictSample> Samples => _samples;

    /// <summary>Items that were left out, by index from 1.</summary>
    public IReadOnlyList<RejectedLine> Rejected => _rejected;

    /// <summary>Adds the items of a file. Unusable items are listed, and the others are read.</summary>
    public void Read(string file)
    {
        var json = StrictJson.Read(file, LargestFile);
        if (json.ValueKind != JsonValueKind.Array) throw InputException.At(file, "the document", "a list of items", JsonKind.Of(json));
        var number = 0;
        foreach (var item in json.EnumerateArray())
        {
            number++;
            string? id = null;
            try
            {
                if (item.ValueKind != JsonValueKind.Object) throw new LineException($"expected an object, found {JsonKind.Of(item)}");
                id = ImageId(item);
                Add(item, id, number);
            }
            catch (Exception e) when (e is LineException or InvalidOperationException)
            {
                _rejected.Add(new RejectedLine(file, number, id, e.Message));
            }
        }
        if (number == 0) throw InputException.At(file, "the document", "a list of items", "an empty list");
    }

    private void Add(JsonElement item, string id, int number)
    {
        var (modality, instruction, question, constraint) = Split(
            Text(item, _question) ?? Text(item, "question") ?? throw new LineException($"{_question}: expected a string, found nothing"));
        var instructions = new Dictionary<Modality, string> { [Modality.Vision] = VisionInstruction, [Modality.Text] = TextInstruction };
        if (modality is { } said) instructions[said] = instruction;
        var sample = new ConflictSample
        {
            Id = id,
            Question = question,
            Image = Picture(id),
            TextContext = Text(item, "context"),
            Instructions = instructions,
            Answers = new Dictionary<Modality, IReadOnlyList<string>>
            {
                [Modality.Vision] = Answers(item, "answer_img", "answer_vision"),
                [Modality.Text] = Answers(item, "answer_text"),
            },
            Constraint = constraint,
            Category = Text(item, "task") ?? "",
            Line = number,
        };
        SampleReader.Check(sample);
        if (!_known.TryGetValue((id, question, sample.TextContext), out var index))
        {
            var count = _pictures[id] = _pictures.GetValueOrDefault(id) + 1;
            _known[(id, question, sample.TextContext)] = _samples.Count;
            _samples.Add(count == 1 ? sample : sample with { Id = $"{id}-{count}" });
            return;
        }
        // The other file has the same item with the other instruction.
        var first = _samples[index];
        foreach (var side in Enum.GetValues<Modality>())
        {
            if (first.Answers[side][0] != sample.Answers[side][0])
                throw new LineException(
                    $"answer: expected \"{first.Answers[side][0]}\" as in the other file or item, found \"{sample.Answers[side][0]}\"");
        }
        if (modality is { } also)
            _samples[index] = first with { Instructions = new Dictionary<Modality, string>(first.Instructions) { [also] = instruction } };
    }

    /// <summary>The lines of a question: the instruction, if any, the question, and the constraint on the form of the answer.</summary>
    private static (Modality? Modality, string Instruction, string Question, string? Constraint) Split(string text)
    {
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Modality? modality = lines.Length == 0 ? null
            : lines[0].Contains("rely on the image content", StringComparison.Ordinal) ? Modality.Vision
            : lines[0].Contains("rely on the text context", StringComparison.Ordinal) ? Modality.Text
            : null;
        var rest = modality is null ? lines : lines[1..];
        if (rest.Length == 0) throw new LineException("question: expected a question behind the instruction, found nothing");
        return (modality, modality is null ? "" : lines[0], rest[0], rest.Length > 1 ? string.Join('\n', rest[1..]) : null);
    }

    private static string[] Answers(JsonElement item, string field, string older = "")
    {
        var canonical = Text(item, field) ?? (older.Length > 0 ? Text(item, older) : null)
            ?? throw new LineException($"{field}: expected a string, found nothing");
        if (canonical.Trim().Length == 0) throw new LineException($"{field}: expected an answer, found white space");
        if (!item.TryGetProperty(field + "_candidate_list", out var list) || list.ValueKind == JsonValueKind.Null) return [canonical];
        if (list.ValueKind != JsonValueKind.Array || list.EnumerateArray().Any(c => c.ValueKind != JsonValueKind.String))
            throw new LineException($"{field}_candidate_list: expected a list of strings");
        return [.. list.EnumerateArray().Select(c => c.GetString()!).Where(c => c.Trim().Length > 0).Prepend(canonical)
            .Distinct(StringComparer.Ordinal)];
    }

    private static string ImageId(JsonElement item)
    {
        var id = !item.TryGetProperty("image_id", out var value) ? ""
            : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number.ToString(CultureInfo.InvariantCulture)
            : value.ValueKind == JsonValueKind.String ? value.GetString()!
            : "";
        // Only digits, because the id becomes part of a file name.
        if (id.Length is 0 or > 12 || !id.All(char.IsAsciiDigit)) throw new LineException("image_id: expected up to 12 digits");
        return id.PadLeft(12, '0');
    }

    private string Picture(string id)
    {
        foreach (var name in FileNames)
        {
            var path = Path.Combine(_images, string.Format(CultureInfo.InvariantCulture, name, id));
            if (File.Exists(path)) return Path.GetFullPath(path);
        }
        throw new LineException($"image: there is no COCO_val2014_{id}.jpg, COCO_train2014_{id}.jpg or {id}.jpg");
    }

    private static string? Text(JsonElement item, string field)
    {
        if (!item.TryGetProperty(field, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.String
            ? value.GetString() : throw new LineException($"{field}: expected a string, found {JsonKind.Of(value)}");
    }
}
