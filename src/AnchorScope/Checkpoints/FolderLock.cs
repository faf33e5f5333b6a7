namespace AnchorScope.Checkpoints;

/// <summary>Keeps a folder to one process: a second one that would write there is refused while the first runs. The system lets go of it when a process ends, however it ends.</summary>
internal sealed class FolderLock : IDisposable
{
    /// <summary>Its name in the folder.</summary>
    public const string FileName = ".ascope.lock";

    private readonly FileStream _file;

    private FolderLock(FileStream file) => _file = file;

    /// <summary>Takes a folder that is there.</summary>
    /// <exception cref="InputException">Another process has it, or it cannot be written.</exception>
    public static FolderLock Take(string folder)
    {
        var path = Path.Combine(folder, FileName);
        try
        {
            return new FolderLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (Exception e) when (e is UnauthorizedAccessException || (e is IOException && !IsHeld(e)))
        {
            throw new InputException($"{folder}: cannot be written: {FileError.Reason(e)}", e);
        }
        catch (IOException e)
        {
            throw new InputException($"{folder}: another process is writing there; wait until it ends, or name another folder with --out", e);
        }
    }

    /// <summary>Whether a folder has anything in it but a lock.</summary>
    public static bool HasFiles(string folder) =>
        Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any(entry => Path.GetFileName(entry) != FileName);

    /// <summary>EWOULDBLOCK of Linux and macOS, or a sharing violation of Windows.</summary>
    private static bool IsHeld(Exception e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            File.Delete(_file.Name);
        }
        catch (IOException)
        {
            // It stays behind, unlocked: the next process takes it over.
        }
        _file.Dispose();
    }
}
