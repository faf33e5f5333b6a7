using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>
/// The paths for AVX2 and for machines without vectors, each against the path for AVX-512 where the machine has that: the same bits at
/// every site.
/// </summary>
public sealed class VectorTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    /// <summary>
    /// Between them: grouped heads of 16 coordinates in decoders and heads of 12 in towers, float32, f16 and bf16 as stored, widths such as
    /// 100 and 152 that are no multiple of a vector.
    /// </summary>
    [Theory]
    [InlineData("llava15-gqa-f16-sharded", "one_image_img0.png")]
    [InlineData("qwen25vl", "one_image_nonsquare_img0.png")]
    [InlineData("qwen25vl-tied-bf16", "one_image_img0.png")]
    [InlineData("internvl3", "tiled_image_img0.png")]
    [InlineData("smolvlm", "one_image_split_img0.png")]
    public void NoBitDependsOnTheVectors(string model, string picture)
    {
        string[] prompt = [Fixtures.Path(model), "--image", Fixtures.Path(model, "golden", picture), "--prompt",
            "What is shown in the picture?"];
        var files = new List<(byte[] Trace, byte[] Rows, byte[] Edited)>();
        foreach (var variable in new[] { ("DOTNET_EnableHWIntrinsic", "1"), ("DOTNET_EnableAVX512", "0"),
            ("DOTNET_EnableHWIntrinsic", "0") })
        {
            var (trace, rows) = (_temp.File($"{files.Count}.safetensors"), _temp.File($"{files.Count}.jsonl"));
            Assert.Equal((0, ""),
                Result(Ascope.RunUnder(variable, _temp.Path,
                    ["trace", .. prompt, "--keep", "attn,z,q,k,v,k_rope", "--generate", "3", "--force", "--out", trace])));
            var edited = Interchanged(trace, prompt, variable);
            Assert.Equal((0, ""),
                Result(Ascope.RunUnder(variable, _temp.Path,
                    ["sweep", .. prompt, "--heads", "all", "--positions", "instruction", "--logits", "5,7", "--force", "--out", rows])));
            files.Add((File.ReadAllBytes(trace), File.ReadAllBytes(rows), File.ReadAllBytes(edited)));
        }
        Assert.All(files, file => Assert.True(file.Trace.AsSpan().SequenceEqual(files[0].Trace)));
        Assert.All(files, file => Assert.Equal(files[0].Rows, file.Rows));
        Assert.All(files, file => Assert.True(file.Edited.AsSpan().SequenceEqual(files[0].Edited)));
    }

    /// <summary>The run again with its own values of earlier positions at later ones, of every kind.</summary>
    private string Interchanged(string donor, string[] prompt, (string, string) variable)
    {
        using var file = SafetensorsFile.Open(donor);
        var last = (int)file.Entry("lm.attn").Shape[3] - 1;
        int[] to = [last - 1, last], from = [last - 5, last - 3];
        var edits = _temp.Write("edits.json", JsonSerializer.Serialize((object[])
        [
            .. new[] { "z", "query", "key", "value", "pattern" }.Select((what, i) => new { kind = "head_interchange", what, heads =
            new[] { new[] { i % 2, 0 } }, positions = to, donor, donor_positions = from }),
            new { kind = "edge_interchange", what = "both", layers = new[] { 0, 1 }, heads = new[] { 1 }, queries = to, keys =
            to, donor, donor_positions = from },
        ]));
        var output = _temp.File("edited.safetensors");
        Assert.Equal(
            (0, ""), Result(Ascope.RunUnder(variable, _temp.Path, ["trace", .. prompt, "--edits", edits, "--force", "--out", output])));
        return output;
    }

    private static (int ExitCode, string Error) Result((int ExitCode, string Output, string Error) run) => (run.ExitCode, run.Error);
}
