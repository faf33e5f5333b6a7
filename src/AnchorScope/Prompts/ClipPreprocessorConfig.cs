using System.Text.Json;

namespace AnchorScope.Prompts;

/// <summary>
/// What a preprocessor_config.json of a CLIPImageProcessor says. Keys that are absent or null have that class's defaults: bicubic resize
/// to a shortest edge of 224, centre crop to 224x224, rescale by 1/255, normalise with OpenAI's mean and deviation.
/// </summary>
/// <param name="File">Where it stands, for messages.</param>
public sealed record ClipPreprocessorConfig(string File)
{
    private const int LargestSize = 16384;

    private static readonly string[] Supported =
        ["CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor"];

    /// <summary>The steps that CLIPImageProcessor has; any other do_... that is on would change the pixels.</summary>
    private static readonly string[] Steps = ["do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"];

    /// <summary>Settings of other processors that change the pixels or their number.</summary>
    private static readonly string[] Foreign =
    [
        "pad_size", "crop_pct", "offset", "rescale_offset", "size_divisor", "min_pixels", "max_pixels", "max_image_size", "max_patches",
        "image_grid_pinpoints", "crop_to_patches", "use_thumbnail", "temporal_patch_size", "merge_size",
    ];

    private static readonly float[] ClipMean = [0.48145466f, 0.4578275f, 0.40821073f];
    private static readonly float[] ClipStd = [0.26862954f, 0.26130258f, 0.27577711f];

    /// <summary>The shorter side after resizing, keeping the proportions; null if <see cref="ExactSize"/> rules or nothing is
    /// resized.</summary>
    public int? ShortestEdge { get; init; } = 224;

    /// <summary>The size after resizing whatever the proportions; null if <see cref="ShortestEdge"/> rules or nothing is resized.</summary>
    public (int Height, int Width)? ExactSize { get; init; }

    public Resampling Filter { get; init; } = Resampling.Bicubic;

    /// <summary>The size of the centre crop; null for none.</summary>
    public (int Height, int Width)? Crop { get; init; } = (224, 224);

    /// <summary>What samples of 0..255 are multiplied by; null for nothing.</summary>
    public double? RescaleFactor { get; init; } = 1 / 255.0;

    /// <summary>Subtracted and divided by, each [3] in the order red, green, blue; null for no normalisation.</summary>
    public (float[] Mean, float[] Std)? Normalization { get; init; } = (ClipMean, ClipStd);

    /// <exception cref="InputException">The file is missing or no JSON object, belongs to another image processor, has a value of the wrong
    /// kind, or asks for a step that CLIPImageProcessor does not have.</exception>
    public static ClipPreprocessorConfig Load(string file)
    {
        try
        {
            using var document = JsonDocument.Parse(System.IO.File.ReadAllBytes(file));
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new ClipPreprocessorConfig(file).With(document.RootElement)
                : throw new InputException($"{file}: expected a JSON object, found {document.RootElement.ValueKind}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{file}: cannot be read: {e.Message}", e);
        }
        catch (JsonException e)
        {
            throw new InputException($"{file}: not valid JSON: {e.Message}", e);
        }
    }

    private ClipPreprocessorConfig With(JsonElement root)
    {
        RequireClip(root);
        RequireOwnStepsOnly(root);
        var size = Flag(root, "do_resize") ? Value(root, "size") : null;
        var byHeightAndWidth = size is { ValueKind: JsonValueKind.Object } s && s.TryGetProperty("height", out _);
        return this with
        {
            ShortestEdge = !Flag(root, "do_resize") || byHeightAndWidth ? null : size is { } edge ? EdgeOf(edge) : ShortestEdge,
            ExactSize = byHeightAndWidth ? HeightAndWidth("size", size!.Value) : null,
            Filter = Value(root, "resample") is { } filter ? FilterOf(filter) : Filter,
            Crop = !Flag(root, "do_center_crop") ? null : Value(root, "crop_size") is { } crop ? CropOf(crop) : Crop,
            RescaleFactor = !Flag(root, "do_rescale") ? null : Value(root, "rescale_factor") is { } factor
                ? Number("rescale_factor", factor) : RescaleFactor,
            Normalization = !Flag(root, "do_normalize") ? null : (
                Value(root, "image_mean") is { } mean ? Channels("image_mean", mean) : ClipMean,
                Value(root, "image_std") is { } std ? Channels("image_std", std) : ClipStd),
        };
    }

