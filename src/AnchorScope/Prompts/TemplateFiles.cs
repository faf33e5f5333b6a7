using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>Finds the file of a checkpoint that contains its chat template.</summary>
/// <remarks>
/// For a model with pictures the order is that of the reference's processors: <c>chat_template</c> in processor_config.json, then in
/// chat_template.json, then the file chat_template.jinja, then chat_templates/default.jinja, and only without any of these
/// tokenizer_config.json. A text model's tokenizer uses the two .jinja files, then tokenizer_config.json; the other two are used only if
/// there is nothing else.
/// </remarks>
internal static class TemplateFiles
{
    private static readonly string[] OfPictures =
        ["processor_config.json", "chat_template.json", "chat_template.jinja", "chat_templates/default.jinja", "tokenizer_config.json"];

    private static readonly string[] OfText =
        ["chat_template.jinja", "chat_templates/default.jinja", "tokenizer_config.json", "processor_config.json", "chat_template.json"];

    /// <summary>The files that are searched for a template, for error messages.</summary>
    public static string Looked =>
        "chat_template.jinja, chat_templates/default.jinja and the field chat_template in processor_config.json, " +
        "chat_template.json and tokenizer_config.json";

    /// <summary>The template and its location; null if there is none.</summary>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static (string Source, string Place)? Find(string folder, bool textOnly)
    {
        foreach (var name in textOnly ? OfText : OfPictures)
        {
            var file = Path.Combine([folder, .. name.Split('/')]);
            if (!File.Exists(file)) continue;
            if (name.EndsWith(".jinja", StringComparison.Ordinal)) return (ReadText(file), file);
            if (JsonField.Read(file).Find("chat_template") is { } field) return (Chosen(field), $"{file}: chat_template");
        }
        return null;
    }

    /// <summary>Of several named templates the one called "default".</summary>
    private static string Chosen(JsonField field)
    {
        if (field.IsText) return field.Text();
        var templates = field.Value.ValueKind == JsonValueKind.Object
            ? field.Members().Select(member => (member.Name, Template: member.Field)).ToList()
            : field.Items().Select(item => (Name: item.Get("name").Text(), Template: item.Get("template"))).ToList();
        var index = templates.Count == 1 ? 0 : templates.FindIndex(item => item.Name == "default");
        return index >= 0 ? templates[index].Template.Text() : throw field.Expected("one template, or one named \"default\"");
    }

    private static string ReadText(string file)
    {
        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(JsonField.ReadBytes(file));
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{file}: expected UTF-8 text: {e.Message}", e);
        }
    }
}
