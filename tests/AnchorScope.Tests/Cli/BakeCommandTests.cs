using System.Diagnostics;
using System.Globalization;
using AnchorScope.Baking;
using AnchorScope.Tests.Baking;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>Baking, suppressing and proving from the command line.</summary>
public sealed class BakeCommandTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void Suppress_IsBakeWithZero()
    {
        Template("1:2,3:0");
        Succeeds("bake", "--model", Fixtures.Organism, "--heads", "heads.json", "--factor", "0", "--out", "baked");
        Succeeds("suppress", "--model", Fixtures.Organism, "--heads", "heads.json", "--out", "suppressed");
        foreach (var file in Directory.GetFiles(_temp.File("baked")))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(_temp.File("suppressed"), Path.GetFileName(file))));
        Assert.Equal([(1, 2), (3, 0)], BakedRecord.Load(_temp.File("suppressed")).Gains.Heads.Select(h => (h.Layer, h.Head)));
    }

    [Theory]
    [InlineData("0", "logits, bit for bit")]
    [InlineData("4", "logits, bit for bit")]
    [InlineData("1.5", "within the rounding of weights")]
    public void Verified_OnConflictsAndOnTokens(string factor, string claim)
    {
        Template("1:2,3:0");
        Succeeds("bake", "--model", Fixtures.Organism, "--heads", "heads.json", "--factor", factor, "--out", "baked");
        foreach (string[] more in new string[][] { [], ["--data", Fixtures.Conflicts],
            ["--heads", "heads.json", "--factor", factor, "--prompts", "1"] })
        {
            var output = Succeeds(["verify-baked", "--model", Fixtures.Organism, "--baked", "baked", .. more]);
            Assert.Contains(claim, output, StringComparison.Ordinal);
            Assert.Contains("The baked checkpoint is the original, steered.", output, StringComparison.Ordinal);
            Assert.DoesNotContain("DOES NOT HOLD", output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void WhatIsNotTheOriginalSteered_DoesNotHold()
    {
        Template("1:2,3:0");
        Succeeds("bake", "--model", Fixtures.Organism, "--heads", "heads.json", "--factor", "2", "--out", "baked");
        Assert.Contains("columns = round(original x factor)", DoesNotHold("--heads", "heads.json", "--factor", "1.5"),
            StringComparison.Ordinal);
        Assert.Contains("baked logits = steered logits", DoesNotHold("--heads", "heads.json", "--factor", "0"), StringComparison.Ordinal);
        var weights = _temp.File("baked/model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        File.WriteAllBytes(weights, [.. bytes[..^1], (byte)(bytes[^1] ^ 1)]);
        Assert.Contains("other tensors byte for byte", DoesNotHold(), StringComparison.Ordinal);
        // A header that says the same in other bytes.
        var header = bytes.ToArray();
        var space = Array.IndexOf(header, (byte)' ', 8);
        if (space > 0) header[space] = (byte)'\n';
        File.WriteAllBytes(weights, header);
        Assert.Contains("headers byte for byte", DoesNotHold(), StringComparison.Ordinal);
        File.WriteAllBytes(weights, bytes);
        File.WriteAllText(_temp.File("baked/notes.txt"), "mine");
        Assert.Contains("the original has no notes.txt", DoesNotHold(), StringComparison.Ordinal);
        File.Move(_temp.File("baked/notes.txt"), _temp.File("notes.txt"));
        File.Move(_temp.File("baked/provenance.json"), _temp.File("provenance.json"));
        Assert.Contains("provenance.json is missing", DoesNotHold(), StringComparison.Ordinal);
        File.WriteAllText(_temp.File("baked/provenance.json"), "{}");
        Assert.Contains("provenance.json differs", DoesNotHold(), StringComparison.Ordinal);
        File.Copy(_temp.File("provenance.json"), _temp.File("baked/provenance.json"), overwrite: true);
        var record = File.ReadAllText(_temp.File("baked/baked.json"));
        File.WriteAllText(_temp.File("baked/baked.json"), record.Replace("\"rounded\": 0", "\"rounded\": 7", StringComparison.Ordinal));
        Assert.Contains("baked.json says the same", DoesNotHold(), StringComparison.Ordinal);
        File.WriteAllText(_temp.File("baked/baked.json"), record);
        Succeeds("verify-baked", "--model", Fixtures.Organism, "--baked", "baked");
        // The same bytes of another original.
        Assert.Equal(1, Ascope.Run(_temp.Path, "verify-baked", "--model", "baked", "--baked", "baked").ExitCode);
        Assert.Equal(1, Ascope.Run(_temp.Path, "verify-baked", "--model", Fixtures.Path("llava15"), "--baked", "baked").ExitCode);
    }

    [Theory]
    [InlineData("--factor: expected a finite number, found NaN", "--factor", "NaN")]
    [InlineData("--factor: expected a finite number", "--factor", "1e39")]
    [InlineData("--factor", "--factor", "large")]
    [InlineData("none.json: the file cannot be read", "--heads", "none.json")]
    [InlineData("config.json", "--heads", "models/config.json")]
    [InlineData("no/such: checkpoint", "--model", "no/such")]
    [InlineData("--out: .: expected a new or empty folder", "--out", ".")]
    public void WrongInput_IsOneLine_AndNothingIsLeft(string message, string option, string value)
    {
        Template("1:2");
        string[] arguments = ["bake", "--model", Fixtures.Organism, "--heads", "heads.json", "--factor", "0", "--out", "baked"];
        arguments[Array.IndexOf(arguments, option) + 1] = value == "models/config.json"
            ? Path.Combine(Fixtures.Organism, "config.json") : value;
        Assert.Contains(message, Refused(arguments), StringComparison.Ordinal);
        Assert.Equal(["heads.json"], Directory.EnumerateFileSystemEntries(_temp.Path).Select(path => Path.GetFileName(path)));
    }

    [Fact]
    public void AnotherModelsHeads_NeedForce()
    {
        Template("1:2");
        string[] arguments = ["suppress", "--model", Fixtures.Path("llava15"), "--heads", "heads.json", "--out", "baked"];
        var line = Refused(arguments);
        Assert.Contains("expected one that was made for this model, found one for another: other weights", line, StringComparison.Ordinal);
        Assert.Contains("head set of organism: ", line, StringComparison.Ordinal);
        Succeeds([.. arguments, "--any-model"]);
        Assert.Contains("another model's", File.ReadAllText(_temp.File("baked/README.md")), StringComparison.Ordinal);
        Succeeds("verify-baked", "--model", Fixtures.Path("llava15"), "--baked", "baked");
        Assert.Contains("expected a new or empty folder", Refused([.. arguments, "--any-model"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("baked.json: expected a folder of ascope bake or ascope tune", null, null)]
    [InlineData("--heads and --factor: expected both or none", "--factor", "2")]
    [InlineData("--prompts: expected at least 1", "--prompts", "0")]
    [InlineData("--threads: expected at least 1", "--threads", "0")]
    [InlineData("no such data folder", "--data", "none")]
    public void Verify_WrongInput_IsOneLine(string message, string? option, string? value)
    {
        var baked = option is "--data" ? BakedModels.Bake(Fixtures.Organism, _temp.File("baked"), 0) : Fixtures.Organism;
        string[] more = option is null ? [] : [option, value!];
        Assert.Contains(message, Refused(["verify-baked", "--model", Fixtures.Organism, "--baked", baked, .. more]),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"layer\": 0", "\"layer\": 77", "heads: layer: expected one that the model has, 0 to ")]
    [InlineData("\"version\": 1", "\"version\": 9", "version: expected 1, found 9")]
    [InlineData("\"factor\": 0\n", "\"factor\": 1e99\n", "factor: expected a number of 32 bits")]
    [InlineData("\"tensors\": [", "\"tensors\": [1, ", "tensors[0]: expected an object, found 1")]
    [InlineData("\"heads\": [", "\"heads\": [], \"more\": [", "more: expected only version")]
    [InlineData("{", "", "not valid JSON")]
    public void AWrongRecord_IsOneLine(string from, string to, string message)
    {
        var baked = BakedModels.Bake(Fixtures.Organism, _temp.File("baked"), 0);
        var path = Path.Combine(baked, "baked.json");
        var text = File.ReadAllText(path);
        var at = text.IndexOf(from, StringComparison.Ordinal);
        Assert.True(at >= 0);
        File.WriteAllText(path, text[..at] + to + text[(at + from.Length)..]);
        var line = Refused("verify-baked", "--model", Fixtures.Organism, "--baked", "baked");
        Assert.Contains("baked.json: ", line, StringComparison.Ordinal);
        Assert.Contains(message, line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--heads-template: expected all, or layer:head pairs like 1:2,3:0, found 1.2", "1.2")]
    [InlineData("--heads-template: expected each head once, found 1:2 2 times", "1:2,1:2")]
    [InlineData("--heads-template: layer: expected one that the model has, 0 to ", "99:0")]
    [InlineData("--heads-template: head: expected one that the model has, 0 to 7, found 99", "0:99")]
    public void Template_WrongHeads_AreOneLine(string message, string heads) =>
        Assert.Contains(message, Refused("inspect", Fixtures.Organism, "--heads-template", heads), StringComparison.Ordinal);

    /// <summary>
    /// A killed process cannot clean up, but the output folder never exists incompletely; and a shard is streamed, not held in memory.
    /// </summary>
    [Theory]
    [InlineData("-KILL", 137)]
    [InlineData("-TERM", 130)]
    public async Task Stopped_ThereIsNoFolder(string signal, int exit)
    {
        if (OperatingSystem.IsWindows()) return; // no such signals
        Succeeds("synth", "--family", "llava", "--layers", "12", "--heads", "16", "--hidden", "1024", "--out", "model");
        File.WriteAllText(_temp.File("heads.json"), Succeeds("inspect", "model", "--heads-template", "all"));
        using var process = Ascope.Start(_temp.Path, "bake", "--model", "model", "--heads", "heads.json", "--factor",
            "1.1", "--out", "baked");
        while (!process.HasExited && !Directory.EnumerateFiles(_temp.Path, "*.tmp", SearchOption.AllDirectories).Any()) await Task.Delay(2);
        using (var kill = Process.Start("kill", [signal, process.Id.ToString(CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync();
        Assert.Equal(exit, process.ExitCode);
        Assert.False(Path.Exists(_temp.File("baked")));
        Assert.Equal(signal == "-KILL" ? 1 : 0, Directory.GetDirectories(_temp.Path, ".baked.*.partial").Length);
    }

    private void Template(string heads) =>
        File.WriteAllText(_temp.File("heads.json"), Succeeds("inspect", Fixtures.Organism, "--heads-template", heads));

    private string Succeeds(params string[] arguments)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal((0, ""), (exit, error));
        return output;
    }

    private string DoesNotHold(params string[] more)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, ["verify-baked", "--model", Fixtures.Organism, "--baked", "baked", .. more]);
        Assert.Equal((1, ""), (exit, error));
        Assert.Contains("NOT the original", output, StringComparison.Ordinal);
        return string.Join('\n', output.Split('\n').Where(line => line.Contains("DOES NOT HOLD", StringComparison.Ordinal)));
    }

    private string Refused(params string[] arguments)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal(2, exit);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("ascope: ", line, StringComparison.Ordinal);
        return line;
    }

    public void Dispose() => _temp.Dispose();
}
