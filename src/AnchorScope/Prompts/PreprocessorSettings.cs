using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// The settings of one image processor, from preprocessor_config.json or from the section "image_processor" of processor_config.json. A key
/// whose value is null counts as absent. Every error names the file and the field.
/// </summary>
internal sealed class PreprocessorSettings
{
    /// <summary>The longest side of a picture that a setting may request.</summary>
    public const int LargestSize = 16384;

    public static readonly float[] ClipMean = [0.48145466f, 0.4578275f, 0.40821073f];
    public static readonly float[] ClipStd = [0.26862954f, 0.26130258f, 0.27577711f];

    /// <summary>Settings that change the pixels or their number and that only some processors have.</summary>
    private static readonly string[] Special =
    [
        "pad_size", "crop_pct", "offset", "rescale_offset", "size_divisor", "min_pixels", "max_pixels", "max_image_size", "max_patches",
        "image_grid_pinpoints", "crop_to_patches", "use_thumbnail", "temporal_patch_size", "merge_size",
    ];

    private const string Newer = "processor_config.json", Older = "preprocessor_config.json";

    private static readonly string[] CommonSteps = ["do_resize", "do_rescale", "do_normalize", "do_convert_rgb"];

    private readonly JsonField root;

    private PreprocessorSettings(JsonField root)
    {
        this.root = root.Value.ValueKind == JsonValueKind.Object
            ? root
            : throw new InputException($"{root.File}: expected a JSON object, found {JsonKind.Of(root.Value)}");
    }

    /// <summary>The file with the settings, for messages.</summary>
    public string File => root.File;

    /// <summary>
    /// The settings of the checkpoint in <paramref name="folder"/>, by the reference's rule for every family: "image_processor" of
    /// processor_config.json if it exists, otherwise preprocessor_config.json. The two are never combined.
    /// </summary>
    /// <exception cref="InputException">Neither exists, one cannot be read, or is not a JSON object.</exception>
    public static PreprocessorSettings Load(string folder) =>
        LoadOrNull(folder) ?? throw new InputException(
            $"{Path.Combine(folder, Older)}: this file is needed and does not exist, nor does image_processor in {Newer}");

    /// <summary>The same, but null if neither exists.</summary>
    public static PreprocessorSettings? LoadOrNull(string folder)
    {
        var (newer, older) = (Path.Combine(folder, Newer), Path.Combine(folder, Older));
        if (System.IO.File.Exists(newer) && JsonField.Read(newer).Find("image_processor") is { } settings) return new(settings);
        return System.IO.File.Exists(older) ? Read(older) : null;
    }

    /// <summary>
    /// The file with the settings, or config.json if there are none, for messages about other files that contradict them.
    /// </summary>
    public static string FileIn(string folder) => LoadOrNull(folder)?.File ?? Path.Combine(folder, "config.json");

    /// <exception cref="InputException">The file is missing, cannot be read, or is not a JSON object.</exception>
    public static PreprocessorSettings Read(string file) => new(JsonField.Read(file));

    public JsonField? Find(string key) => root.Find(key);

    /// <summary>
    /// Throws for the settings of another image processor. Settings without a type are accepted, because the reference then uses the
    /// model_type.
    /// </summary>
    public void RequireType(IReadOnlyList<string> supported)
    {
        // Files from before 2022 have only the second key, with names that end in FeatureExtractor.
        if ((Find("image_processor_type") ?? Find("feature_extractor_type")) is not { } type) return;
        if (!type.IsText || !supported.Contains(type.Text().Replace("FeatureExtractor", "ImageProcessor", StringComparison.Ordinal),
            StringComparer.Ordinal))
            throw InputException.At(File, "image_processor_type", $"one of {string.Join(", ", supported)}", type.Found);
    }

