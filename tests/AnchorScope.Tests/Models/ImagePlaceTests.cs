using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>
/// A block painted into a picture appears where the boxes of the image tokens state, from pixels to features. The towers' attention outputs
/// are set to 0, so that a token depends only on its own pixels.
/// </summary>
public sealed class ImagePlaceTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string, int, int> Cases
    {
        get
        {
            var cases = new TheoryData<string, int, int>();
            foreach (var name in new[] { "llava15", "qwen25vl", "qwen2vl", "internvl3", "internvl3-qknorm-rms", "internvl3-remote",
                "llava-onevision", "smolvlm" })
            {
                cases.Add(name, 224, 224);
                cases.Add(name, 150, 260);
                cases.Add(name, 300, 120);
            }
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void PaintedBlock_IsFound(string name, int width, int height)
    {
        using var model = VisionLanguageModel.Open(WithoutAttention(name));
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var plain = Features(model, Painted(width, height, null), compute);
        var size = plain.Features.Length / plain.Tokens;
        var (found, cut) = (0, 0);
        for (var step = 0; step < 12; step++)
        {
            var (x, y) = (width * (1 + step % 4 * 2) / 8, height * (1 + step / 4 * 2) / 6);
            var block = new PixelBox(x - 14, y - 14, x + 14, y + 14);
            var painted = Features(model, Painted(width, height, block), compute);
            Assert.Equal(plain.Features.Length, painted.Features.Length);
            Assert.Equal(painted.Tokens, painted.Places.Count);
            // Resampling reads across edges: up to three pixels of the smallest version of the picture in any tile.
            var reach = 3 * Math.Max(width, height) / 56.0;
            var (grown, core) = (new PixelBox(block.Left - reach, block.Top - reach, block.Right + reach, block.Bottom + reach),
                new PixelBox(x - 1, y - 1, x + 1, y + 1));
            for (var token = 0; token < plain.Tokens; token++)
            {
                var changed = !plain.Features.AsSpan(token * size, size).SequenceEqual(painted.Features.AsSpan(token * size, size));
                var box = painted.Places[token].Box;
                if (changed) Assert.True(box?.Overlaps(grown) == true, $"block at {x}, {y}: token {token} changed, which looks at {box}");
                if (box?.Overlaps(core) == true)
                {
                    Assert.True(changed, $"block at {x}, {y}: token {token} looks at {box} and did not change");
                    found++;
                }
            }
            if (!painted.Places.Any(p => p.Box?.Overlaps(core) == true)) cut++;
        }
        Assert.True(found >= 4 && (name == "llava15" || cut == 0), $"{found} tokens found, {cut} blocks outside of all boxes");
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Boxes_CoverWhatTheModelSees(string name, int width, int height)
    {
        using var model = VisionLanguageModel.Open(Fixtures.Path(name));
        using var arena = new Arena();
        using var team = new Team(1);
        var places = Features(model, Painted(width, height, null), new Compute(arena, team)).Places;
        var boxes = places.Where(p => p.Box is not null).Select(p => p.Box!.Value).ToList();
        // The boxes are cells of grids: their total area is a whole number of picture areas, one per grid.
        var left = name == "llava15" ? Math.Max(0, (width - height) / 2.0) : 0;
        var top = name == "llava15" ? Math.Max(0, (height - width) / 2.0) : 0;
        Assert.Equal(left, boxes.Min(b => b.Left), 1.5);
        Assert.Equal(top, boxes.Min(b => b.Top), 1.5);
        Assert.Equal(width - left, boxes.Max(b => b.Right), 1.5);
        Assert.Equal(height - top, boxes.Max(b => b.Bottom), 1.5);
        var area = (width - 2 * left) * (height - 2 * top);
        var layers = boxes.Sum(b => (b.Right - b.Left) * (b.Bottom - b.Top)) / area;
        Assert.Equal(Math.Round(layers), layers, 0.02);
        Assert.InRange(Math.Round(layers), 1, 2);
    }

    [Theory]
    [InlineData("llava15")]
    [InlineData("qwen25vl")]
    [InlineData("internvl3")]
    [InlineData("llava-onevision")]
    [InlineData("smolvlm")]
    public void SeveralPictures_AreToldApart(string name)
    {
        using var model = VisionLanguageModel.Open(WithoutAttention(name));
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var (first, block) = (Painted(150, 260, null), new PixelBox(116, 66, 144, 94));
        var plain = Features(model, [first, Painted(260, 160, null)], compute);
        var painted = Features(model, [first, Painted(260, 160, block)], compute);
        var size = plain.Features.Length / plain.Tokens;
        var changed = Enumerable.Range(0, plain.Tokens).Where(
            t => !plain.Features.AsSpan(t * size, size).SequenceEqual(painted.Features.AsSpan(t * size, size))).ToList();
        Assert.All(changed, token => Assert.Equal(1, painted.Places[token].Picture));
        var core = new PixelBox(129, 79, 131, 81);
        var looking = Enumerable.Range(0, plain.Tokens).Where(
            t => painted.Places[t].Picture == 1 && painted.Places[t].Box?.Overlaps(core) == true).ToList();
        Assert.NotEmpty(looking);
        Assert.Subset(changed.ToHashSet(), looking.ToHashSet());
    }

    /// <summary>A square picture among several is the overview of the same picture alone, so its vectors have the same bits.</summary>
    [Fact]
    public void LlavaOneVision_SeveralSquares_AreTheirOverviews()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Path("llava-onevision"));
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var pictures = new[] { Painted(200, 200, new PixelBox(0, 0, 60, 90)), Painted(90, 90, new PixelBox(50, 0, 60, 90)) };
        var together = Features(model, pictures, compute);
        var size = together.Features.Length / together.Tokens;
        var tokens = together.Tokens / 2;
        Assert.Equal((tokens - 1, 2), ((int)Math.Sqrt(tokens) * (int)Math.Sqrt(tokens), together.Tokens / tokens));
        for (var i = 0; i < pictures.Length; i++)
        {
            var alone = Features(model, [pictures[i]], compute);
            Assert.Equal(alone.Features[..((tokens - 1) * size)],
                together.Features[(i * tokens * size)..((i * tokens + tokens - 1) * size)]);
            // The newline is the same vector everywhere.
            Assert.Equal(alone.Features[^size..], together.Features[((i * tokens + tokens - 1) * size)..((i + 1) * tokens * size)]);
        }
    }

    private static (float[] Features, int Tokens, IReadOnlyList<ImagePlace> Places) Features(VisionLanguageModel model,
        Picture picture, Compute compute) =>
        Features(model, [picture], compute);

    private static (float[] Features, int Tokens, IReadOnlyList<ImagePlace> Places) Features(VisionLanguageModel model,
        Picture[] pictures, Compute compute)
    {
        var pixels = model.Preprocess(pictures);
        var features = model.Features(pixels, compute);
        var prompt = model.Prompt([.. Enumerable.Repeat(model.ImageToken!.Value, features.Rows), 1], pixels, features.ToArray());
        return (features.ToArray(), features.Rows, prompt.Places);
    }

    private static Picture Painted(int width, int height, PixelBox? block)
    {
        var rgb = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            var (x, y) = (i % width, i / width);
            var inside = block is { } b && x >= b.Left && x < b.Right && y >= b.Top && y < b.Bottom;
            // A grey that is not flat, so that tokens differ.
            var grey = (byte)(100 + (x * 7 + y * 13) % 40);
            (rgb[i * 3], rgb[i * 3 + 1], rgb[i * 3 + 2]) = inside ? ((byte)255, (byte)0, (byte)0) : (grey, grey, grey);
        }
        return new Picture(width, height, rgb);
    }

    private string WithoutAttention(string name)
    {
        var folder = Directory.CreateDirectory(_temp.File(name)).FullName;
        foreach (var file in Directory.GetFiles(Fixtures.Path(name))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        var path = Path.Combine(folder, "model.safetensors");
        var tensors = new List<TensorData>();
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (var entry in file.Tensors.Values)
            {
                var values = file.ReadSingles(entry.Name);
                var tower = entry.Name.Contains("vis", StringComparison.Ordinal);
                if (tower
                    && (entry.Name.Contains("out_proj", StringComparison.Ordinal) || entry.Name.Contains("projection_layer",
                        StringComparison.Ordinal) || entry.Name.Contains("attn.proj", StringComparison.Ordinal)))
                    Array.Clear(values);
                tensors.Add(TensorData.Of(entry.Name, values, entry.Shape));
            }
        }
        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>(StringComparer.Ordinal));
        return folder;
    }

    public void Dispose() => _temp.Dispose();
}
