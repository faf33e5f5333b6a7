using System.Diagnostics;
using System.Text.Json;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>npm's package openai as a client. tests/clients/openai.cjs is what a program does with it.</summary>
public sealed class NpmClientTests
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    [PublishedFact(PublishedFiles.OpenAiPackage)]
    public async Task ThePackage_FindsWhatItKnows()
    {
        using var temp = new TempFolder();
        var policy = RunningServer.WritePolicy(temp, """{"kinds": ["head_gain"], "listed_heads": true, "factor": [0, 2]}""");
        await using var server = await RunningServer.Start(options => options with { Policy = policy });
        var seen = await Run(server);
        Assert.Equal(["relay"], seen.GetProperty("models").EnumerateArray().Select(model => model.GetString()));
        Assert.Equal("model", seen.GetProperty("model").GetProperty("object").GetString());

        JsonElement[] whole = [.. seen.GetProperty("whole").EnumerateArray()];
        Assert.Equal(2, whole.Length);
        Assert.All(whole, choice =>
        {
            Assert.Equal(Text(choice, "text"), Text(choice, "spelt"));
            Assert.All(choice.GetProperty("likeliest").EnumerateArray(), count => Assert.Equal(2, count.GetInt32()));
        });
        Assert.NotEqual(Text(whole[0], "text"), Text(whole[1], "text"));
        Assert.Equal(whole.Select(choice => Text(choice, "text")),
            seen.GetProperty("streamed").EnumerateArray().Select(t => t.GetString()));
        Assert.Equal(seen.GetProperty("usage").GetProperty("completion_tokens").GetInt32(),
            seen.GetProperty("streamedUsage").GetProperty("completion_tokens").GetInt32());

        var text = Text(seen, "long")!;
        Assert.StartsWith(Text(seen, "gathered")!, text, StringComparison.Ordinal);
        var stop = seen.GetProperty("stop");
        Assert.Equal((text[..text.IndexOf(Text(stop, "stop")!, StringComparison.Ordinal)], "stop"),
            (Text(stop, "text"), Text(stop, "finish")));

        var ours = seen.GetProperty("steered").GetProperty("ours");
        Assert.Equal(Text(ours, "fingerprint"), Text(seen.GetProperty("steered"), "header"));
        Assert.Equal([2, 3], ours.GetProperty("applied")[0].GetProperty("layers").EnumerateArray().Select(layer => layer.GetInt32()));

        Assert.Equal(("BadRequestError", 400, "tools", "unsupported_parameter", "invalid_request_error"), Error(seen, "tools"));
        Assert.Equal(("NotFoundError", 404, "model", "model_not_found", "invalid_request_error"), Error(seen, "unknown"));
        Assert.Equal(("PermissionDeniedError", 403, "anchorscope.interventions[0].factor", "policy_violation", "permission_error"),
            Error(seen, "beyond"));
        Assert.Contains("from 0 to 2, found 9", Text(seen.GetProperty("beyond"), "message"), StringComparison.Ordinal);

        // The stream that was given up: the server computes nothing for it any more.
        Assert.Equal(1, seen.GetProperty("pieces").GetInt32());
        await UntilMetrics(server, "anchorscope_request_refused_total{status=\"499\",model_name=\"relay\"} 1");
        await UntilMetrics(server, "anchorscope_num_requests_running{model_name=\"relay\"} 0");
    }

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();

    private static (string? Name, int Status, string? Param, string? Code, string? Type) Error(JsonElement seen, string name)
    {
        var error = seen.GetProperty(name);
        return (Text(error, "name"), error.GetProperty("status").GetInt32(), Text(error, "param"),
            Text(error, "code"), Text(error, "type"));
    }

    private static async Task UntilMetrics(RunningServer server, string line)
    {
        var found = "";
        for (var waited = Stopwatch.StartNew(); waited.Elapsed < Longest; await Task.Delay(50))
        {
            found = await server.Client.GetStringAsync("/metrics");
            if (found.Split('\n').Contains(line)) return;
        }
        Assert.Fail($"no {line} in\n{found}");
    }

    private static async Task<JsonElement> Run(RunningServer server)
    {
        var script = Path.Combine(Fixtures.Root, "tests", "clients", "openai.cjs");
        using var process = Process.Start(new ProcessStartInfo("node",
            [script, PublishedFiles.Path(PublishedFiles.OpenAiPackage), new Uri(server.Client.BaseAddress!, "v1").ToString(),
                RunningServer.Picture()])
            { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync().WaitAsync(Longest);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
        Assert.True(process.ExitCode == 0, $"openai.cjs ended with {process.ExitCode}: {await error}");
        return JsonElement.Parse(await output);
    }
}
