using AnchorScope.Checkpoints;
using System.Globalization;

namespace AnchorScope.Studies;

/// <summary>
/// The output folder of one diagnosis. Its manifest identifies the inputs and settings of its rows, so that rows of different runs are
/// never mixed.
/// </summary>
internal static class DiagnosisFolder
{
    private const string ManifestName = "manifest.json";

    /// <summary>results.jsonl in <paramref name="folder"/>.</summary>
    public static string Results(string folder) => Path.Combine(folder, "results.jsonl");

    /// <summary>The folder used without --out: the next free out/diagnosis-NNN, or the latest one to resume.</summary>
    public static string Default(bool resume)
    {
        const string Parent = "out";
        var numbers = !Directory.Exists(Parent) ? [] : Directory.EnumerateDirectories(Parent, "diagnosis-*")
            .Select(
                d => int.TryParse(Path.GetFileName(d)["diagnosis-".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var n)
                    ? n : 0).ToList();
        var latest = numbers.DefaultIfEmpty(0).Max();
        if (resume && latest == 0) throw new InputException("--resume: there is no out/diagnosis-NNN here; name the folder with --out");
        return Path.Combine(Parent, string.Create(CultureInfo.InvariantCulture, $"diagnosis-{(resume ? latest : latest + 1):000}"));
    }

    /// <summary>Whether <paramref name="folder"/> contains a diagnosis.</summary>
    public static bool IsBegun(string folder) => File.Exists(Path.Combine(folder, ManifestName));

    /// <summary>Creates a new folder, or checks that an existing one has the same inputs and settings, and opens its rows.</summary>
    public static ResultStore Open(string folder, RunIdentity identity, bool resume)
    {
        var held = Begin(folder, identity, resume);
        try
        {
            return ResultStore.Open(Results(folder), resume, held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Creates a new folder, or checks that an existing one has the same inputs and settings.</summary>
    /// <returns>A lock that reserves the folder for this process.</returns>
    public static FolderLock Begin(string folder, RunIdentity identity, bool resume)
    {
        var path = Path.Combine(folder, ManifestName);
        if (resume)
        {
            if (!File.Exists(path)) throw new InputException($"{folder}: nothing to resume: expected {ManifestName}, found none");
            identity.Check(ReadManifest(path), path, $"name another folder than {folder} with --out");
            return FolderLock.Take(folder);
        }
        if (File.Exists(folder)) throw new InputException($"{folder}: expected a folder, found a file");
        if (FolderLock.HasFiles(folder))
            throw NewFolder.NotEmpty(folder, "--resume goes on with what is there, another --out starts anew");
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: cannot be made: {FileError.Reason(e)}", e);
        }
        var held = FolderLock.Take(folder);
        DiagnosisFiles.Text(path, identity.Text);
        return held;
    }

    private static string ReadManifest(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {FileError.Reason(e)}", e);
        }
    }
}
