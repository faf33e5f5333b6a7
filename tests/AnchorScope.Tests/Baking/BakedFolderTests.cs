using AnchorScope.Baking;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Baking;

/// <summary>The files of a baked folder besides its weights, what is refused, and that no incomplete folder is left.</summary>
public sealed class BakedFolderTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private string Out => _temp.File("baked");

    [Fact]
    public void Card_SaysWhatWasChanged()
    {
        var original = _temp.Copy(Fixtures.Path("llava15-gqa-f16-sharded"), "llava15-gqa-f16-sharded");
        BakedModels.Bake(original, Out, 1.7f);
        var (card, record) = (File.ReadAllText(Path.Combine(Out, "README.md")), BakedRecord.Load(Out));
        using var model = VisionLanguageModel.Open(original);
        foreach (var part in new[]
        {
            "# llava15-gqa-f16-sharded with 3 heads multiplied by 1.7\n", "| heads, layer:head | 0:0, 0:", model.Checkpoint.Sha256,
            "sha256 1234 |", record.Tool, $"| of them rounded | {record.Rounded},",
            $"| `{model.Decoder.Layers[0].OutputProjection.Weight.Name}` | `model-0000",
            "ascope diagnose --model DIR", "ascope verify-baked",
        }) Assert.Contains(part, card, StringComparison.Ordinal);
        Assert.DoesNotContain("another model's", card, StringComparison.Ordinal);
        Assert.DoesNotContain("Not changed", card, StringComparison.Ordinal);
        Assert.True(record.Rounded > 0);
        Assert.Equal(model.Checkpoint.Sha256, record.SourceSha256);
    }

    [Theory]
    [InlineData("---\nlicense: mit\n---\n# Mine\n\ntext\n", "---\nlicense: mit\n---\n")]
    [InlineData("---\r\nlicense: mit\r\n---\r\n# Mine\r\n", "---\r\nlicense: mit\r\n---\r\n")]
    [InlineData("# Mine\n\n---\na rule\n---\n", "")]
    [InlineData("---\nnever closed", "")]
    [InlineData("---", "")]
    [InlineData("", "")]
    public void TheOriginalsCard_IsKeptBelow(string card, string front)
    {
        var model = _temp.Copy(Fixtures.Path("llava15"), "model");
        File.WriteAllText(Path.Combine(model, "README.md"), card);
        BakedModels.Bake(model, Out, 0);
        var found = File.ReadAllText(Path.Combine(Out, "README.md"));
        Assert.StartsWith(front + "# model with 3 heads multiplied by 0\n", found, StringComparison.Ordinal);
        Assert.EndsWith("\n# The original's model card\n\n" + card[front.Length..], found, StringComparison.Ordinal);
        // Once more: both cards are there.
        BakedModels.Bake(Out, _temp.File("twice"), 2);
        found = File.ReadAllText(Path.Combine(_temp.File("twice"), "README.md"));
        Assert.Contains("# baked with 3 heads multiplied by 2\n", found, StringComparison.Ordinal);
        Assert.Contains("# model with 3 heads multiplied by 0\n", found, StringComparison.Ordinal);
        Assert.Equal(2, BakedRecord.Load(_temp.File("twice")).Gains.Common);
    }

    [Fact]
    public void ACardInAnotherEncoding_KeepsItsBytes()
    {
        var model = _temp.Copy(Fixtures.Path("llava15"), "model");
        byte[] card = [.. "# Gr"u8, 0xFC, 0xDF, 0xFF, 0x00, .. "e\n"u8];
        File.WriteAllBytes(Path.Combine(model, "README.md"), card);
        BakedModels.Bake(model, Out, 0);
        Assert.True(File.ReadAllBytes(Path.Combine(Out, "README.md")).AsSpan().EndsWith(card));
    }

    [Fact]
    public void FoldersAndOtherWeights_AreCopied_AndTheCardSaysSo()
    {
        var model = _temp.Copy(Fixtures.Path("llava15"), "model");
        foreach (var name in new[] { "original/consolidated.00.pth", "assets/empty.txt", ".git/config" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(model, name))!);
            File.WriteAllText(Path.Combine(model, name), name.EndsWith(".txt", StringComparison.Ordinal) ? "" : name);
        }
        BakedModels.Bake(model, Out, 0);
        Assert.Equal("original/consolidated.00.pth", File.ReadAllText(Path.Combine(Out, "original", "consolidated.00.pth")));
        Assert.Equal(0, new FileInfo(Path.Combine(Out, "assets", "empty.txt")).Length);
        Assert.False(Directory.Exists(Path.Combine(Out, ".git")));
        Assert.Contains("**Not changed:** `original/consolidated.00.pth`.", File.ReadAllText(Path.Combine(Out, "README.md")),
            StringComparison.Ordinal);
    }

    /// <summary>As in the hub's cache: a folder of links into a store.</summary>
    [Fact]
    public void LinkedFiles_BecomeFiles()
    {
        if (OperatingSystem.IsWindows()) return; // links need a privilege there
        var store = _temp.Copy(Fixtures.Path("llava15"), "blobs");
        var model = Directory.CreateDirectory(_temp.File("snapshot")).FullName;
        foreach (var file in Directory.GetFiles(store))
            File.CreateSymbolicLink(Path.Combine(model, Path.GetFileName(file)), "../blobs/" + Path.GetFileName(file));
        BakedModels.Bake(model, Out, 0);
        foreach (var file in Directory.GetFiles(Out)) Assert.Null(new FileInfo(file).LinkTarget);
        Assert.Equal(File.ReadAllBytes(Path.Combine(store, "tokenizer.json")), File.ReadAllBytes(Path.Combine(Out, "tokenizer.json")));
        Directory.CreateSymbolicLink(Path.Combine(model, "more"), store);
        Refused(model, 0, "more: expected a file or a folder, found a link", set => set, _temp.File("other"));
    }

    [Fact]
    public void AnotherModelsHeads_AreRefused_UnlessForced()
    {
        var model = Fixtures.Path("llava15");
        Refused(model, 0, "heads.json: head set of tiny: expected one that was made for this model, found one for another: other weights",
            set => set with { Set = set.Set with { Revision = "5678" } });
        using (var opened = VisionLanguageModel.Open(model))
        {
            var heads = BakedModels.Heads(opened);
            new BakedCheckpoint(opened, heads with { Set = heads.Set with { Revision = "5678" } }, 0, anyModel: true).Write(Out);
        }
        Assert.Equal("5678", BakedRecord.Load(Out).HeadSetRevision);
        Assert.Contains("**The heads are another model's.**", File.ReadAllText(Path.Combine(Out, "README.md")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(99, 0, "heads.json: heads[0].layer: expected one that the model has, 0 to 3, found 99")]
    [InlineData(-1, 0, "heads.json: heads[0].layer: ")]
    [InlineData(0, 99, "heads.json: heads[0].head: expected one that the model has, 0 to ")]
    [InlineData(0, -1, "heads.json: heads[0].head: ")]
    public void HeadsThatTheModelLacks_AreRefused(int layer, int head, string message) =>
        Refused(Fixtures.Path("llava15"), 0, message, set => set with { Set = set.Set with { Heads = [new ScoredHead(layer, head, 0)] } });

    [Fact]
    public void AFactorThatF16CannotHold_IsRefused_AndNothingIsLeft() =>
        Refused(Fixtures.Path("llava15-gqa-f16-sharded"), 1e9f, "expected a finite F16 value, found infinity", set => set);

    [Fact]
    public void OutInTheOriginal_IsRefused()
    {
        var model = _temp.Copy(Fixtures.Path("llava15"), "model");
        Refused(model, 0, "--out: folder: expected one that is not in the original", set => set, Path.Combine(model, "baked"));
        Refused(model, 0, "expected a new or empty folder, found one with files in it", set => set, _temp.Path);
    }

    /// <summary>However the work ends, the output folder is either complete or absent, and the temporary folder is removed.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(200_000)]
    [InlineData(long.MaxValue)]
    public void CancelledOrOutOfSpace_NothingIsLeft(long after)
    {
        using var model = VisionLanguageModel.Open(Fixtures.Path("llava15"));
        var checkpoint = new BakedCheckpoint(model, BakedModels.Heads(model), 0);
        using var cancel = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => checkpoint.Write(
            Out,
            (done, all) =>
            {
                if (done >= Math.Min(after, all)) cancel.Cancel();
            },
            cancel.Token));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
        var error = Assert.Throws<InputException>(() => checkpoint.Write(Out, (done, all) =>
        {
            if (done >= Math.Min(after, all)) throw new IOException("No space left on device");
        }));
        Assert.Contains("No space left on device", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
    }

    private void Refused(string model, float factor, string message, Func<HeadSetFile, HeadSetFile> set, string? folder = null)
    {
        var before = Directory.EnumerateFileSystemEntries(_temp.Path, "*", SearchOption.AllDirectories).Count();
        using var opened = VisionLanguageModel.Open(model);
        var error = Assert.Throws<InputException>(
            () => new BakedCheckpoint(opened, set(BakedModels.Heads(opened)), factor).Write(folder ?? Out));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Equal(before, Directory.EnumerateFileSystemEntries(_temp.Path, "*", SearchOption.AllDirectories).Count());
    }

    public void Dispose() => _temp.Dispose();
}
