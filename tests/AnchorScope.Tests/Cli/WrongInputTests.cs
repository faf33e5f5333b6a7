using System.Text;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>A user's mistake gives one line that names file, field, expected and found, exit code 2, and no files left over.</summary>
public sealed class WrongInputTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void TruncatedCheckpoint()
    {
        var model = CopyOrganism();
        var weights = File.ReadAllBytes(Path.Combine(model, "model.safetensors"));
        File.WriteAllBytes(Path.Combine(model, "model.safetensors"), weights[..(weights.Length / 2)]);
        Refused("model.safetensors", "diagnose", "--model", model, "--out", _temp.File("out"));
    }

    [Fact]
    public void TextFileRenamed()
    {
        var model = CopyOrganism();
        File.WriteAllText(Path.Combine(model, "model.safetensors"),
            "version https://git-lfs.github.com/spec/v1\noid sha256:65c0\nsize 3301234\n");
        Refused("model.safetensors", "inspect", model);
    }

    [Fact]
    public void MissingPictureIsListedAndTheRestGoesOn()
    {
        var data = CopyConflicts(8);
        File.Delete(Path.Combine(data, "images", "test-0001.png"));
        var (exit, output, error) = Ascope.Run(_temp.Path, "diagnose", "--data", data, "--model", Fixtures.Organism, "--out",
            _temp.File("out"), "--draws", "1", "--windows", "3");
        Assert.Equal(3, exit);
        Assert.Contains("left out", error, StringComparison.Ordinal);
        Assert.DoesNotContain("left out", output, StringComparison.Ordinal);
        Assert.Contains("test.jsonl:2 test-0001: image: there is no file images/test-0001.png", error.ReplaceLineEndings(" "),
            StringComparison.Ordinal);
        Assert.Contains("\"reason\": \"image: there is no file images/test-0001.png\"",
            File.ReadAllText(Path.Combine(_temp.File("out"), "diagnosis.json")), StringComparison.Ordinal);
        Assert.Contains("there is no file images/test-0001.png", File.ReadAllText(Path.Combine(_temp.File("out"), "report.html")),
            StringComparison.Ordinal);
    }

    [Fact]
    public void AllPicturesMissing()
    {
        var data = CopyConflicts(3);
        Directory.Delete(Path.Combine(data, "images"), recursive: true);
        Refused("rank.jsonl: no usable sample in 3 lines; line 1: image: there is no file", "diagnose", "--data", data, "--model",
            Fixtures.Organism, "--out", _temp.File("out"));
    }

    [Fact]
    public void WrongModelFolder() =>
        Refused("no/such/model", "diagnose", "--model", "no/such/model", "--data", Fixtures.Conflicts, "--out", _temp.File("out"));

    [Fact]
    public void UnknownFamily()
    {
        var model = CopyOrganism();
        var config = Path.Combine(model, "config.json");
        File.WriteAllText(
            config, File.ReadAllText(config).Replace("\"model_type\": \"llava\"", "\"model_type\": \"blip-2\"", StringComparison.Ordinal));
        Refused("model_type", "inspect", model);
    }

    [Fact]
    public void HeadOutOfRange()
    {
        var edits = _temp.Write("edits.json", """[{"kind": "head_scale", "layer": 3, "head": 8, "positions": null, "factor": 0.0}]""");
        var line = Refused("head", "trace", Fixtures.Organism, "--image", Picture(), "--prompt", "what colour is it ? trust the picture",
            "--edits", edits, "--out", _temp.File("out.safetensors"));
        Assert.Contains("head: expected one that the model has, 0 to 7, found 8", line, StringComparison.Ordinal);
    }

    [Fact]
    public void UnreadablePicture()
    {
        var picture = _temp.Write("scan.png", Encoding.ASCII.GetBytes("GIF89a, not a PNG"));
        Refused("scan.png", "trace", Fixtures.Organism, "--image", picture, "--prompt", "what colour is it ?", "--out",
            _temp.File("out.safetensors"));
    }

    [Theory]
    [InlineData("--preset", "paper-v9")]
    [InlineData("--nssd", "kl")]
    [InlineData("--shares", "0.9")]
    [InlineData("--gains", "two")]
    [InlineData("--limit", "0")]
    [InlineData("--window", "0")]
    [InlineData("--threads", "0")]
    [InlineData("--instruction-span", "prompt")]
    [InlineData("--screen", "fast")]
    [InlineData("--route", "shortest")]
    [InlineData("--ablation", "noise")]
    public void OptionsOutOfRange(string option, string value) =>
        Refused(option, "diagnose", "--model", Fixtures.Organism, "--data", Fixtures.Conflicts, "--out", _temp.File("out"), option, value);

    [Fact]
    public void AScreenEstimatesTheMarginAlone() => Refused(
        "--screen: gradient: expected --head-score causal_margin, which is what it estimates, found causal_nssd",
        "diagnose", "--model", Fixtures.Organism, "--data", Fixtures.Conflicts, "--out", _temp.File("out"), "--screen", "gradient",
        "--head-score", "causal_nssd");

    [Theory]
    [InlineData("gradient", "mean")]
    [InlineData("slope", "resample")]
    public void AScreenEstimatesZeroAblationAlone(string screen, string ablation) => Refused(
        $"--screen: {screen}: expected --ablation zero, as derivatives estimate heads set to 0, found {ablation}",
        "diagnose", "--model", Fixtures.Organism, "--data", Fixtures.Conflicts, "--out", _temp.File("out"), "--screen", screen,
            "--ablation", ablation);

    [Fact]
    public void UnknownOption() => Refused("--colour", "diagnose", "--colour", "red");

    private string Refused(string names, params string[] arguments)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal(2, exit);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("ascope: ", line, StringComparison.Ordinal);
        Assert.Contains(names, line, StringComparison.Ordinal);
        Assert.False(Path.Exists(_temp.File("out")), "a folder was left behind");
        Assert.False(Path.Exists(_temp.File("out.safetensors")), "a file was left behind");
        return line;
    }

    private string CopyOrganism()
    {
        var folder = Directory.CreateDirectory(_temp.File("model")).FullName;
        foreach (var file in Directory.GetFiles(Fixtures.Organism)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return folder;
    }

    private string CopyConflicts(int samples)
    {
        var folder = Directory.CreateDirectory(_temp.File("data")).FullName;
        Directory.CreateDirectory(Path.Combine(folder, "images"));
        File.Copy(Path.Combine(Fixtures.Conflicts, "prompt.json"), Path.Combine(folder, "prompt.json"));
        foreach (var set in new[] { "rank", "test" })
        {
            File.WriteAllLines(Path.Combine(folder, set + ".jsonl"),
                File.ReadLines(Path.Combine(Fixtures.Conflicts, set + ".jsonl")).Take(samples));
            foreach (var picture in Directory.GetFiles(Path.Combine(Fixtures.Conflicts, "images"), set + "-000*.png"))
                File.Copy(picture, Path.Combine(folder, "images", Path.GetFileName(picture)));
        }
        return folder;
    }

    private static string Picture() => Directory.GetFiles(Path.Combine(Fixtures.Conflicts, "images")).Order(StringComparer.Ordinal).First();

    public void Dispose() => _temp.Dispose();
}
