namespace AnchorScope.Checkpoints;

/// <summary>Writes a folder that appears under its name when it is complete; what fails or is cancelled on the way leaves nothing behind.</summary>
internal static class NewFolder
{
    /// <summary>The refusal of a folder that has something in it.</summary>
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
        // What is there must be able to go: better known before the first gigabyte than after the last.
        if (Directory.Exists(target)) Replace(folder, target);
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
            throw new InputException($"{folder}: cannot be written: {FileError.Reason(e)}", e);
        }
        finally
        {
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
        }
    }

    private static void Replace(string folder, string target)
    {
        if (target == Path.TrimEndingDirectorySeparator(Environment.CurrentDirectory))
            throw new InputException($"{folder}: is the current folder, which cannot be replaced; name another one with --out");
        try
        {
            Directory.Delete(target);
            Directory.CreateDirectory(target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: the empty folder cannot be replaced ({e.Message}); name one that does not exist yet", e);
        }
    }
}
