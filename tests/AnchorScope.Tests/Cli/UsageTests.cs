using System.Diagnostics;
using AnchorScope.Checkpoints;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>Help and error messages of the command line, and how it treats outputs, locks and interruptions.</summary>
public sealed class UsageTests : IDisposable
{
    private static readonly string[] Small = ["--model", Fixtures.Organism, "--data", Fixtures.Conflicts, "--limit", "3", "--draws", "1",
        "--windows", "3", "--gains", "2"];

    private readonly TempFolder _temp = new();

    [Theory]
    [InlineData("bogus: there is no such command (ascope --help lists commands)", "bogus")]
    [InlineData("diagnos: there is no such command; did you mean diagnose? (ascope --help lists commands)", "diagnos")]
    [InlineData("wrld: ascope data has no such command; did you mean world? (ascope data --help says more)", "data", "wrld")]
    [InlineData("--limt: ascope diagnose has no such option; did you mean --limit? (ascope diagnose --help says more)",
        "diagnose", "--limt", "3")]
    [InlineData("--limit: expected a whole number, found abc (ascope diagnose --help says more)", "diagnose", "--limit", "abc")]
    [InlineData("--seed: expected a whole number of at least 0, found -1 (ascope diagnose --help says more)", "diagnose", "--seed", "-1")]
    [InlineData("--factor: expected a number, found two (ascope sweep --help says more)", "sweep", "m", "--factor", "two")]
    [InlineData("--out: expected a folder, found nothing (ascope train --help says more)", "train", "nope")]
    [InlineData("--limit: expected a whole number, found nothing (ascope diagnose --help says more)", "diagnose", "--limit")]
    [InlineData("expected one of mc2 (ascope import --help says more)", "import")]
    public void WhatIsMistyped_IsOnePlainLine(string expected, params string[] arguments)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal((2, "", $"ascope: {expected}\n"), (exit, output, error));
    }

    [Fact]
    public void ADryRun_ShowsThePromptAndWhatTheRunTakes_AndWritesNothing()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, ["diagnose", .. Small, "--dry-run"]);
        Assert.Equal(0, exit);
        Assert.Contains("organism: LLaVA-1.5, ", error, StringComparison.Ordinal);
        Assert.Contains("16 positions of the picture", output, StringComparison.Ordinal);
        Assert.Matches(@"\n +instruction +\d+ to \d+ +\w", output);
        Assert.Matches(@"every head blocked once +3 +3\d\d +\d+ %", output);
        Assert.Matches(@"\nabout [\d,]+ to [\d,]+ runs, .* on this machine, \d+ MiB of weights", output);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
        var (_, json, _) = Ascope.Run(_temp.Path, ["diagnose", .. Small, "--dry-run", "--json"]);
        using var parsed = System.Text.Json.JsonDocument.Parse(json);
        var phases = parsed.RootElement.GetProperty("estimate").GetProperty("phases").EnumerateArray().ToList();
        Assert.Equal("rank", phases[0].GetProperty("phase").GetString());
        Assert.Equal(3, phases[0].GetProperty("samples").GetInt32());
        Assert.Equal((2, "", "ascope: --dry-run: writes nothing; expected no --out and no --resume beside it, found one\n"),
            Ascope.Run(_temp.Path, ["diagnose", .. Small, "--dry-run", "--out", "a"]));
    }

    [Fact]
    public void AloneItShowsHelp()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path);
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains("diagnose", output, StringComparison.Ordinal);
        Assert.Contains("--quiet", output, StringComparison.Ordinal);
    }

    [Fact]
    public void ResultsGoToOutput_NotesToError_AndQuietLeavesThemOut()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, ["diagnose", .. Small, "--out", "a"]);
        Assert.Equal(0, exit);
        Assert.StartsWith("\n", output.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("organism: LLaVA-1.5, ", error, StringComparison.Ordinal);
        Assert.DoesNotContain("LLaVA-1.5", output, StringComparison.Ordinal);
        var (_, quietOutput, quietError) = Ascope.Run(_temp.Path, ["diagnose", .. Small, "--out", "b", "--quiet"]);
        Assert.Equal((output.Replace("a/report", "b/report", StringComparison.Ordinal), ""), (quietOutput, quietError));
    }

    /// <summary>Each command that writes refuses what is there, before it reads a model: the model here does not exist.</summary>
    [Theory]
    [InlineData("bake", "--model", "none", "--heads", "none.json", "--factor", "2", "--out", "full")]
    [InlineData("suppress", "--model", "none", "--heads", "none.json", "--out", "full")]
    [InlineData("adjudicate", "none", "--data", "none", "--out", "full")]
    public void AFolderWithFiles_IsRefusedFirst(params string[] arguments)
    {
        Directory.CreateDirectory(_temp.File("full"));
        File.WriteAllText(_temp.File("full/mine.txt"), "mine");
        var (exit, _, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal((2, "ascope: --out: full: expected a new or empty folder, found one with files in it; name another one\n"),
            (exit, error));
    }

    [Fact]
    public void ASecondProcessOnOneFolder_IsRefused()
    {
        Directory.CreateDirectory(_temp.File("run"));
        using (FolderLock.Take(_temp.File("run")))
        {
            Assert.Contains("another process is writing there",
                Assert.Throws<InputException>(() => FolderLock.Take(_temp.File("run"))).Message, StringComparison.Ordinal);
            var (exit, _, error) = Ascope.Run(_temp.Path, ["diagnose", .. Small, "--out", "run"]);
            Assert.Equal(2, exit);
            Assert.Contains("run: another process is writing there; wait until it ends, or name another folder with --out", error,
                StringComparison.Ordinal);
        }
        Assert.Empty(Directory.GetFileSystemEntries(_temp.File("run")));
        Assert.Equal(0, Ascope.Run(_temp.Path, ["diagnose", .. Small, "--out", "run"]).ExitCode);
        Assert.False(File.Exists(_temp.File($"run/{FolderLock.FileName}")));
    }

    /// <summary>
    /// The command printed when a run is stopped resumes it with all options, and gives the bytes of an uninterrupted run.
    /// </summary>
    [Fact]
    public void TheCommandThatGoesOn_WorksAsPrinted()
    {
        string[] arguments = ["diagnose", "--model", Fixtures.Organism, "--data", Fixtures.Conflicts, "--limit", "10", "--draws", "2",
            "--windows", "3", "--threads", "1"];
        using var process = Ascope.Start(_temp.Path, arguments);
        var results = _temp.File("out/diagnosis-001/results.jsonl");
        while (!process.HasExited && (!File.Exists(results) || new FileInfo(results).Length < 1000)) Thread.Sleep(10);
        using (var kill = Process.Start("kill", ["-INT", $"{process.Id}"])) kill.WaitForExit();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        const string Before = "; to resume: ascope ";
        var printed = error.Trim()[(error.Trim().IndexOf(Before, StringComparison.Ordinal) + Before.Length)..];
        Assert.Equal([.. arguments, "--out", "out/diagnosis-001", "--resume"], printed.Split(' '));
        Assert.Equal(0, Ascope.Run(_temp.Path, printed.Split(' ')).ExitCode);
        Assert.Equal(0, Ascope.Run(_temp.Path, [.. arguments, "--out", "whole"]).ExitCode);
        Assert.Equal(File.ReadAllBytes(_temp.File("whole/results.jsonl")), File.ReadAllBytes(results));
    }

    /// <summary>Options that could not have an effect are refused, not passed over.</summary>
    [Theory]
    [InlineData("--image: --inputs brings its own pixel_values", "trace", "MODEL", "--inputs", "in.safetensors",
        "--image", "no.png", "--out", "o")]
    [InlineData("--positions: where the heads of --heads are scaled", "sweep", "MODEL", "--prompt", "what", "--plan", "plan.json",
        "--positions", "all", "--out", "o")]
    [InlineData("--factor: scales the heads of --heads", "sweep", "MODEL", "--prompt", "what", "--plan", "plan.json",
        "--factor", "2", "--out", "o")]
    [InlineData("--factor: expected a number other than 1", "sweep", "MODEL", "--prompt", "what", "--heads", "all",
        "--factor", "1", "--out", "o")]
    [InlineData("--json: needs --explain", "sweep", "MODEL", "--prompt", "what", "--heads", "all", "--json", "--out", "o")]
    [InlineData("--json: a head set is JSON already", "inspect", "MODEL", "--heads-template", "all", "--json")]
    [InlineData("--factor: expected a number other than 1", "bake", "--model", "MODEL", "--heads", "heads.json",
        "--factor", "1", "--out", "o")]
    [InlineData("the model was made for 256", "sweep", "MODEL", "--inputs", "long.safetensors", "--heads", "all", "--out", "o")]
    public void WhatCannotHaveAnEffect_IsRefused(string expected, params string[] arguments)
    {
        _temp.Write("plan.json", "[]");
        _temp.Write("heads.json", """{"version": 1, "model": "a", "revision": "12", "heads": [{"layer": 0, "head": 1}]}""");
        SafetensorsWriter.Write(_temp.File("in.safetensors"), [TensorData.Of("input_ids", [1L, 5, 6], 1, 3)]);
        SafetensorsWriter.Write(_temp.File("long.safetensors"), [TensorData.Of("input_ids", [.. Enumerable.Repeat(7L, 300)], 1, 300)]);
        var (exit, output, error) = Ascope.Run(_temp.Path, [.. arguments.Select(a => a == "MODEL" ? Fixtures.Grown("relay") : a)]);
        Assert.Equal((2, ""), (exit, output));
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.False(File.Exists(_temp.File("o")));
    }

    /// <summary>Logits beyond float32 are null in a row, and a stack trace nowhere.</summary>
    [Fact]
    public void NumbersBeyondFloat32_AreNullInARow()
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, "sweep", Fixtures.Grown("relay"), "--prompt", "what is it ?", "--heads", "7:0,7:1",
            "--positions", "all", "--factor", "3e38", "--logits", "5", "--quiet", "--out", "rows.jsonl");
        Assert.Equal((0, "ascope: warning: 1 variant has logits beyond the range of float32, which are null in rows.jsonl\n"),
            (exit, error));
        Assert.Contains("\"5\":null", File.ReadAllText(_temp.File("rows.jsonl")), StringComparison.Ordinal);
    }

    /// <summary>A vocabulary may have more rows than the tokenizer has tokens.</summary>
    [Fact]
    public void LikeliestTokens_MayHaveNoText()
    {
        Assert.Equal(0, Ascope.Run(_temp.Path, "synth", "--family", "qwen2-vl", "--out", "padded", "--layers", "2", "--heads", "4",
            "--hidden", "128", "--vocab", "2000", "--vision-layers", "1", "--vision-hidden", "64").ExitCode);
        var (exit, output, error) = Ascope.Run(_temp.Path, "trace", "padded", "--prompt", "hello", "--top", "2000",
            "--out", "t.safetensors");
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains("no token of the tokenizer", output, StringComparison.Ordinal);
    }

    public void Dispose() => _temp.Dispose();
}
