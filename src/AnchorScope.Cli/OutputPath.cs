using System.CommandLine;
using AnchorScope.Checkpoints;

namespace AnchorScope.Cli;

/// <summary>
/// The output rule of every command: a folder must be new or empty unless a run in it is resumed; a file must be new unless --force
/// replaces it. Checked before anything is opened or computed.
/// </summary>
internal static class OutputPath
{
    public static Option<bool> Force() => new("--force") { Description = "overwrite the file of --out" };

    public static void CheckFolder(string folder)
    {
        if (File.Exists(folder)) throw InputException.At("--out", folder, "a folder", "a file");
        if (FolderLock.HasFiles(folder))
            throw InputException.At("--out", folder, "a new or empty folder", "one with files in it; name another one");
    }

    /// <param name="inputs">Input files: none of them is ever overwritten, even with --force.</param>
    public static void CheckFile(string path, bool force, params IEnumerable<string?> inputs)
    {
        if (inputs.FirstOrDefault(input => input is not null && Path.GetFullPath(input) == Path.GetFullPath(path)) is { } read)
            throw InputException.At("--out", path, "another file than those that are read", read);
        if (Directory.Exists(path)) throw InputException.At("--out", path, "a file", "a folder");
        if (File.Exists(path) && !force) throw InputException.At("--out", path, "a new file", "one that exists; --force overwrites it");
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder && !Directory.Exists(folder))
            throw InputException.At("--out", folder, "a folder to write into", "nothing");
    }
}
