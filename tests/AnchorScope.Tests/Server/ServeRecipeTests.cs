using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>Runs the commands of the recipes about serving in order, as a shell does. Only the port is another.</summary>
public sealed class ServeRecipeTests : IDisposable
{
    /// <summary>A server runs in the background until the next one, or until something else than a request is done.</summary>
    private const string Prelude = """
        set -eu -o pipefail
        server=
        stop() { if [ -n "$server" ]; then kill -TERM "$server"; wait "$server"; server=; fi; }
        trap 'if [ -n "$server" ]; then kill -KILL "$server"; fi' EXIT
        program() { dotnet exec "$ASCOPE" "$@"; }
        ascope() {
          stop
          if [ "$1" != serve ]; then program "$@"; return; fi
          dotnet exec "$ASCOPE" "$@" > server.log &
          server=$!
          for i in $(seq 600); do if grep -q 'listening on' server.log; then return; fi; kill -0 "$server"; sleep 0.1; done
          return 1
        }

        """;

    private readonly TempFolder _temp = new();

    [Theory]
    [InlineData("serve.md", "\"content\":\"green", "\"value\":1.5")]
    [InlineData("audit.md", "the first 3 under one of the anchor", "holds: record 1 is in the log", "same bits: 1 answer")]
    [InlineData("policy.md", "signed by anchorscope/", "\"canaries\": {\"file\": \"canaries.json\"", "as signed: ")]
    [InlineData("monitor.md", "\"profile\":{\"requests\":200")]
    public async Task EveryCommand_Works(string recipe, params string[] expected)
    {
        if (!OperatingSystem.IsLinux()) return;
        foreach (var name in new[] { "models", "data" }) Directory.CreateSymbolicLink(_temp.File(name), Path.Combine(Fixtures.Root, name));
        WriteKeepingPolicy();
        var script = new StringBuilder(Prelude);
        foreach (var line in Commands(Path.Combine(Fixtures.Root, "docs", "recipes", recipe)))
            script.Append(line.Replace(":8080", $":{FreePort}", StringComparison.Ordinal)).Append('\n');
        script.Append("stop\n");
        File.WriteAllText(_temp.File("commands.sh"), script.ToString());
        var start = new ProcessStartInfo("bash", ["commands.sh"])
            { WorkingDirectory = _temp.Path, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ASCOPE"] = Path.Combine(AppContext.BaseDirectory, "ascope.dll");
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(3));
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}: {await error}\n{await output}");
        Assert.All(expected, text => Assert.Contains(text, (string)output.Result, StringComparison.Ordinal));
    }

    /// <summary>The indented lines that are commands, with those that continue them; examples of JSON and of programs are none.</summary>
    private static IEnumerable<string> Commands(string path)
    {
        var (block, blocks) = (new List<string>(), new List<List<string>>());
        foreach (var line in File.ReadLines(path).Append(""))
        {
            if (line.StartsWith("    ", StringComparison.Ordinal)) block.Add(line[4..]);
            else if (block.Count > 0)
            {
                blocks.Add(block);
                block = [];
            }
        }
        string[] programs = ["ascope ", "curl ", "mkdir ", "cp "];
        return blocks.Where(b => programs.Any(name => b[0].StartsWith(name, StringComparison.Ordinal))).SelectMany(b => b);
    }

    /// <summary>The bundled policy, which keeps requests: audit.md replays one.</summary>
    private void WriteKeepingPolicy()
    {
        var serving = Path.Combine(Fixtures.Grown("relay"), "serving");
        foreach (var file in Directory.EnumerateFiles(serving)) File.Copy(file, _temp.File(Path.GetFileName(file)));
        File.WriteAllText(_temp.File("keeping.json"), File.ReadAllText(_temp.File("policy.json"))
            .Replace("\"keep_content\": false", "\"keep_content\": true", StringComparison.Ordinal));
    }

    private int FreePort { get; } = Free();

    private static int Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public void Dispose() => _temp.Dispose();
}
