namespace AnchorScope.Checkpoints;

/// <summary>Writes a folder that gets its name only when it is complete. After a failure or cancellation nothing remains.</summary>
internal static class NewFolder
{
    /// <summary>The error for a folder that is not empty.</summary>
    /// <param name="hint">Advice for the user.</param>
    public static InputException NotEmpty(string folder, string hint = "name another one with --out") =>
        new($"{folder}: expected a new or empty folder, found one with files in it; {hint}");

    /// <param name="folder">Must not exist, or be empty.</param>
    /// <param name="content">Writes the content into the folder it receives.</param>
    /// <exception cref="InputException">The folder is not empty, or cannot be written.</exception>
    public static T Write<T>(string folder, Func<string, T> content)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (File.Exists(target)) throw new InputException($"{folder}: expected a folder to write, found a file");
        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any()) throw NotEmpty(folder);
        // An existing empty folder must be replaceable. This is tested before anything is written.
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
