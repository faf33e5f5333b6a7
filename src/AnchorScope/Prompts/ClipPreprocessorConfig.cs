using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// The settings of a CLIPImageProcessor. Absent or null keys have that class's defaults: bicubic resize to a shortest edge of 224, centre
/// crop to 224x224, rescale by 1/255, normalise with OpenAI's mean and deviation.
/// </summary>
/// <param name="File">Path of the file, for messages.</param>
internal sealed record ClipPreprocessorConfig(string File)
{
    private static readonly string[] Supported =
        ["CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil"];

    /// <summary>
    /// The shorter side after resizing with the aspect ratio kept; null if <see cref="ExactSize"/> applies or nothing is resized.
    /// </summary>
    public int? ShortestEdge { get; init; } = 224;

    /// <summary>
    /// The size after resizing without regard to the aspect ratio; null if <see cref="ShortestEdge"/> applies or nothing is resized.
    /// </summary>
    public (int Height, int Width)? ExactSize { get; init; }

    public Resampling Filter { get; init; } = Resampling.Bicubic;

    /// <summary>The size of the centre crop; null for none.</summary>
    public (int Height, int Width)? Crop { get; init; } = (224, 224);

    /// <summary>The factor of samples in 0..255; null for none.</summary>
    public double? RescaleFactor { get; init; } = 1 / 255.0;

    /// <summary>Mean and standard deviation, each [3] in the order red, green, blue; null for no normalisation.</summary>
    public (float[] Mean, float[] Std)? Normalization { get; init; } = (PreprocessorSettings.ClipMean, PreprocessorSettings.ClipStd);

    /// <exception cref="InputException">The file is missing or not a JSON object, belongs to another image processor, has a value of the
    /// wrong kind, or requests a step that CLIPImageProcessor does not have.</exception>
    public static ClipPreprocessorConfig Load(string file) => Of(PreprocessorSettings.Read(file));

    internal static ClipPreprocessorConfig Of(PreprocessorSettings settings) => new ClipPreprocessorConfig(settings.File).With(settings);

    private ClipPreprocessorConfig With(PreprocessorSettings settings)
    {
        settings.RequireType(Supported);
        settings.RequireOwnOnly("CLIPImageProcessor", "do_center_crop");
        var resizes = settings.Flag("do_resize");
        var size = resizes ? settings.Find("size") : null;
        var byHeightAndWidth = size is { Value.ValueKind: JsonValueKind.Object } s && s.Find("height") is not null;
        return this with
        {
            ShortestEdge = !resizes || byHeightAndWidth ? null : size is { } edge ? EdgeOf(edge) : ShortestEdge,
            ExactSize = byHeightAndWidth ? PreprocessorSettings.HeightAndWidth(size!.Value) : null,
            Filter = settings.Filter(Filter),
            Crop = !settings.Flag("do_center_crop") ? null : settings.Find("crop_size") is { } crop ? CropOf(crop) : Crop,
            RescaleFactor = settings.RescaleFactor(),
            Normalization = settings.Normalization(PreprocessorSettings.ClipMean, PreprocessorSettings.ClipStd),
        };
    }

    private static int EdgeOf(JsonField size)
    {
        if (size.Value.ValueKind != JsonValueKind.Object)
            return PreprocessorSettings.Side(size);
        return PreprocessorSettings.OnlyMember(size, "shortest_edge") is { } edge
            ? PreprocessorSettings.Side(edge)
            : throw size.Expected("a number, {shortest_edge} or {height, width}");
    }

    private static (int Height, int Width) CropOf(JsonField crop) => crop.Value.ValueKind == JsonValueKind.Object
        ? PreprocessorSettings.HeightAndWidth(crop)
        : (PreprocessorSettings.Side(crop), PreprocessorSettings.Side(crop));
}
