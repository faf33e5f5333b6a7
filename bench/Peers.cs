using System.Diagnostics;
using System.Globalization;

namespace AnchorScope.Bench;

/// <summary>torch in a separate process, which reads commands on standard input and measures its own time.</summary>
internal sealed class Torch : IDisposable
{
    private readonly Process _process;

    private Torch(Process process) => _process = process;

    public string Version { get; private set; } = "";

    public static Torch Start()
    {
        Packages.Ensure("/bin/sh", ["-c", $"ldconfig -p | grep -q {OpenBlas.Library}"], "libopenblas0-pthread");
        Packages.Ensure("/usr/bin/python3", ["-c", "import torch, numpy"], "python3-torch", "python3-numpy");
        var start = new ProcessStartInfo("/usr/bin/python3")
            { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        start.ArgumentList.Add(Path.Combine(Repository.Root, "bench", "torch_peer.py"));
        foreach (var (name, value) in OpenBlas.Variables)
        {
            if (value is null) start.Environment.Remove(name);
            else start.Environment[name] = value;
        }
        // Without these settings the C library returns large tensors to the system and allocates them again, page by page, in every
        // operation: up to twenty times slower where page faults are expensive.
        (start.Environment["MALLOC_MMAP_MAX_"], start.Environment["MALLOC_TRIM_THRESHOLD_"]) = ("0", $"{1L << 40}");
        var torch = new Torch(Process.Start(start)!);
        torch.Version = $"{torch.Say("version")}, BLAS {BlasKernels.Check("torch", torch.Say("blas"))}";
        return torch;
    }

    /// <summary>Sends one command and reads one line of answer.</summary>
    public string Say(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
        var answer = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"torch ended at: {command}");
        return answer.StartsWith("error", StringComparison.Ordinal)
            ? throw new InvalidOperationException($"torch: {command}: {answer}") : answer;
    }

    /// <summary>The work that <paramref name="command"/> sets up, as a contender.</summary>
    public Contender Contender(string command)
    {
        var action = Say(command);
        return calls => double.Parse(Say($"time {action} {calls}"), CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }
}

/// <summary>Installs the Debian packages of the peers.</summary>
internal static class Packages
{
    /// <summary>Runs a probe; if it fails, installs the package or prints how to install it.</summary>
    public static void Ensure(string program, string[] probe, params string[] packages)
    {
        if (Try(program, probe)) return;
        var install = $"apt-get install -y {string.Join(' ', packages)}";
        if (Environment.UserName != "root" || !Try("apt-get", ["install", "-y", "-qq", .. packages]) || !Try(program, probe))
            throw new InvalidOperationException($"needs {string.Join(", ", packages)}: {install}");
    }

    private static bool Try(string program, string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program,
                arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
            process.OutputDataReceived += (_, _) => { };
            process.ErrorDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
