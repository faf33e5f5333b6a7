using System.Diagnostics;
using System.Globalization;
using AnchorScope.Checkpoints;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>`ascope synth`: its folders go through the other commands, and what goes wrong leaves nothing.</summary>
public sealed class SynthCommandTests : IDisposable
{
    private static readonly string[] Tiny =
        ["--layers", "2", "--heads", "4", "--kv-heads", "2", "--hidden", "32", "--vocab", "400", "--image-tokens", "9", "--vision-layers",
            "2", "--vision-hidden", "32", "--vision-heads", "4"];

    private readonly TempFolder _temp = new();

    [Theory]
    [InlineData("llava", "f32")]
    [InlineData("llava-onevision", "bf16")]
    [InlineData("qwen2-vl", "f16")]
    [InlineData("qwen2.5-vl", "bf16")]
    [InlineData("internvl", "f16")]
    [InlineData("smolvlm", "bf16")]
    public void EveryFamily_GoesThroughInspectTraceAndDiagnose(string family, string type)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path,
            ["synth", "--family", family, .. Tiny, "--dtype", type, "--seed", "7", "--out", "model"]);
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains("never trained", output, StringComparison.Ordinal);
        (exit, output, error) = Ascope.Run(_temp.Path, "inspect", "model");
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains($"stored as     {type.ToUpperInvariant()},", output, StringComparison.Ordinal);
        (exit, _, error) = Ascope.Run(
            _temp.Path, "trace", "model", "--image", Path.Combine(Fixtures.Conflicts, "images", "test-0000.png"), "--prompt",
            "which colour?", "--generate", "2", "--out", "trace.safetensors");
        Assert.Equal((0, ""), (exit, error));
        using var trace = SafetensorsFile.Open(_temp.File("trace.safetensors"));
        Assert.Equal(400, trace.Entry("lm.logits").Shape[^1]);
        // Answers that begin with the same byte are left out, and the command says so with its exit code.
        (exit, _, error) = Ascope.Run(_temp.Path, "diagnose", "--model", "model", "--data", Fixtures.Conflicts, "--limit", "3", "--draws",
            "1", "--windows", "3", "--gains", "2", "--quiet", "--out", "out");
        Assert.Equal(3, exit);
        Assert.All(error.Trim().Split('\n'), line => Assert.StartsWith("left out", line, StringComparison.Ordinal));
        Assert.Contains("follows nothing", File.ReadAllText(Path.Combine(_temp.File("out"), "report.html")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--family", "blip")]
    [InlineData("--heads", "5")]
    [InlineData("--heads", "32")]
    [InlineData("--heads", "0")]
    [InlineData("--kv-heads", "3")]
    [InlineData("--hidden", "many")]
    [InlineData("--vocab", "100")]
    [InlineData("--image-tokens", "10")]
    [InlineData("--image-tokens", "-4")]
    [InlineData("--image-tokens", "16641")]
    [InlineData("--vision-heads", "5")]
    [InlineData("--dtype", "int8")]
    [InlineData("--shard-size", "5 GB")]
    [InlineData("--shard-size", "9999999999GB")]
    [InlineData("--seed", "-1")]
    [InlineData("--mlp", "1048577")]
    public void WrongOptions_AreOneLineThatNamesThem(string option, string value)
    {
        string[] arguments = ["synth", "--family", "llava", .. Tiny, "--dtype", "bf16", "--shard-size", "5GB", "--seed", "1",
            "--mlp", "96", "--out", "model"];
        arguments[Array.IndexOf(arguments, option) + 1] = value;
        Refused(option, arguments);
    }

    [Theory]
    [InlineData("qwen2-vl", "--vision-mlp", "100")]
    [InlineData("qwen2.5-vl", "--vision-heads", "16")]
    [InlineData("qwen2.5-vl", "--heads", "8")]
    public void WhatOneFamilyCannotHave_IsRefused(string family, string option, string value)
    {
        string[] arguments = ["synth", "--family", family, .. Tiny, "--vision-mlp", "128", "--out", "model"];
        arguments[Array.IndexOf(arguments, option) + 1] = value;
        Refused(option, arguments);
    }

    [Fact]
    public void ImpossibleImageTokens_ComeWithPossibleOnes() =>
        Assert.Contains("found 500; near it: 484 or 529",
            Refused("--image-tokens", "synth", "--family", "llava", "--image-tokens", "500", "--out", "model"), StringComparison.Ordinal);

    [Fact]
    public void MoreThanTheDiskHolds_IsNotBegun() =>
        Refused("--out", "synth", "--family", "llava", "--layers", "1000", "--heads", "64", "--hidden", "65536", "--out", "model");

    [Fact]
    public void AFolderWithFiles_IsLeftAlone()
    {
        _temp.Write("notes.txt", "mine");
        var (exit, _, error) = Ascope.Run(_temp.Path, ["synth", "--family", "llava", .. Tiny, "--out", "."]);
        Assert.Equal(2, exit);
        Assert.Contains("expected a new or empty folder, found one with files in it", error, StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(_temp.File("notes.txt")));
        Assert.Single(Directory.EnumerateFileSystemEntries(_temp.Path));
    }

    [Fact]
    public async Task Terminated_NothingIsLeft()
    {
        if (OperatingSystem.IsWindows()) return; // no such signal
        using var process = Ascope.Start(_temp.Path, "synth", "--family", "llava", "--layers", "16", "--heads", "32", "--hidden",
            "4096", "--out", "model");
        while (!process.HasExited && !Directory.EnumerateFiles(_temp.Path, "*.tmp", SearchOption.AllDirectories).Any())
            await Task.Delay(10);
        using (var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]))
            await kill.WaitForExitAsync();
        var error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(130, process.ExitCode);
        Assert.Contains("ascope: stopped; model was not written", error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
    }

    [Fact]
    public void AMappedCheckpoint_TakesNoMemoryOfItsOwn()
    {
        if (!OperatingSystem.IsLinux()) return; // where RssAnon is told apart from mapped files
        string[] tiny = ["synth", "--family", "llava", .. Tiny, "--out", "tiny"];
        string[] large = ["synth", "--family", "llava", "--layers", "8", "--heads", "16", "--hidden", "1024", "--out", "large"];
        Assert.Equal(0, Ascope.Run(_temp.Path, tiny).ExitCode);
        Assert.Equal(0, Ascope.Run(_temp.Path, large).ExitCode);
        var bytes = new FileInfo(Path.Combine(_temp.File("large"), "model.safetensors")).Length;
        Assert.True(bytes > 300_000_000, $"{bytes} bytes are too few to see a copy of them");
        var (before, with) = (PeakOfTrace("tiny"), PeakOfTrace("large"));
        Assert.True(with - before < bytes / 5,
            $"a prompt through {bytes} bytes of weights took {with - before} bytes more memory than through a tiny model's ({before})");
    }

    /// <summary>Peak anonymous memory in bytes (not backed by a file) while the model reads a short text.</summary>
    private long PeakOfTrace(string model)
    {
        using var process = Ascope.Start(_temp.Path, "trace", model, "--prompt", "yes?", "--force", "--out",
            "trace.safetensors", "--threads", "2");
        var error = process.StandardError.ReadToEndAsync();
        var peak = 0L;
        while (!process.HasExited)
        {
            try
            {
                var line = File.ReadLines($"/proc/{process.Id}/status")
                    .FirstOrDefault(l => l.StartsWith("RssAnon:", StringComparison.Ordinal));
                if (line is not null)
                    peak = Math.Max(
                        peak, 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture));
            }
            catch (IOException)
            {
                // It ended between the two looks.
            }
            Thread.Sleep(2);
        }
        Assert.Equal((0, ""), (process.ExitCode, error.GetAwaiter().GetResult()));
        Assert.True(peak > 0);
        return peak;
    }

    private string Refused(string names, params string[] arguments)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal(2, exit);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("ascope: ", line, StringComparison.Ordinal);
        Assert.Contains(names, line, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
        return line;
    }

    public void Dispose() => _temp.Dispose();
}
