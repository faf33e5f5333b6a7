using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>`ascope parity`: what it finds, what it says of a difference, and its exit codes.</summary>
public sealed class ParityCommandTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void AllArraysOfACase_AreWithinTolerance()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, "parity", Fixtures.Path("qwen2vl"), Fixtures.Path("qwen2vl", "golden"), "--all");
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains("93 arrays within tolerance", output, StringComparison.Ordinal);
        Assert.DoesNotContain("not compared", output, StringComparison.Ordinal);
    }

    /// <summary>What tools/make_golden.py writes, run with the reference library on bundled models (docs/recipes/parity.md).</summary>
    [Theory]
    [InlineData("relay", "46 arrays within tolerance")]
    [InlineData("wired-arbiter", "26 arrays within tolerance")]
    public void WhatTheScriptMakes_IsComparedWhole(string model, string expected)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, "parity", Fixtures.Grown(model), Fixtures.Path("made", model), "--all");
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains(expected, output, StringComparison.Ordinal);
        foreach (var site in new[] { "lm.attn", "lm.z", "lm.attn_out", "lm.mlp_out", "lm.hidden" }) Assert.Contains(site, output,
            StringComparison.Ordinal);
    }

    [Fact]
    public void OtherWeights_AreFoundAtTheFirstSite()
    {
        // The same configuration with one weight of layer 2 changed: everything before it agrees.
        var model = Directory.CreateDirectory(_temp.File("model")).FullName;
        foreach (var file in Directory.GetFiles(Fixtures.Path("qwen2vl"))) File.Copy(file, Path.Combine(model, Path.GetFileName(file)));
        var path = Path.Combine(model, "model.safetensors");
        var bytes = File.ReadAllBytes(path);
        using (var file = AnchorScope.Checkpoints.SafetensorsFile.Open(path))
        {
            var entry = file.Entry("model.layers.2.self_attn.o_proj.weight");
            BitConverter.TryWriteBytes(bytes.AsSpan((int)entry.Offset), 3f);
        }
        File.WriteAllBytes(path, bytes);
        var (exit, output, _) = Ascope.Run(_temp.Path, "parity", model,
            Fixtures.Path("qwen2vl", "golden", "one_image_nonsquare.safetensors"));
        Assert.Equal(1, exit);
        Assert.Contains("the first in the order of computation: one_image_nonsquare, lm.attn_out layer 2 [0, 0]: expected", output,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no/such/folder", "no/such/folder: there is no such file or folder")]
    [InlineData(".", "expected golden .safetensors files, found none")]
    public void WrongFolders_AreNamed(string golden, string message)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, "parity", Fixtures.Path("qwen2vl"), golden);
        Assert.Equal(2, exit);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    public void Dispose() => _temp.Dispose();
}