    /// <summary>Throws for steps and settings that would change the pixels but that this processor does not have.</summary>
    /// <param name="processor">Name of the processor, for the message.</param>
    /// <param name="own">Settings it has in addition to resizing, rescaling and normalising.</param>
    public void RequireOwnOnly(string processor, params ReadOnlySpan<string> own)
    {
        foreach (var (name, field) in root.Members())
        {
            var step = name.StartsWith("do_", StringComparison.Ordinal) && !CommonSteps.Contains(name, StringComparer.Ordinal);
            var active = field.Value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False);
            if (active && (step || Special.Contains(name, StringComparer.Ordinal)) && !own.Contains(name))
                throw field.Expected($"nothing (it changes the pixels and {processor} has no such setting)");
        }
    }

    public bool Flag(string key, bool otherwise = true) => root.Flag(key, otherwise);

    /// <summary>Throws if a step is switched off that the model requires.</summary>
    public void RequireOn(string key, string why)
    {
        if (!Flag(key))
            throw InputException.At(File, key, $"true ({why})", "false");
    }

    public int Integer(string key, int otherwise, int least, int most) => Find(key)?.Integer(least, most) ?? otherwise;

    public Resampling Filter(Resampling otherwise)
    {
        if (Find("resample") is not { } field)
            return otherwise;
        return field.Value.ValueKind == JsonValueKind.Number && field.Value.TryGetInt32(out var filter)
            && Enum.IsDefined((Resampling)filter)
            ? (Resampling)filter
            : throw field.Expected("0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic) or 4 (box)");
    }

    /// <returns>The factor of samples; null for none.</returns>
    public double? RescaleFactor() =>
        !Flag("do_rescale") ? null : Find("rescale_factor") is { } factor ? Number(factor) : 1 / 255.0;

    /// <returns>Mean and standard deviation, each [3]; null for no normalisation.</returns>
    public (float[] Mean, float[] Std)? Normalization(float[] mean, float[] std) => !Flag("do_normalize") ? null : (
        Find("image_mean") is { } ownMean ? Channels(ownMean, mayBeZero: true) : mean,
        Find("image_std") is { } ownStd ? Channels(ownStd, mayBeZero: false) : std);

    /// <summary>image_mean as a colour [3] of 0..255, truncated to integers. Pictures are padded with it.</summary>
    /// <param name="mean">Value if the key is absent, [3].</param>
    public byte[] MeanColour(float[] mean)
    {
        if (Find("image_mean") is { } own)
        {
            mean = Channels(own, mayBeZero: true);
            if (mean.Any(channel => channel is < 0 or > 1))
                throw own.Expected("numbers from 0 to 1 (pictures are padded with the mean colour)");
        }
        return [.. mean.Select(channel => (byte)(channel * 255.0))];
    }

    /// <summary>The side of a square: a number, {shortest_edge}, or {height, width} that are equal.</summary>
    public int SquareSide(string key, int otherwise)
    {
        if (Find(key) is not { } field)
            return otherwise;
        if (field.Value.ValueKind != JsonValueKind.Object)
            return Side(field);
        if (field.Find("height") is null)
            return Side(OnlyMember(field, "shortest_edge") ?? throw field.Expected("a number, {shortest_edge} or {height, width}"));
        var (height, width) = HeightAndWidth(field);
        return height == width ? height : throw field.Expected("equal height and width (the model takes square tiles only)");
    }

    /// <summary>The member of an object, if the object has no other.</summary>
    public static JsonField? OnlyMember(JsonField field, string name) => field.Members().Count() == 1 ? field.Find(name) : null;

    public static (int Height, int Width) HeightAndWidth(JsonField field) =>
        field.Members().Count() == 2 && field.Find("height") is { } height && field.Find("width") is { } width
            ? (Side(height), Side(width))
            : throw field.Expected("height and width");

    public static int Side(JsonField field) =>
        field.Value.ValueKind == JsonValueKind.Number && field.Value.TryGetInt32(out var side) && side is >= 1 and <= LargestSize
            ? side
            : throw field.Expected($"a whole number from 1 to {LargestSize}");

    private static double Number(JsonField field) =>
        field.Value.ValueKind == JsonValueKind.Number && double.IsFinite(field.Value.GetDouble())
            ? field.Value.GetDouble()
            : throw field.Expected("a number");

    /// <summary>Three numbers, or one for all channels.</summary>
    private static float[] Channels(JsonField field, bool mayBeZero)
    {
        float[] channels = field.Value.ValueKind == JsonValueKind.Array
            ? [.. field.Items().Select(item => (float)Number(item))]
            : [.. Enumerable.Repeat((float)Number(field), 3)];
        return channels.Length == 3 && (mayBeZero || !channels.Contains(0))
            ? channels
            : throw field.Expected(mayBeZero ? "3 numbers" : "3 numbers other than 0");
    }
}
