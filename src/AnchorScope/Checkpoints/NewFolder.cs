namespace AnchorScope.Checkpoints;

/// <summary>Writes a folder that appears under its name when it is complete; what fails or is cancelled on the way leaves nothing behind.</summary>
internal static class NewFolder
{
    /// <summary>What every command says of a folder that it will not write into.</summary>
    /// <param name="hint">How to go on.</param>
    public static InputException NotEmpty(string folder, string hint = "name another one with --out") =>
        new($"{folder}: expected a new or empty folder, found one with files in it; {hint}");

    /// <param name="folder">Must not exist, or be empty.</param>
    /// <param name="content">Fills the folder that it is given.</param>
    /// <exception cref="InputException">The folder has something in it, or cannot be written.</exception>
    public static T Write<T>(string folder, Func<string, T> content)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (File.Exists(target)) throw new InputException($"{folder}: expected a folder to write, found a file");
        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any()) throw NotEmpty(folder);
        var partial = Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.{Path.GetRandomFileName()}.partial");
        try
        {
            Directory.CreateDirectory(partial);
            var result = content(partial);
            if (Directory.Exists(target)) Directory.Delete(target);
            Directory.Move(partial, target);
            return result;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: cannot be written: {e.Message}", e);
        }
        finally
        {
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
        }
    }
}
