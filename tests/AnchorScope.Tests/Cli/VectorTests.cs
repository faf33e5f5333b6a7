using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>The paths for AVX2 and for machines without vectors, each against the path for AVX-512 where the machine has that: the same bits at every site.</summary>
public sealed class VectorTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    /// <summary>Between them: grouped heads of 16 coordinates in decoders and heads of 12 in towers, float32, f16 and bf16 as stored, widths such as 100 and 152 that are no multiple of a vector.</summary>
    [Theory]
    [InlineData("llava15-gqa-f16-sharded", "one_image_img0.png")]
    [InlineData("qwen25vl", "one_image_nonsquare_img0.png")]
    [InlineData("qwen25vl-tied-bf16", "one_image_img0.png")]
    [InlineData("internvl3", "tiled_image_img0.png")]
    [InlineData("smolvlm", "one_image_split_img0.png")]
    public void NoBitDependsOnTheVectors(string model, string picture)
    {
        string[] prompt = [Fixtures.Path(model), "--image", Fixtures.Path(model, "golden", picture), "--prompt", "What is shown in the picture?"];
        var files = new List<(byte[] Trace, byte[] Rows)>();
        foreach (var variable in new[] { ("DOTNET_EnableHWIntrinsic", "1"), ("DOTNET_EnableAVX512", "0"), ("DOTNET_EnableHWIntrinsic", "0") })
        {
            var (trace, rows) = (_temp.File($"{files.Count}.safetensors"), _temp.File($"{files.Count}.jsonl"));
            Assert.Equal((0, ""), Result(Ascope.RunUnder(variable, _temp.Path, ["trace", .. prompt, "--keep", "attn", "--generate", "3", "--out", trace])));
            Assert.Equal((0, ""), Result(Ascope.RunUnder(variable, _temp.Path, ["sweep", .. prompt, "--heads", "all", "--positions", "instruction", "--logits", "5,7", "--out", rows])));
            files.Add((File.ReadAllBytes(trace), File.ReadAllBytes(rows)));
        }
        Assert.All(files, file => Assert.True(file.Trace.AsSpan().SequenceEqual(files[0].Trace)));
        Assert.All(files, file => Assert.Equal(files[0].Rows, file.Rows));
    }

    private static (int ExitCode, string Error) Result((int ExitCode, string Output, string Error) run) => (run.ExitCode, run.Error);
}
