using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Prompts;

namespace AnchorScope.Models;

/// <summary>
/// A safetensors file with the output of the reference's processors for one prompt: input_ids and, depending on the family, pixel values,
/// grids, sizes, masks and positions. An array that is not used is an error, because ignoring it could silently change the result.
/// </summary>
public static class InputFile
{
    private const int HighestPosition = 1 << 20;

    /// <summary>Reads the prompt and its pictures from a file.</summary>
    /// <param name="session">Runs the vision tower.</param>
    /// <exception cref="InputException">An array that the family does not use, or one that is not supported: padding, or a masked part of a
    /// picture.</exception>
    public static (Prompt Prompt, PixelValues? Pixels) Read(VisionLanguageModel model, string path, ISession session)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var file = SafetensorsFile.Open(path);
        IReadOnlyList<string> known = ["input_ids", "attention_mask", "position_ids", .. model.ImageToken is null ? ["pixel_values"]
            : model.ModelFamily.PictureInputs];
        if (file.Tensors.Keys.Order(StringComparer.Ordinal).FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            throw new InputException(
                $"{path}: {Quoted.Line(unknown)}: {model.Family} takes no array of this name; "
                    + $"expected {string.Join(", ", known)}{NearNames.Clause(unknown, known)}");
        var ids = file.Entry("input_ids");
        if (ids.Shape.Length != 2 || ids.Shape[0] != 1) throw InputException.At(path, "input_ids", "shape [1, T]", ids.ShapeText);
        int[] tokens = [.. file.ReadInt64s("input_ids").Select(id => id is >= 0 and <= int.MaxValue ? (int)id
            : throw InputException.At(path, "input_ids", "token ids", $"{id}"))];
        NoPadding(file, tokens.Length);
        PictureTypes(file, tokens, model.ImageToken);
        var pixels = Pixels(model, file);
        var prompt = model.Prompt(tokens, pixels, pixels is null ? null : session.Features(pixels));
        return (file.Tensors.ContainsKey("position_ids") ? prompt with { Coordinates = Coordinates(file, tokens.Length,
            model.Decoder.Rope.Axes) } : prompt, pixels);
    }

    private static PixelValues? Pixels(VisionLanguageModel model, SafetensorsFile file)
    {
        long[]? Numbers(string name) => file.Tensors.ContainsKey(name) ? file.ReadInt64s(name) : null;
        if (file.Tensors.TryGetValue("pixel_values", out var entry))
        {
            var pixels = model.Accept(new PixelInputs(file.Path, file.ReadSingles("pixel_values"), entry.Shape, Numbers("image_grid_thw"),
                Numbers("image_sizes"))
            {
                Mask = file.Tensors.TryGetValue("pixel_attention_mask", out var mask)
                    ? (file.ReadInt64s("pixel_attention_mask"), mask.Shape) : null,
            });
            if (Numbers("batch_num_images") is { } counts && (counts.Length != 1 || counts[0] != pixels.Pictures.Count))
                throw InputException.At(file.Path, "batch_num_images", $"[{pixels.Pictures.Count}], the pictures of this prompt",
                    $"[{string.Join(", ", counts)}]");
            return pixels;
        }
        foreach (var name in model.ModelFamily.PictureInputs.Where(name => name != "mm_token_type_ids" && file.Tensors.ContainsKey(name)))
            throw InputException.At(file.Path, name, "pixel_values beside it", "none");
        return null;
    }

    private static void NoPadding(SafetensorsFile file, int length)
    {
        const string Name = "attention_mask";
        if (!file.Tensors.TryGetValue(Name, out var mask)) return;
        if (mask.Shape.Length != 2 || mask.Shape[0] != 1 || mask.Shape[1] != length) throw InputException.At(file.Path, Name,
            $"shape [1, {length}]", mask.ShapeText);
        var hidden = Array.FindIndex(file.ReadInt64s(Name), value => value != 1);
        if (hidden >= 0) throw InputException.At(file.Path, Name,
            "1 everywhere (padding is not supported: leave the positions out that it hides)",
            $"{file.ReadInt64s(Name)[hidden]} at position {hidden}");
    }

    /// <summary>mm_token_type_ids is redundant: it must agree with the token ids.</summary>
    private static void PictureTypes(SafetensorsFile file, int[] tokens, int? imageToken)
    {
        const string Name = "mm_token_type_ids";
        if (!file.Tensors.TryGetValue(Name, out var types)) return;
        if (types.Shape.Length != 2 || types.Shape[0] != 1 || types.Shape[1] != tokens.Length) throw InputException.At(file.Path, Name,
            $"shape [1, {tokens.Length}]", types.ShapeText);
        var values = file.ReadInt64s(Name);
        for (var i = 0; i < tokens.Length; i++)
        {
            var expected = tokens[i] == imageToken ? 1 : 0;
            if (values[i] != expected) throw InputException.At(file.Path, Name,
                $"{expected} at position {i} (1 for image tokens, 0 for text)", $"{values[i]}");
        }
    }

    /// <summary>Positions in the reference's format: one row for all axes, or one row per axis.</summary>
    private static Coordinate[] Coordinates(SafetensorsFile file, int length, int axes)
    {
        const string Name = "position_ids";
        var shape = file.Entry(Name).Shape;
        var rows = shape.Length == 3 ? (int)Math.Min(shape[0], int.MaxValue) : 1;
        if (shape.Length is not (2 or 3) || shape[^1] != length || shape[^2] != 1 || (shape.Length == 3 && (rows != 3 || axes != 3)))
            throw InputException.At(file.Path, Name, axes == 3 ? $"shape [1, {length}] or [3, 1, {length}]" : $"shape [1, {length}]",
                file.Entry(Name).ShapeText);
        var values = file.ReadInt64s(Name);
        if (values.Where(v => v is < 0 or > HighestPosition).ToList() is [var wrong, ..]) throw InputException.At(file.Path, Name,
            $"0 to {HighestPosition}", $"{wrong}");
        // For the reference, a jump starts another sequence that does not attend to anything before it. Rotary embeddings of three axes are
        // exempt.
        var jump = axes == 3 ? 0 : Enumerable.Range(1, length - 1).FirstOrDefault(i => values[i] != values[i - 1] + 1);
        if (jump > 0) throw InputException.At(file.Path, Name, $"{values[jump - 1] + 1} at position {jump} (positions without a jump)",
            $"{values[jump]}");
        return [.. Enumerable.Range(0, length).Select(i => rows == 1 ? Coordinate.At((int)values[i]) : new Coordinate((int)values[i],
            (int)values[length + i], (int)values[2 * length + i]))];
    }
}