    private void RequireClip(JsonElement root)
    {
        // Files from before 2022 have only the second key.
        var key = Value(root, "image_processor_type") is null ? "feature_extractor_type" : "image_processor_type";
        var type = Value(root, key);
        if (type is not { ValueKind: JsonValueKind.String } name || !Supported.Contains(name.GetString(), StringComparer.Ordinal))
            throw InputException.At(
                File, "image_processor_type", $"one of {string.Join(", ", Supported)}", type is { } found ? found.GetRawText() : "nothing");
    }

    private void RequireOwnStepsOnly(JsonElement root)
    {
        foreach (var property in root.EnumerateObject())
        {
            var step = property.Name.StartsWith("do_", StringComparison.Ordinal) && !Steps.Contains(property.Name, StringComparer.Ordinal);
            var active = property.Value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False);
            if (active && (step || Foreign.Contains(property.Name, StringComparer.Ordinal)))
                throw InputException.At(File, property.Name, "nothing (it changes the pixels and CLIPImageProcessor has no such setting)",
                    property.Value.GetRawText());
        }
    }

    private static JsonElement? Value(JsonElement root, string key) =>
        root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private bool Flag(JsonElement root, string key) => Value(root, key) switch
    {
        null or { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } other => throw InputException.At(File, key, "true or false", other.GetRawText()),
    };

    private int EdgeOf(JsonElement size)
    {
        if (size.ValueKind != JsonValueKind.Object)
            return Size("size", size);
        return size.EnumerateObject().Count() == 1 && size.TryGetProperty("shortest_edge", out var edge)
            ? Size("size.shortest_edge", edge)
            : throw InputException.At(File, "size", "a number, {shortest_edge} or {height, width}", size.GetRawText());
    }

    private (int Height, int Width) CropOf(JsonElement crop) => crop.ValueKind == JsonValueKind.Object
        ? HeightAndWidth("crop_size", crop)
        : (Size("crop_size", crop), Size("crop_size", crop));

    private (int Height, int Width) HeightAndWidth(string field, JsonElement size) =>
        size.EnumerateObject().Count() == 2 && size.TryGetProperty("height", out var height) && size.TryGetProperty("width", out var width)
            ? (Size($"{field}.height", height), Size($"{field}.width", width))
            : throw InputException.At(File, field, "height and width", size.GetRawText());

    private int Size(string field, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var size) && size is >= 1 and <= LargestSize
            ? size
            : throw InputException.At(File, field, $"a whole number from 1 to {LargestSize}", value.GetRawText());

    private Resampling FilterOf(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var filter) && Enum.IsDefined((Resampling)filter)
            ? (Resampling)filter
            : throw InputException.At(
                File, "resample", "0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic) or 4 (box)", value.GetRawText());

    private double Number(string field, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble())
            ? value.GetDouble()
            : throw InputException.At(File, field, "a number", value.GetRawText());

    /// <summary>Three numbers, or one for all channels.</summary>
    private float[] Channels(string field, JsonElement value)
    {
        var isList = value.ValueKind == JsonValueKind.Array;
        var channels = isList
            ? value.EnumerateArray().Select(number => (float)Number(field, number)).ToArray()
            : Enumerable.Repeat((float)Number(field, value), 3).ToArray();
        if (channels.Length != 3 || (field == "image_std" && channels.Contains(0)))
            throw InputException.At(File, field, field == "image_std" ? "3 numbers other than 0" : "3 numbers", value.GetRawText());
        return channels;
    }
}
