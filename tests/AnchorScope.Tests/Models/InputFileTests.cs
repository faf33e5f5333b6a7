using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>Arrays besides input_ids: those that change the result are used as in the reference; the others are refused by name.</summary>
public sealed class InputFileTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private readonly Arena _arena = new();
    private readonly Team _team = new(1);

    private Compute Compute => new(_arena, _team);

    public static TheoryData<string, string> Everything => new()
    {
        { "llava15", "one_image" }, { "llava15", "text_only" }, { "qwen25vl", "two_images" }, { "qwen25vl", "text_only" },
            { "internvl3", "tiled_image" }, { "llava-onevision", "one_image_anyres" }, { "smolvlm", "one_image_split" },
    };

    /// <summary>
    /// All outputs of the reference's processor, including positions: gives the same prompt as only the arrays that matter.
    /// </summary>
    [Theory]
    [MemberData(nameof(Everything))]
    public void WhatTheProcessorGives_IsTaken(string name, string @case)
    {
        var (path, golden) = Write(name, @case, _ => true);
        using (golden)
        {
            using var model = VisionLanguageModel.Open(Fixtures.Path(name));
            var (prompt, pixels) = InputFile.Read(model, path, model.Engine.On(Compute));
            Assert.Equal(golden.Has("inputs.pixel_values"), pixels is not null);
            Close.AssertRelative("lm.logits", golden.Singles("lm.logits"), Logits(model, prompt));
        }
    }

    [Fact]
    public void Positions_AreUsedAsTheReferenceUsesThem()
    {
        var length = Length("qwen25vl", "one_image_nonsquare");
        var (path, golden) = Write("qwen25vl", "one_image_nonsquare", name => name != "position_ids",
            TensorData.Of("position_ids", [.. Enumerable.Range(0, 3).SelectMany(_ => Enumerable.Range(0, length).Select(i => (long)i))], 3,
            1, length));
        golden.Dispose();
        using var model = VisionLanguageModel.Open(Fixtures.Path("qwen25vl"));
        var logits = Logits(model, InputFile.Read(model, path, model.Engine.On(Compute)).Prompt);
        var expected = VariantCheckpoints.Golden("positions");
        Close.AssertRelative("logits", expected, logits.AsSpan(^expected.Length..));
        // One row of positions is used for all axes.
        var (single, other) = Write("qwen25vl", "one_image_nonsquare", name => name != "position_ids",
            TensorData.Of("position_ids", [.. Enumerable.Range(0, length).Select(i => (long)i)], 1, length));
        other.Dispose();
        Assert.Equal(logits, Logits(model, InputFile.Read(model, single, model.Engine.On(Compute)).Prompt));
    }

    [Fact]
    public void TilesOfZeros_AreDropped()
    {
        using var golden = Golden.Open("smolvlm", "one_image_split");
        var shape = golden.Shape("inputs.pixel_values");
        long[] larger = [shape[0], shape[1] + 1, .. shape[2..]];
        var path = _temp.File("padded.safetensors");
        var mask = new long[(int)larger[1] * 56 * 56];
        mask.AsSpan(0, (int)shape[1] * 56 * 56).Fill(1);
        SafetensorsWriter.Write(path,
        [
            TensorData.Of("input_ids", golden.Inputs64("input_ids")!, golden.Shape("inputs.input_ids")),
                TensorData.Of("pixel_values", [.. golden.Singles("inputs.pixel_values"), .. new float[3 * 56 * 56]], larger),
            TensorData.Of("pixel_attention_mask", mask, 1, larger[1], 56, 56),
        ]);
        using var model = VisionLanguageModel.Open(Fixtures.Path("smolvlm"));
        Close.AssertRelative("lm.logits", golden.Singles("lm.logits"),
            Logits(model, InputFile.Read(model, path, model.Engine.On(Compute)).Prompt));
    }

    public static TheoryData<string, string, TensorData, string> Refused => new()
    {
        { "llava15", "attention_mask", TensorData.Of("attention_mask", [.. Enumerable.Range(0, 36).Select(i => i < 3 ? 0L : 1L)], 1, 36),
            "attention_mask: expected 1 everywhere (padding is not supported: leave the positions out that it hides), "
                + "found 0 at position 0" },
        { "llava15", "attention_mask", TensorData.Of("attention_mask", [1L, 1L], 1, 2),
            "attention_mask: expected shape [1, 36], found [1, 2]" },
        { "llava15", "position_ids", TensorData.Of("position_ids", [.. Enumerable.Range(0, 36).Select(i => i < 9 ? (long)i : i + 5)], 1,
            36), "position_ids: expected 9 at position 9 (positions without a jump), found 14" },
        { "llava15", "position_ids", TensorData.Of("position_ids", [.. Enumerable.Range(0, 108).Select(i => (long)i % 36)], 3, 1, 36),
            "position_ids: expected shape [1, 36], found [3, 1, 36]" },
        { "llava15", "position_ids", TensorData.Of("position_ids", [.. Enumerable.Range(-1, 36).Select(i => (long)i)], 1, 36),
            "position_ids: expected 0 to 1048576, found -1" },
        { "llava15", "image_grid_thw", TensorData.Of("image_grid_thw", [1L, 4L, 4L], 1, 3),
            "image_grid_thw: LLaVA-1.5 takes no array of this name; expected input_ids, attention_mask, position_ids, pixel_values, "
                + "mm_token_type_ids" },
        { "llava15", "atention_mask", TensorData.Of("atention_mask", [1L], 1, 1), "near it: 'attention_mask'" },
        { "llava15", "mm_token_type_ids", TensorData.Of("mm_token_type_ids", new long[36], 1, 36),
            "(1 for image tokens, 0 for text), found 0" },
        { "llava-onevision", "batch_num_images", TensorData.Of("batch_num_images", [2L], 1),
            "batch_num_images: expected [1], the pictures of this prompt, found [2]" },
        { "smolvlm", "pixel_attention_mask", TensorData.Of("pixel_attention_mask",
            [.. Enumerable.Range(0, 7 * 56 * 56).Select(i => i == 20000 ? 0L : 1L)], 1, 7, 56, 56),
            "pixel_attention_mask: expected 1 everywhere (pictures of which a part is hidden are not supported), found 0 in tile 6" },
        { "smolvlm", "pixel_attention_mask", TensorData.Of("pixel_attention_mask", [1L], 1, 1, 1, 1),
            "pixel_attention_mask: expected shape [1, 7, 56, 56], found [1, 1, 1, 1]" },
        { "qwen25vl", "pixel_values_videos", TensorData.Of("pixel_values_videos", [1f], 1, 1),
            "pixel_values_videos: Qwen2.5-VL takes no array of this name" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatCannotBeUsed_IsRefusedByName(string name, string replaced, TensorData array, string message)
    {
        var @case = Path.GetFileNameWithoutExtension(Directory.GetFiles(Fixtures.Path(name, "golden"), "*.png")
            .Order(StringComparer.Ordinal).First())!.Split("_img")[0];
        var (path, golden) = Write(name, @case, array => array != replaced, array);
        golden.Dispose();
        using var model = VisionLanguageModel.Open(Fixtures.Path(name));
        var found = Assert.Throws<InputException>(() => InputFile.Read(model, path, model.Engine.On(Compute))).Message;
        Assert.StartsWith($"{path}: ", found, StringComparison.Ordinal);
        Assert.Contains(message, found, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', found);
    }

    [Fact]
    public void SizesWithoutPixels_AreRefused()
    {
        var (path, golden) = Write("qwen25vl", "two_images", name => name != "pixel_values");
        golden.Dispose();
        using var model = VisionLanguageModel.Open(Fixtures.Path("qwen25vl"));
        Assert.Equal($"{path}: image_grid_thw: expected pixel_values beside it, found none",
            Assert.Throws<InputException>(() => InputFile.Read(model, path, model.Engine.On(Compute))).Message);
    }

    private static int Length(string name, string @case)
    {
        using var golden = Golden.Open(name, @case);
        return golden.Ints("inputs.input_ids").Length;
    }

    private (string Path, Golden Golden) Write(string name, string @case, Func<string, bool> which, params TensorData[] more)
    {
        var golden = Golden.Open(name, @case);
        var arrays = new List<TensorData>(more);
        foreach (var array in golden.Names.Where(n => n.StartsWith("inputs.", StringComparison.Ordinal) && which(n[7..])))
        {
            arrays.Add(array == "inputs.pixel_values"
                ? TensorData.Of("pixel_values", golden.Singles(array), golden.Shape(array))
                    : TensorData.Of(array[7..], golden.Inputs64(array[7..])!, golden.Shape(array)));
        }
        var path = _temp.File("inputs.safetensors");
        SafetensorsWriter.Write(path, arrays);
        return (path, golden);
    }

    private float[] Logits(VisionLanguageModel model, Prompt prompt)
    {
        var entry = Tensor.From(_arena, prompt.Embeddings, prompt.Length, model.Decoder.Shape.ModelSize);
        var resid = model.Decoder.Forward(new Pass(model.Decoder.Shape, [new RowBlock(entry, prompt.Coordinates, 0, Intervention.None)],
            Compute));
        return model.Decoder.Unembed(resid, Compute).ToArray();
    }

    public void Dispose()
    {
        _temp.Dispose();
        _arena.Dispose();
        _team.Dispose();
    }
}
